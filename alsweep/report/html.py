"""One self-contained page, and the files beside it."""

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from alsweep import __version__
from alsweep.data.inside import refuse_inside_dataset
from alsweep.errors import RunFolderError
from alsweep.files import write_bytes
from alsweep.report import captions, figures, stills, tables
from alsweep.report.sections.checklist import checklist
from alsweep.report.sections.curves import BUDGETS, curve_table, curves, full_table
from alsweep.report.sections.patches import gallery
from alsweep.report.stills import png
from alsweep.report.study import Study, read_study
from alsweep.report.volumes import Opened, open_datasets
from alsweep.results import ranking, win_matrix

PAGE = "index.html"
_MARK = "alsweep report"
"""In the page's generator tag; a page without it is not ours to replace."""

_OURS = {
    PAGE,
    "win_matrix.csv",
    "win_matrix_holm.csv",
    "ranking.csv",
    "aubc.csv",
    "learning_curves.csv",
    "learning_curves.png",
    "full_data.csv",
    "fg_efficiency.csv",
    "win_matrix.png",
    "queries",
}


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of one or several runs; what an older report left there is replaced.

    Args:
        runs: Run folders.
        out: Folder to write; the ``report`` folder of the run if left out.

    Returns:
        The page, DIR/index.html.

    Raises:
        RunFolderError: A run is none, ``out`` is needed, or it holds something else.
        DatasetError: ``out`` lies in a Dataset.
        RecordError: A file of a run is broken.
    """
    if out is None and len(runs) != 1:
        raise RunFolderError("a report on several runs needs a place of its own; add --out DIR")
    folder = runs[0] / "report" if out is None else out
    _check_folder(folder)
    study = read_study(runs)
    datasets = open_datasets(study)
    numbers = _Numbers(study)
    _write_files(folder, study, numbers)
    # The page comes last: where it is, the files it speaks of are too.
    write_bytes(folder / PAGE, _page(study, numbers, datasets).encode())
    return folder / PAGE


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds something that no report would have put there, or a Dataset's."""
    refuse_inside_dataset(folder)
    if not folder.exists():
        return
    alien = not folder.is_dir() or any(
        path.name not in _OURS and not path.name.endswith(".tmp") for path in folder.iterdir()
    )
    page = folder / PAGE
    if not alien and page.exists():
        alien = _MARK not in page.read_text(encoding="utf-8", errors="replace")[:2000]
    if alien:
        raise RunFolderError(f"{folder}: holds something else than a report; choose another --out")


class _Numbers:
    """The statistics of a study, in the order in which they are shown."""

    def __init__(self, study: Study) -> None:
        order = [look.strategy for look in study.looks]
        done = [name for name in order if name in set(study.done["strategy"])]
        self.matrix = _ordered(win_matrix(study.table), done)
        self.holm = _ordered(win_matrix(study.table, correction="holm"), done)
        self.ranks = ranking(study.table)
        self.curves = curve_table(study)
        self.efficiency = tables.efficiency_rows(study)


def _ordered(matrix: pd.DataFrame, strategies: list[str]) -> pd.DataFrame:
    """Sweep order in place of the alphabet; strategies without any test keep an empty row."""
    ordered = matrix.reindex(index=strategies, columns=strategies)
    ordered.attrs = matrix.attrs
    return ordered


def _write_files(folder: Path, study: Study, numbers: _Numbers) -> None:
    """Tables as CSV (fractions, not percent) and the figures made of them as PNG."""
    texts = {
        "win_matrix.csv": numbers.matrix.to_csv(index_label="strategy"),
        "win_matrix_holm.csv": numbers.holm.to_csv(index_label="strategy"),
        "ranking.csv": numbers.ranks.to_csv(),
        "aubc.csv": tables.result_rows(study).to_csv(index=False),
        "learning_curves.csv": numbers.curves.to_csv(index=False),
    }
    if study.references:
        texts["full_data.csv"] = full_table(study).to_csv(index=False)
        texts["fg_efficiency.csv"] = numbers.efficiency.to_csv(index=False)
    for name, text in texts.items():
        write_bytes(folder / name, text.encode())
    names = {look.strategy: look.name for look in study.looks}
    drawn = {"learning_curves.png": stills.learning_curves(study, numbers.curves)}
    if len(numbers.matrix):
        drawn["win_matrix.png"] = stills.win_matrix_figure(
            numbers.matrix, names, f"{study.title}: budgets at which the row beats the column"
        )
    for name, figure in drawn.items():
        write_bytes(folder / name, png(figure))


def _page(study: Study, numbers: _Numbers, datasets: Mapping[str, Opened]) -> str:
    environment = Environment(
        loader=PackageLoader("alsweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    texts = resources.files("alsweep.report") / "templates"
    return environment.get_template("report.html").render(
        generator=f"{_MARK} {__version__}",
        style=(texts / "report.css").read_text(encoding="utf-8"),
        script=(texts / "report.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
        data=embeddable(_data(study, numbers)),
        study=study,
        cards=_cards(study),
        notices=captions.notices(study),
        budgets=BUDGETS,
        metrics={"mean_dice": "Mean Dice"} | {f"dice_{c}": c for c in study.class_names},
        results=tables.result_tables(study),
        further=tables.further_tables(study),
        efficiency=tables.efficiency_tables(study, numbers.efficiency),
        classes=tables.class_tables(study),
        queries=tables.query_tables(study),
        compute=tables.compute_tables(study),
        rates=tables.rate_table(study, numbers.matrix),
        ranks=tables.ranking_table(study, numbers.ranks),
        gallery=gallery(study, datasets),
        checklist=checklist(study, dict.fromkeys(datasets.values())),
        caption=_captions(study, numbers),
    )


def _captions(study: Study, numbers: _Numbers) -> dict[str, str]:
    return {
        "curves": captions.curves_caption(study),
        "efficiency": captions.efficiency_caption(study),
        "wins": captions.wins_caption(numbers.matrix),
        "power": captions.power_caption(study),
        "ranking": captions.ranking_caption(study, numbers.ranks),
        "compute": captions.compute_caption(study),
    }


def _data(study: Study, numbers: _Numbers) -> dict[str, Any]:
    """What the page's script draws."""
    return {
        "looks": [
            {
                "strategy": look.strategy,
                "name": look.name,
                "colour": look.colour,
                "symbol": look.symbol,
                "baseline": look.baseline,
            }
            for look in study.looks
        ],
        "budgets": BUDGETS,
        "curves": curves(study),
        "curveLayout": figures.layout(margin={"l": 60, "r": 14, "t": 12, "b": 52}, height=400),
        "curveAxis": figures.axis(""),
        "wins": {
            "none": figures.win_heat_map(numbers.matrix, study.looks),
            "holm": figures.win_heat_map(numbers.holm, study.looks),
        },
        "ranking": figures.rank_intervals(numbers.ranks, study.looks),
        "queries": [figures.foreground_of_queries(study, setting) for setting in study.settings],
        "compute": [figures.compute_bars(study, setting) for setting in study.settings],
    }


def _cards(study: Study) -> list[tuple[str, str]]:
    """The study in a few numbers."""
    total = len({t.id for run in study.runs for t in run.trajectories})
    configs = study.configs()
    loops = sorted({config.query.loops for config in configs})
    budgets = sorted({config.patches_at(config.query.loops - 1) for config in configs})
    return [
        ("trajectories finished", f"{study.done['trajectory'].nunique()} of {total}"),
        ("strategies", str(len(study.looks))),
        ("settings", str(len(study.settings))),
        ("seeds", str(len({config.seed for config in configs}))),
        ("loops", _span(loops)),
        ("patches at the end", _span(budgets)),
    ]


def _span(values: list[int]) -> str:
    if not values:
        return "—"
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def embeddable(value: object) -> str:
    """JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c")
