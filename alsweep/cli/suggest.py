"""``alsweep suggest``: the next patches for people to label."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alsweep.cli.options import Address, Overrides, Plugins, RunPlace
from alsweep.layout import space_path
from alsweep.storage.place import absolute
from alsweep.storage.rooms import refuse_remote

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.sweep.plan import Plan
    from alsweep.sweep.suggesting import Suggested

INTERRUPTED = 130

Raw = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="The images, if not where they were ingested from."),
]
Slicer = Annotated[
    bool, typer.Option("--seg-nrrd", help="Labels for 3D Slicer besides, as .seg.nrrd.")
]


def suggest(
    what: Annotated[
        Path, typer.Argument(metavar="SPACE_OR_RUN", help="Search space to begin, or run folder.")
    ],
    out: RunPlace = None,
    trajectory: Annotated[
        str | None, typer.Option(help="Id, or its beginning; where the run has several.")
    ] = None,
    patches: Annotated[
        int | None, typer.Option(min=1, help="How many to choose (default: query.patches).")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why each patch was chosen.")
    ] = False,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="Train without the patches that nobody has labelled.")
    ] = False,
    raw: Raw = None,
    seg_nrrd: Slicer = False,
    set_: Overrides = None,
    plugin: Plugins = None,
    address: Address = None,
) -> int:
    """Train on what people have labelled, and choose the patches to label next.

    Writes RUN/tasks/loop_NNN: a page to label on, images, predictions and empty labels. Hand the
    labels in with 'alsweep ingest-labels', then call this again.

    Example: alsweep suggest search_spaces/people.yaml --out runs/liver --patches 20
    """
    from alsweep.cli.run import Terminal, tell
    from alsweep.people.tasks import TaskOptions
    from alsweep.sweep.suggesting import Wishes
    from alsweep.sweep.suggesting import suggest as go_on_with

    plan, run = _planned(what, out, set_ or [], plugin or [])
    wishes = Wishes(patches, go_on, TaskOptions(_place(raw), segmentations=seg_nrrd))
    try:
        found = go_on_with(plan, run, trajectory, Terminal(), wishes, address=_cluster(address))
    except KeyboardInterrupt:
        again = "" if trajectory is None else f" --trajectory {trajectory}"
        told = f"alsweep suggest {_said(run)}{again}"
        tell(f"interrupted; what was finished is saved. Go on with: {told}")
        return INTERRUPTED
    _tell(found, run, explain=explain)
    return 0


def _place(path: Path | None) -> Path | None:
    return None if path is None else absolute(path)


def _cluster(address: str | None) -> str | None:
    from alsweep.sweep.environment import cluster_address

    return cluster_address(address)


def _planned(
    what: Path, out: Path | None, overrides: list[str], plugins: list[Path]
) -> "tuple[Plan, Path]":
    """What is to be done, and where."""
    from alsweep.cli.run import read_space, tell
    from alsweep.errors import ConfigError
    from alsweep.sweep.planning import plan_read

    refuse_remote(what, "SPACE_OR_RUN")
    refuse_remote(out, "--out")
    if what.is_dir():
        for value, name in ((out, "--out"), (overrides, "--set"), (plugins, "--plugin")):
            if value:
                raise ConfigError(f"{name}: is for a search space; {what} is a run, which has all")
        return people_plan(what), absolute(what)
    sweep, run = read_space(what, out, overrides, plugins)
    asked = [*overrides, *_meant_for_people(sweep)]
    sweep, run = read_space(what, out, asked, plugins)
    return plan_read(sweep, what, run, asked, tell, people=True), run


def people_plan(run: Path) -> "Plan":
    """The plan of a run that people label for.

    Raises:
        RunFolderError: It is no run folder.
        ConfigError: Nobody labels for it.
    """
    from alsweep.cli.run import tell
    from alsweep.errors import ConfigError
    from alsweep.sweep.planning import plan_of
    from alsweep.sweep.run_folder import stored_sweep

    plan = plan_of(stored_sweep(run), space_path(run), absolute(run), tell, people=True)
    if any(one.config.annotator.kind != "human" for one in plan.trajectories):
        raise ConfigError(
            f"{run}: was made by 'alsweep run', which asks nobody; begin one for people with "
            "'alsweep suggest SPACE --out NEW'"
        )
    return plan


def _meant_for_people(sweep: "SweepConfig") -> list[str]:
    """What a search space means in front of people, where it says nothing of it itself."""
    from alsweep.cli.run import tell
    from alsweep.errors import ConfigError

    if asked := [key for key in sweep.grid if key.split(".")[0] == "annotator"]:
        raise ConfigError(
            f"grid.{asked[0]}: people label whatever is written here; take it out of the grid"
        )

    def says(*keys: str) -> bool:
        value: Any = sweep.base
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        return True

    meant = []
    if (said := sweep.base.get("annotator", {}).get("kind")) != "human":
        if said is not None:
            tell(f"warning: base.annotator: people label in place of the {said}")
        meant.append("base.annotator={kind: human}")
    if not says("starting_budget", "strategy"):
        # No other start does without labels.
        meant.append("base.starting_budget.strategy=random")
    if not says("query", "on_shortfall"):
        meant.append("base.query.on_shortfall=take_all")
    return meant


def _said(run: Path) -> str:
    return shlex.quote(str(run))


def _tell(found: "Suggested", run: Path, *, explain: bool) -> None:
    from alsweep.cli.run import tell

    for task in found.left_out:
        tell(f"warning: skipped {task.id}: nobody has labelled it; it may be chosen again")
    if found.labelling.records:
        tell(found.outlook)
    if found.folder is None:
        typer.echo("nothing is left to label; networks and results are in the run")
        return
    waiting, every = len(found.waiting), len(found.tasks)
    if explain:
        _explain(found)
    typer.echo(str(found.folder))
    if waiting == every:
        tell(f"{every} patches to label: open annotate.html there in a browser")
    else:
        names = ", ".join(task.id for task in found.waiting[:3])
        tell(f"{waiting} of {every} patches wait for labels ({names}{'...' * (waiting > 3)})")
    again = f" --trajectory {found.labelling.id}" if found.labelling.several else ""
    handed = f"alsweep ingest-labels {_said(run)} FILES"
    tell(f"then: {handed}; and again: alsweep suggest {_said(run)}{again}")


def _explain(found: "Suggested") -> None:
    from alsweep.people.tasks import read_explained

    assert found.folder is not None
    for one in read_explained(found.folder):
        typer.echo(f"{one.patch}: {one.words}")
