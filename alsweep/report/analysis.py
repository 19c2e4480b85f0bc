"""What a report says, less the page: tables, figures and pictures for other places to show."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from alsweep.errors import RunFolderError
from alsweep.report.html import figure_data
from alsweep.report.pictured import first_picture
from alsweep.report.section import Beside, Block, Figure, Figures, Material, Section, settled
from alsweep.report.sections import curves, wins
from alsweep.report.study import Study, read_study
from alsweep.report.volumes import open_datasets


@dataclass(frozen=True, eq=False)
class Said:
    """What a report says of one run.

    Attributes:
        sweep: Its name.
        tables: Those beside the page, by name without ending.
        figures: Learning curves of each setting and the win matrix, as they are at first.
        pictures: The win matrix as a heat map, PNG.
        numbers: How much is finished, and who is first.
    """

    sweep: str
    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Figure]
    pictures: Mapping[str, bytes]
    numbers: Mapping[str, float | int | str]


def analyse(run: Path) -> Said:
    """Read a run and say what its report says.

    Raises:
        RunFolderError: It is no run folder, or nothing is finished in it.
        RecordError: A file in it is broken.
    """
    study = read_study([run])
    if study.done.empty:
        raise RunFolderError(f"{run}: no trajectory is finished yet, so there is nothing to show")
    material = Material(study, open_datasets(study))
    data = figure_data(material)
    tables = {name.removesuffix(".csv"): _table(content) for name, content in data.items()}
    heat_map = first_picture(wins.SECTION, wins.SECTION.blocks(material), "png")
    pictures = {} if heat_map is None else {"win_matrix": heat_map}
    return Said(study.title, tables, _figures(material), pictures, _numbers(study, tables))


def _table(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content))


def _figures(material: Material) -> dict[str, Figure]:
    names = list(material.study.settings.values())
    found = {}
    for name, figure in zip(names, _of(curves.SECTION, material), strict=False):
        found[f"learning_curves {name}" if len(names) > 1 else "learning_curves"] = figure
    for figure in _of(wins.SECTION, material)[:1]:
        found["win_matrix"] = figure
    return found


def _of(section: Section, material: Material) -> list[Figure]:
    return [settled(figure, {}) for figure in _panels(section.blocks(material))]


def _panels(blocks: Iterable[Block]) -> list[Figure]:
    found: list[Figure] = []
    for block in blocks:
        if isinstance(block, Figures):
            found += [figure for _, figure in block.panels]
        elif isinstance(block, Beside):
            found += _panels((*block.left, *block.right))
    return found


def _numbers(study: Study, tables: Mapping[str, pd.DataFrame]) -> dict[str, float | int | str]:
    ranking = tables.get("ranking")
    first = {} if ranking is None or ranking.empty else {"first": str(ranking.iloc[0, 0])}
    total = sum(len(run.trajectories) for run in study.runs)
    done = int(study.done["trajectory"].nunique())
    return {"trajectories": total, "trajectories_done": done, **first}
