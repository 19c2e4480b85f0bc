"""A sweep over nodes with logical GPUs; run as a process, since Ray keeps what others told it.

Usage: python -m tests.cluster.cards DATASET RUN GPUS-OF-A-TRAJECTORY GPUS-OF-A-NODE...
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.trajectory.progress import OnProgress
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import TableTrajectory, TableWork


@dataclass(frozen=True)
class CardWork(TableWork):
    """Notes on which node and cards a trajectory is, from when to when."""

    def trajectory(
        self, config: TrajectoryConfig, folder: Path, on_progress: OnProgress
    ) -> TableTrajectory:
        import ray

        began, node = time.monotonic(), ray.get_runtime_context().get_node_id()
        noted = self.run / f"{folder.name}.cards"

        class Noted(TableTrajectory):
            def close(self) -> None:
                cards = os.environ["CUDA_VISIBLE_DEVICES"]
                noted.write_text(f"{node} {cards} {began} {time.monotonic()}")

        return Noted(config, folder, on_progress, self.seconds)


def main(dataset: str, run: str, wanted: str, *of_nodes: str) -> None:
    from alsweep.sweep.environment import prepare_environment

    resources = {"gpus": float(wanted), "cpus": 0.1, "device": "cpu"}
    prepare_environment(ResourcesConfig.model_validate(resources), private=False)
    from ray.cluster_utils import Cluster

    from alsweep.sweep import run_sweep

    each = {"num_cpus": 1, "object_store_memory": 100_000_000}
    head = {**each, "num_gpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for gpus in of_nodes:
        cluster.add_node(**each, num_gpus=int(gpus))
    sweep = sweep_of(Dataset.open(dataset), resources=resources)
    outcome = run_sweep(
        sweep, run, work=CardWork(Path(run), 1.0), report=False, address=cluster.address
    )
    assert outcome.done == 4, outcome
    cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
