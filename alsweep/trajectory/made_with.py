"""Whether a loop whose record does not say so was made with this version's numerics."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.results.records import read_records

if TYPE_CHECKING:
    from alsweep.model.device import Precision


def has_these_numerics(config: TrajectoryConfig, folder: Path, loop: int) -> bool:
    """Whether the members of a finished loop have the keys that they would get today.

    A member's key holds the numerics, and whatever else its weights follow from. Nothing is
    trained, and none of them need be stored any more.

    Args:
        config: Resolved.
        folder: Of the trajectory.
        loop: Of the trajectory; finished.
    """
    # Torch comes along with them; a run whose records say it all need not wait.
    import torch

    from alsweep.model.device import Compute
    from alsweep.model.learner import Setup
    from alsweep.trajectory.annotator import annotated, make_annotator
    from alsweep.trajectory.members import Members
    from alsweep.trajectory.query_log import QueryLog

    dataset = Dataset.open(config.dataset)
    records = read_records(folder)
    # A key holds the precision of its time, and no device.
    precision = cast("Precision", records[loop].precision)
    compute = Compute(torch.device("cpu"), precision)
    setup = Setup.make(dataset, config.training, compute, config.seed)
    members = Members.looked_up(setup, folder)
    patches = sorted(QueryLog(folder).patches(loop))
    labels = annotated(dataset, make_annotator(config, dataset, folder), patches)
    parents = records[loop - 1].members if loop else ()
    return members.keys(labels, parents) == list(records[loop].members)
