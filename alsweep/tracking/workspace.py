"""A saved view of a sweep at W&B: curves against annotated patches, the win matrix, queries."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alsweep.config.base import STORED, Frozen
from alsweep.config.sweep import WandbConfig
from alsweep.errors import ConfigError
from alsweep.files import write_json
from alsweep.layout import wandb_folder

_X = "al/annotated_patches"
_MOST_RUNS = 1000


class _View(Frozen):
    """The view that was saved, so that it is replaced and never doubled."""

    entity: str
    project: str
    id: str
    name: str


def make_workspace(sweep: str, entity: str, project: str, classes: Sequence[str]) -> Any:
    """Make a view of a sweep, without a word to any server.

    Runs are grouped by setting and strategy, those of the sweep alone; its analysis is among them.

    Args:
        sweep: Its name, which its runs bear as a tag.
        entity: Whose project.
        project: Where the runs are.
        classes: Foreground classes, each with a curve of its own.

    Raises:
        ConfigError: wandb-workspaces is not installed.
    """
    if find_spec("wandb_workspaces") is None:
        raise ConfigError(
            "wandb-workspace needs the package wandb-workspaces; pip install 'alsweep[sinks]'"
        )
    import wandb_workspaces.workspaces as ws

    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"alsweep: {sweep}",
        sections=_sections(classes),
        settings=ws.WorkspaceSettings(x_axis=_X, max_runs=_MOST_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=ws.And(ws.Tags().isin([sweep])),
            groupby=[ws.Config("setting"), ws.Config("strategy_label")],
            order=[ws.Ordering(ws.Summary("aubc"), ascending=False)],
        ),
    )


def _sections(classes: Sequence[str]) -> list[Any]:
    import wandb_workspaces.reports.v2 as panels
    import wandb_workspaces.workspaces as ws

    names = {"al/mean_dice": "Mean Dice", **{f"al/dice/{c}": f"Dice of {c}" for c in classes}}
    curves = [
        panels.LinePlot(
            title=f"{title} over annotated patches (mean and standard deviation over seeds)",
            x=_X,
            y=[metric],
            title_x="annotated patches",
            title_y="Dice",
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            max_runs_to_show=_MOST_RUNS,
        )
        for metric, title in names.items()
    ]
    matrix = [
        panels.MediaBrowser(title="Who beats whom", media_keys=["figure_win_matrix"]),
        panels.MediaBrowser(title="Win matrix as a picture", media_keys=["picture_win_matrix"]),
        *(
            panels.WeavePanelSummaryTable(table_name=f"table_{name}")
            for name in ("win_matrix", "comparisons", "ranking")
        ),
    ]
    cost = [
        panels.LinePlot(title=f"{what} a loop", x="loop", y=[f"al/{what}"])
        for what in ("train_seconds", "query_seconds", "foreground_fraction")
    ]
    return [
        ws.Section(name="Learning curves", panels=curves, is_open=True),
        ws.Section(name="Win matrix (from the analysis run)", panels=matrix, is_open=True),
        ws.Section(name="Queries", panels=[panels.WeavePanelSummaryTable(table_name="queries")]),
        ws.Section(name="Cost", panels=cost),
    ]


def spec(workspace: Any) -> str:
    """What is sent to the server for a view, as JSON."""
    text: str = workspace._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)
    return text


def save_workspace(run: Path, settings: WandbConfig, sweep: str, classes: Sequence[str]) -> str:
    """Save the view at W&B, in place of the one that was saved for this run before.

    Returns:
        Its address.
    """
    import wandb

    entity = settings.entity or wandb.Api().default_entity
    workspace = make_workspace(sweep, str(entity), settings.project, classes)
    place = wandb_folder(run) / "view.json"
    known = _known(place)
    if known is not None and (known.entity, known.project) == (entity, settings.project):
        workspace._internal_id, workspace._internal_name = known.id, known.name
    workspace.save()
    view = _View(
        entity=str(entity),
        project=settings.project,
        id=workspace._internal_id,
        name=workspace._internal_name,
    )
    write_json(place, view.plain())
    return str(workspace.url)


def _known(place: Path) -> _View | None:
    try:
        return _View.model_validate_json(place.read_bytes(), context=STORED)
    except (FileNotFoundError, ValueError):
        return None
