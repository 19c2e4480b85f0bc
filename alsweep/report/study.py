"""What a report is about: runs, their table, and how strategies and settings are shown."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from alsweep.config.report import ReportConfig, joined
from alsweep.config.strategy import StrategySpec
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import StrategyError
from alsweep.layout import plugins_folder
from alsweep.query import make_strategy, strategies
from alsweep.query.plugin_files import load_stored
from alsweep.report.declared import declared
from alsweep.results.fulldata import FullDataRecord, read_references
from alsweep.results.labels import fitted_runs, new_labels
from alsweep.results.load import each_once
from alsweep.results.published import read_published
from alsweep.results.records import RunFolder, TrajectoryFolder, read_run
from alsweep.results.settings import named_settings
from alsweep.results.table import frame, write_table

logger = logging.getLogger(__name__)

PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#8C6D00",
    "#56B4E9",
    "#882255",
    "#4D4D4D",
    "#44AA99",
    "#AA4499",
)
"""Colours that stay apart for colour-blind readers (Okabe and Ito, Tol), dark enough for lines."""

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")


@dataclass(frozen=True)
class Look:
    """How a strategy is drawn, in all figures alike.

    Attributes:
        strategy: Its label.
        colour: Hex.
        symbol: Marker, in plotly's words.
        baseline: Uses no network; drawn dashed with white markers.
        oracle: Looks at the reference labels to place patches; marked in names.
    """

    strategy: str
    colour: str
    symbol: str
    baseline: bool
    oracle: bool

    @property
    def name(self) -> str:
        """Label for people, with the mark of those who use the oracle."""
        return f"{self.strategy} †" if self.oracle else self.strategy


@dataclass(frozen=True, eq=False)
class Study:
    """One or several runs, read once.

    Attributes:
        runs: In the order given.
        table: The tidy table, rows of all states.
        looks: Strategies in the order of the sweep.
        settings: Hash to a readable name, in the order of the sweep.
        trajectories: All that have begun, each once.
        references: Full-data references by setting; settings without any are left out.
        asked: Which strategies to compare with, and what difference is none.
        remarks: What is not shown as the runs have it, since it would not fit where they meet.
    """

    runs: tuple[RunFolder, ...]
    table: pd.DataFrame
    looks: tuple[Look, ...]
    settings: Mapping[str, str]
    trajectories: tuple[TrajectoryFolder, ...]
    references: Mapping[str, tuple[FullDataRecord, ...]]
    asked: ReportConfig
    remarks: tuple[str, ...] = ()
    published: pd.DataFrame | None = None

    @property
    def title(self) -> str:
        """Names of the sweeps."""
        return ", ".join(dict.fromkeys(run.name for run in self.runs))

    @property
    def done(self) -> pd.DataFrame:
        """Rows of finished trajectories."""
        return self.table[self.table["status"] == "done"]

    @property
    def class_names(self) -> list[str]:
        """Foreground classes that have a Dice column."""
        columns = map(str, self.table.columns)
        return [c.removeprefix("dice_") for c in columns if c.startswith("dice_")]

    def classes_of(self, setting: str) -> list[str]:
        """Foreground classes that a setting's dataset has, in its order."""
        records = (r for t in self.trajectories for r in t.records if r.setting == setting)
        return list(dict.fromkeys(name for record in records for name in record.dice))

    def configs(self) -> list[TrajectoryConfig]:
        """Configs of all trajectories that have begun."""
        return [t.config for t in self.trajectories if t.config is not None]


def read_study(runs: Sequence[Path | RunFolder], published: Path | None = None) -> Study:
    """Read runs, bringing their results.parquet up to date on the way.

    Args:
        runs: Run folders, or what was read elsewhere.
        published: A table of other people's results to show beside them.

    Raises:
        RunFolderError: A path is no run folder.
        RecordError: A file in it is broken.
    """
    places = dict.fromkeys(run for run in runs if not isinstance(run, RunFolder))
    read = [*map(_read, places), *(run for run in runs if isinstance(run, RunFolder))]
    fitted, remarks = fitted_runs(read)
    names = named_settings(fitted)
    table, more = each_once({str(run.path): frame(run, names) for run in fitted})
    for remark in (*remarks, *more):
        logger.warning("%s", remark)
    trajectories = tuple(t for t in _each_once(fitted) if t.config is not None)
    return Study(
        fitted,
        table,
        _looks(trajectories),
        names,
        trajectories,
        read_references(fitted),
        joined(_asked(read, fitted), _names(trajectories)),
        (*remarks, *more),
        None if published is None else read_published(published),
    )


def _asked(runs: Iterable[RunFolder], fitted: Iterable[RunFolder]) -> Iterable[ReportConfig]:
    """What each run asks for, with its controls called as they are here."""
    for run, here in zip(runs, fitted, strict=True):
        yield declared(run.path).renamed(new_labels(run, here))


def _names(trajectories: Iterable[TrajectoryFolder]) -> dict[str, str]:
    """Label of each strategy to its name."""
    specs = [t.config.strategy for t in trajectories if t.config is not None]
    return {spec.shown: spec.name for spec in specs}


def _each_once(runs: Iterable[RunFolder]) -> Iterable[TrajectoryFolder]:
    """Each trajectory from the run that the table has it from, in the order of the runs."""
    found: dict[str, TrajectoryFolder] = {}
    for run in runs:
        for trajectory in run.trajectories:
            known = found.setdefault(trajectory.id, trajectory)
            better = trajectory.status == "done" or (trajectory.records and not known.records)
            if known.status != "done" and better:
                found[trajectory.id] = trajectory
    return found.values()


def _read(path: Path) -> RunFolder:
    """Read a run folder, and keep its table."""
    run = read_run(path)
    try:
        write_table(run)
    except OSError as error:
        # A run that somebody else owns can still be reported on.
        logger.info("results.parquet stays as it is: %s", error.strerror or error)
    return run


def _looks(trajectories: Iterable[TrajectoryFolder]) -> tuple[Look, ...]:
    ones = {
        t.config.strategy.shown: (t.config.strategy, t.folder) for t in trajectories if t.config
    }
    known = {name: entry for entry in strategies() for name in (entry["name"], *entry["aliases"])}
    looks = []
    for index, (label, (spec, folder)) in enumerate(ones.items()):
        colour = PALETTE[index % len(PALETTE)]
        symbol = SYMBOLS[index // len(PALETTE) % len(SYMBOLS)]
        # A strategy of a plug-in that is not installed here is drawn plainly.
        traits = known.get(spec.name, {"needs": ["probs"], "uses_oracle": False})
        if spec.plugins:
            traits = _traits_of_file(spec, folder.parents[1], traits)
        looks.append(Look(label, colour, symbol, traits["needs"] == [], traits["uses_oracle"]))
    return tuple(looks)


def _traits_of_file(spec: StrategySpec, run: Path, otherwise: dict[str, Any]) -> dict[str, Any]:
    """What a strategy from a file says of itself; two runs may hold two versions of one file."""
    try:
        load_stored(plugins_folder(run), spec.plugins)
        made = make_strategy(spec)
        return {"needs": list(made.needs), "uses_oracle": made.uses_oracle}
    except StrategyError:  # the file is gone or was changed
        return otherwise
