"""One self-contained page, and the files beside it; what is in them is the sections' matter."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from alsweep import __version__
from alsweep.data.inside import refuse_inside_dataset
from alsweep.errors import RunFolderError
from alsweep.files import is_litter, write_bytes
from alsweep.layout import QUERY_PICTURES, RESULTS, TRIED_PICTURES, report_folder, report_page
from alsweep.report import captions
from alsweep.report.explore import Chosen
from alsweep.report.exported import names_of, table_files
from alsweep.report.figures import both, dark_colours
from alsweep.report.pictured import picture_files, picture_names
from alsweep.report.replacing import foreign, replacing
from alsweep.report.section import Block, Material, Section, chip
from alsweep.report.sections import sections
from alsweep.report.study import Study, read_study
from alsweep.report.tables import MARKS
from alsweep.report.volumes import open_datasets
from alsweep.results.records import RunFolder
from alsweep.results.table import parquet

_MARK = "alsweep report"
"""In the page's generator tag; a page without it is not ours to replace."""


def write_report(
    runs: Sequence[Path | RunFolder],
    out: Path | None = None,
    published: Path | None = None,
    *,
    refresh: int | None = None,
    chosen: Chosen | None = None,
    pictures: bool = True,
) -> Path:
    """Write the report of one or several runs; what an older report left there is replaced.

    Args:
        runs: Run folders, or what was read elsewhere, which needs a place of its own.
        out: Folder to write; the ``report`` folder of the run if left out.
        published: A table of other people's results, shown beside them.
        refresh: Seconds after which a page that is open loads itself anew; None is never.
        chosen: Which trajectories are shown in space, and who asks their networks.
        pictures: Whether all figures are drawn as files; else learning curves and win matrix are.

    Returns:
        The page, DIR/index.html.

    Raises:
        RunFolderError: A run is none, ``out`` is needed, or it holds something else.
        DatasetError: ``out`` lies in a Dataset.
        RecordError: A file of a run is broken.
    """
    first = runs[0]
    if out is None and (len(runs) != 1 or isinstance(first, RunFolder)):
        raise RunFolderError("a report on several runs needs a place of its own; add --out DIR")
    folder = out or report_folder(first.path if isinstance(first, RunFolder) else first)
    known = sections()
    _check_folder(folder, {name for one in known for name in _names_of(one)})
    study = read_study(runs, published)
    material = Material(study, open_datasets(study), chosen)
    page = report_page(folder)
    with replacing(folder, last=page.name) as new:
        shown = [section for section in known if section.applies(material)]
        for name, content in _files(shown, material):
            write_bytes(new / name, content)
        if any(isinstance(run, RunFolder) for run in runs):
            write_bytes(new / RESULTS, parquet(study.runs))
        made = [(section, list(section.blocks(material))) for section in shown]
        for name, content in (*table_files(made), *picture_files(made, every=pictures)):
            write_bytes(new / name, content)
        write_bytes(report_page(new), _page(made, material, refresh).encode())
    return page


def _names_of(section: Section) -> tuple[str, ...]:
    """What lies beside the page because of a section."""
    return (*section.files, *names_of(section), *picture_names(section))


def _check_folder(folder: Path, files: Iterable[str]) -> None:
    """Refuse a folder that holds something that no report would have put there, or a Dataset's."""
    refuse_inside_dataset(folder)
    if not folder.exists():
        return
    page = report_page(folder)
    alien: str | None
    ours = {page.name, QUERY_PICTURES, TRIED_PICTURES, RESULTS, *files}
    alien = folder.name
    if folder.is_dir():
        has_page = page.exists() and _MARK in page.read_text("utf-8", errors="replace")[:2000]
        folders = [path.name for path in folder.iterdir() if path.is_dir()]
        other = [
            n for n in folders if n not in ours and not n.endswith(".tmp") and not is_litter(n)
        ]
        alien = next(iter(other), None) or foreign(folder, ours if has_page else ())
    if alien is not None:
        raise RunFolderError(
            f"{folder}: holds something else than a report: {alien}, which no report wrote as it "
            "is; move it elsewhere, or choose another --out"
        )


def figure_data(material: Material) -> dict[str, bytes]:
    """The tables beside a page, by name: what its figures are made of."""
    shown = [section for section in sections() if section.applies(material)]
    return dict(_files(shown, material, ending=".csv"))


def _files(
    shown: Iterable[Section], material: Material, ending: str = ""
) -> Iterator[tuple[str, bytes]]:
    """The files of the sections; one may have no content in this study."""
    for section in shown:
        for name, make in section.files.items():
            content = make(material) if name.endswith(ending) else None
            if content is not None:
                yield name, content


@cache
def _template() -> Template:
    """Compiled once, however many reports a watch writes."""
    environment = Environment(
        loader=PackageLoader("alsweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"embedded": embeddable, "chip": chip, "both": both}
    return environment.get_template("report.html")


def _page(
    made: Sequence[tuple[Section, Sequence[Block]]], material: Material, refresh: int | None
) -> str:
    texts = resources.files("alsweep.report") / "templates"
    return _template().render(
        generator=f"{_MARK} {__version__}",
        style=(texts / "report.css").read_text(encoding="utf-8"),
        script=(texts / "report.js").read_text(encoding="utf-8"),
        dark=dark_colours(),
        plotly=get_plotlyjs(),
        refresh=refresh,
        marks=MARKS,
        title=material.study.title,
        cards=_cards(material.study),
        notices=[*material.study.remarks, *_notices(material)],
        sections=[(section, blocks) for section, blocks in made if blocks],
    )


def _notices(material: Material) -> list[str]:
    opened = dict.fromkeys(material.datasets.values())
    of_data = [one.notice for one in opened if one.notice is not None]
    return [*of_data, *captions.notices(material.study)]


def _cards(study: Study) -> list[tuple[str, str]]:
    """The study in a few numbers."""
    total = len({t.id for run in study.runs for t in run.trajectories})
    configs = study.configs()
    loops = {config.query.loops for config in configs}
    budgets = {config.patches_at(config.query.loops - 1) for config in configs}
    return [
        ("trajectories finished", f"{study.done['trajectory'].nunique()} of {total}"),
        ("strategies", str(len(study.looks))),
        ("settings", str(len(study.settings))),
        ("seeds", _seeds(study)),
        ("loops", captions.span(loops)),
        ("patches at the end", captions.span(budgets)),
    ]


def _seeds(study: Study) -> str:
    """As many as each strategy has; all that have begun, where strategies have the same number."""
    counts = captions.seed_counts(study).unique().tolist()
    return captions.span(counts) if len(counts) > 1 else str(len({c.seed for c in study.configs()}))


def embeddable(value: object) -> Markup:
    """JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c"))
