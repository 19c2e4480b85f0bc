"""What annotation costs a person: plug-in models of a patch, and what trajectories cost by them."""

from alsweep.costs.base import CostModel, cost, cost_model, cost_models
from alsweep.costs.measure import with_costs

__all__ = ["CostModel", "cost", "cost_model", "cost_models", "with_costs"]
