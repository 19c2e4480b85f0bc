"""How much of a difference is training alone, where 'alsweep noise' has measured it."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import span
from alsweep.report.compared import compared
from alsweep.report.figures import INK, axis, layout, plain
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import Table
from alsweep.results.noise import noise_floor, noise_trainings


def _blocks(material: Material) -> Iterator[Block]:
    study, floor = material.study, material.once(_floor)
    yield Figures((("", _figure(study, material.once(_trainings))),))
    yield Tables((("", _table(study, floor)),))
    yield Caption(_caption(material))


def _trainings(study: Study) -> pd.DataFrame:
    return noise_trainings(run.path for run in study.runs)


def _floor(study: Study) -> pd.DataFrame:
    return noise_floor(_trainings(study))


def _name(study: Study, setting: str) -> str:
    """A setting of which nothing has begun has no name here."""
    return study.settings.get(setting, setting)


def _figure(study: Study, trainings: pd.DataFrame) -> Figure:
    """Each training as a point, over its length; those on the same labels joined."""
    known = trainings.dropna(subset=["mean_dice"])
    data = []
    for _, own in known.groupby("start", sort=False):
        where = plain(f"{_name(study, own['setting'].iloc[0])}, seed {own['seed'].iloc[0]}")
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": own["iterations"].tolist(),
                "y": (100 * own["mean_dice"]).round(3).tolist(),
                "line": {"color": INK, "width": 1},
                "marker": {"color": INK, "size": 8, "opacity": 0.6},
                "hovertemplate": f"{where}: %{{y:.2f}} %<extra></extra>",
            }
        )
    across = axis("iterations of a training", rangemode="tozero")
    return {"data": data, "layout": layout(xaxis=across, yaxis=axis("Dice [%]"), height=320)}


def _table(study: Study, floor: pd.DataFrame) -> Table:
    rows = tuple(
        (
            _name(study, row["setting"]),
            f"{row['iterations']:,}",
            f"{row['trainings']} of {row['starts']}",
            f"{100 * row['mean_dice']:.2f}",
            f"{100 * row['deviation']:.2f}",
            f"{100 * row['deviation'] * 2**0.5:.2f}",
        )
        for _, row in floor.iterrows()
    )
    headings = ("Iterations", "Trainings of starts", "Dice [%]", "Noise [points]")
    return Table(("Setting", *headings, "Of a difference [points]"), rows)


def _caption(material: Material) -> str:
    floor, rows = material.once(_floor), material.once(compared)
    found = rows["mean_difference"].abs().dropna()
    beside = ""
    if len(found):
        beside = (
            f" Beside it: the strategies differ from the controls by {100 * found.median():.2f} "
            "points of AUBC in the median."
        )
    each = span((floor["trainings"] // floor["starts"]).tolist(), "training")
    return (
        f"The first loop trained again on the very same labels ({each} a start): only initial "
        "weights, batches and augmentation differ, so that what Dice differs by is noise, whatever "
        "is queried. Of a difference: what two single trainings differ by for no reason, one "
        f"standard deviation; the mean of n seeds has the n-th part of its square.{beside}"
    )


SECTION = Section(
    id="noise",
    title="How much is noise",
    place=58,
    blocks=_blocks,
    files={
        "noise.csv": lambda material: material.once(_trainings).to_csv(index=False).encode(),
        "noise_floor.csv": lambda material: material.once(_floor).to_csv(index=False).encode(),
    },
    applies=lambda material: len(material.once(_floor)) > 0,
    still="noise",
)
