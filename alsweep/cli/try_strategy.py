"""``alsweep try``: what another strategy would have queried, without training."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alsweep.cli.options import Plugins
from alsweep.layout import tried_pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alsweep.config.strategy import StrategySpec
    from alsweep.report.queries import Query
    from alsweep.report.slices import Panel
    from alsweep.report.views import Seen
    from alsweep.results.records import QueriedPatch
    from alsweep.trajectory.stored_networks import StoredNetworks


def try_strategy(
    strategy: Annotated[
        str, typer.Argument(help="A strategy's name, or a YAML mapping as in a search space.")
    ],
    run: Annotated[Path, typer.Option(help="Run folder.")],
    trajectory: Annotated[str, typer.Option(help="Trajectory id, or the beginning of one.")],
    loop: Annotated[int, typer.Option(help="The query before this training; from 1.", min=0)],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write; one in RUN/report/try if left out.", show_default=False
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter; may be repeated."),
    ] = None,
    plugin: Plugins = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object.")] = False,
) -> None:
    """Ask another strategy, or the same with other parameters, in place of a query that was made.

    The networks are those that the run has stored: nothing is trained, and the run stays as it is.
    A picture shows both queries side by side.

    Example: alsweep try random --run runs/demo --trajectory predictive_entropy --loop 1
    """
    import json

    from alsweep.cli.networks import open_networks
    from alsweep.cli.progress import CaseProgress
    from alsweep.query.plugin_files import load_files
    from alsweep.report.queries import open_query
    from alsweep.storage.place import absolute
    from alsweep.storage.rooms import known_as, send, to_read
    from alsweep.sweep.run_folder import refuse_unwritable

    with to_read(run) as folder:
        query = open_query(folder, trajectory, loop)
        refuse_unwritable(absolute(out or folder))
        spec = _spec(strategy, settings or [])
        with CaseProgress("try") as progress:
            networks = open_networks(query, progress)
            real = _seen_then(query, networks)
            # Now: a version of the same file that the run keeps would take its place.
            load_files([file.absolute() for file in plugin or []])
            began = time.monotonic()
            found = _ask(networks, spec)
            summary = _summary(query, networks, spec, found) | {"seconds": time.monotonic() - began}
            picture = _draw(query, spec, (_panel(networks, spec, found), real), out)
        send(folder, picture)
        place = known_as(picture)
    if as_json:
        typer.echo(json.dumps(summary | {"picture": place}, indent=1))
        return
    _print(summary, query.dataset.classes)
    typer.echo(place)


def _ask(networks: "StoredNetworks", spec: "StrategySpec") -> "list[QueriedPatch]":
    """What the strategy queries; complaints do not name a search space, since none was given."""
    from alsweep.errors import ConfigError

    try:
        return networks.ask(spec)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("base.strategy: ")) from error


def _spec(strategy: str, settings: "Sequence[str]") -> "StrategySpec":
    """The strategy asked for, with its parameters.

    Raises:
        ConfigError: It is no name and no mapping, or a setting is no ``NAME=VALUE``.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from alsweep.config.overrides import ENDLESS, Override
    from alsweep.config.strategy import StrategySpec
    from alsweep.config.validation import validated
    from alsweep.errors import ConfigError

    try:
        given = YAML(typ="safe", pure=True).load(strategy)
    except YAMLError:
        given = None
    except RecursionError:
        raise ConfigError(f"STRATEGY: {ENDLESS}") from None
    raw = {"name": given} if isinstance(given, str) else given
    if not isinstance(raw, dict):
        raise ConfigError(f"{strategy}: expected a strategy's name, or a mapping as in YAML")
    for setting in settings:
        if not setting.partition("=")[1]:
            raise ConfigError(f"--set {setting}: write NAME=VALUE, e.g. beta=5")
        Override.parse(setting).apply(raw)
    return validated(StrategySpec, raw, {})


def _summary(
    query: "Query",
    networks: "StoredNetworks",
    spec: "StrategySpec",
    found: "Sequence[QueriedPatch]",
) -> dict[str, Any]:
    from dataclasses import asdict

    from alsweep.query.base import label_of
    from alsweep.trajectory.stored_networks import agreement

    config = query.trajectory.config
    assert config is not None
    agreed = agreement([one.patch for one in found], [one.patch for one in query.queried])
    return {
        "trajectory": query.trajectory.id,
        "loop": query.loop,
        "agreement": asdict(agreed),
        "queried": _plain(config.strategy.shown, query.queried, networks),
        "tried": _plain(label_of(spec), found, networks),
    }


def _plain(
    label: str, queried: "Sequence[QueriedPatch]", networks: "StoredNetworks"
) -> dict[str, Any]:
    from dataclasses import asdict

    mix = networks.mix(queried)
    return {
        "strategy": label,
        "foreground_share": mix.foreground_share,
        "class_voxels": mix.voxels,
        "class_shares": mix.shares,
        "patches_with_class": mix.patches,
        "patches": [asdict(one.patch) | {"score": one.score} for one in queried],
    }


def _seen_then(query: "Query", networks: "StoredNetworks") -> "Seen":
    """What the strategy of the run saw when it queried."""
    from alsweep.cli.networks import seen_by

    config = query.trajectory.config
    assert config is not None
    return seen_by(networks, config.strategy, [one.patch for one in query.queried])


def _panel(
    networks: "StoredNetworks", spec: "StrategySpec", found: "Sequence[QueriedPatch]"
) -> "Panel":
    from alsweep.cli.networks import seen_by
    from alsweep.query.base import label_of
    from alsweep.report.slices import Panel

    tried = seen_by(networks, spec, [one.patch for one in found])
    return Panel(f"tried: {label_of(spec)}", found, tried)


def _draw(
    query: "Query", spec: "StrategySpec", sides: "tuple[Panel, Seen]", out: Path | None
) -> Path:
    from alsweep.query.base import label_of
    from alsweep.report.queries import draw_pair

    default = tried_pictures(query.run, query.trajectory.id, query.loop)
    return draw_pair(query, *sides, (out or default) / f"{_file_name(label_of(spec))}.png")


def _file_name(label: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in label)[:80]


def _print(summary: dict[str, Any], classes: "Sequence[str]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    real, tried = summary["queried"], summary["tried"]
    heads = (f"queried: {real['strategy']}", f"tried: {tried['strategy']}")
    table = Table("", *map(escape, heads), title="Two queries")
    table.add_row("patches", *(str(len(side["patches"])) for side in (real, tried)))
    table.add_row("foreground", *(f"{100 * s['foreground_share']:.2f} %" for s in (real, tried)))
    for label, name in enumerate(classes):
        cells = [
            f"{100 * side['class_shares'][label]:.2f} % in {side['patches_with_class'][label]}"
            for side in (real, tried)
        ]
        table.add_row(escape(name), *cells)
    Console().print(table)
    agreed = summary["agreement"]
    typer.echo(
        f"of the tried patches {agreed['same']} are the same and {agreed['touching']} touch a "
        f"queried one; IoU of the voxels {agreed['iou']:.3f}; {summary['seconds']:.1f} s"
    )
