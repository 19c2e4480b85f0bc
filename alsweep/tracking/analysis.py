"""What W&B shows beside curves: what was queried, and what a report says of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alsweep.geometry import Triple

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    *("loop", "rank", "case", "z", "y", "x", "dz", "dy", "dx"),
    *("score", "classes", "slices"),
)


@dataclass(frozen=True, eq=False)
class QueriedRow:
    """A patch as a row of W&B's table.

    Attributes:
        loop: The training before which it was annotated.
        rank: In its query, from 0.
        case: Case id.
        start: Lowest corner, voxels.
        size: Voxels.
        score: None where the strategy has none.
        classes: Foreground classes in it; None where the labels are not at hand.
        slices: RGB, ``(height, width, 3)``, uint8; None where the images are not at hand.
    """

    loop: int
    rank: int
    case: str
    start: Triple
    size: Triple
    score: float | None
    classes: str | None = None
    slices: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a report says, ready to be shown.

    Attributes:
        sweep: Its name; one analysis run a sweep.
        tables: By name.
        figures: Plotly's JSON, by name.
        pictures: PNG, by name.
        results: The tidy table as Parquet.
        numbers: To filter runs by.
    """

    sweep: str
    tables: Mapping[str, "pd.DataFrame"]
    figures: Mapping[str, Mapping[str, Any]]
    pictures: Mapping[str, bytes]
    results: Path
    numbers: Mapping[str, float | int | str]


def queries_table(rows: Sequence[QueriedRow]) -> Any:
    """W&B's table of a trajectory's queries."""
    import wandb

    data = [
        [
            *(row.loop, row.rank, row.case, *row.start, *row.size, row.score, row.classes),
            None if row.slices is None else wandb.Image(row.slices),
        ]
        for row in rows
    ]
    return wandb.Table(columns=list(_COLUMNS), data=data)


def media(analysis: Analysis, folder: Path) -> dict[str, Any]:
    """Tables, figures and pictures in W&B's words.

    Args:
        analysis: What to show.
        folder: For files on their way; W&B copies them.
    """
    import wandb
    from plotly.graph_objects import Figure

    shown: dict[str, Any] = {
        f"table_{name}": wandb.Table(dataframe=table) for name, table in analysis.tables.items()
    }
    for name, figure in analysis.figures.items():
        shown[f"figure_{name}"] = wandb.Plotly(Figure(figure, skip_invalid=True))
    for name, png in analysis.pictures.items():
        path = folder / f"{name}.png"
        path.write_bytes(png)
        shown[f"picture_{name}"] = wandb.Image(str(path))
    return shown
