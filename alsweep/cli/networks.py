"""What verbs share that ask the stored networks of a run: progress, and views for pictures."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from alsweep.cli.progress import CaseProgress
from alsweep.layout import models_folder

if TYPE_CHECKING:
    from alsweep.config.strategy import StrategySpec
    from alsweep.geometry import Patch
    from alsweep.report.queries import Query
    from alsweep.report.views import Seen
    from alsweep.trajectory.progress import Progress
    from alsweep.trajectory.stored_networks import StoredNetworks


def open_networks(query: "Query", progress: CaseProgress) -> "StoredNetworks":
    """Load the networks that chose a query.

    Raises:
        ConfigError: It is a starting budget.
        RunFolderError: They are not stored any more.
    """
    from alsweep.sweep.run_folder import load_plugins
    from alsweep.trajectory.stored_networks import StoredNetworks

    if query.trajectory.config is not None:
        load_plugins(query.run, query.trajectory.config)

    def show(now: "Progress") -> None:
        progress.show(now.phase, now.done, now.total)

    models = models_folder(query.run)
    return StoredNetworks(
        query.trajectory, query.loop, dataset=query.dataset, models=models, on_progress=show
    )


def seen_by(
    networks: "StoredNetworks", strategy: "StrategySpec", patches: "Iterable[Patch]"
) -> "Seen":
    """What the networks said in ``patches``, with the voxel scores of ``strategy``."""
    from alsweep.report.views import look
    from alsweep.trajectory.stored_networks import voxel_map

    score = voxel_map(strategy)
    return look(patches, partial(networks.scored, score=score), score.name.replace("_", " "))
