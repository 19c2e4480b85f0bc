"""``alsweep strategies``: which strategies there are, with their parameters and sources."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from alsweep.cli.options import Plugins


def strategies(
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON list.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="The tables of docs/strategies.md, with all stages.")
    ] = False,
    plugin: Plugins = None,
) -> None:
    """List all strategies with their parameters, defaults, ranges and source.

    Example: alsweep strategies --json
    """
    import json

    from alsweep.query import strategies as known
    from alsweep.query.plugin_files import load_files

    load_files([file.absolute() for file in plugin or []])
    if as_json:
        typer.echo(json.dumps(known(), indent=1))
    elif as_markdown:
        from alsweep.query.reference import markdown

        typer.echo(markdown(), nl=False)
    else:
        from alsweep.query.base import adapted

        listed = known()
        _show(listed, {entry["name"]: adapted(entry["name"]) for entry in listed})


def _show(found: list[dict[str, Any]], adaptations: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from alsweep.query.reference import cost_of
    from alsweep.query.stages import KINDS

    head = ("strategy", "what it does", "parameters", "oracle", "needs, cost", "source, adapted")
    table = Table(*head, title="Strategies")
    for entry in found:
        oracle = "yes" if entry["uses_oracle"] else ""
        shown = _shown(entry["parameters"])
        needs = "\n".join([", ".join(entry["needs"] or ()), cost_of(entry)]).strip()
        source = "\n".join([entry["source"], adaptations[entry["name"]]]).strip()
        cells = (entry["name"], entry["summary"], shown, oracle, needs, source)
        table.add_row(*map(escape, cells))
    stages = Table("kind", "stages", title="Stages, for strategies spelled out")
    for kind, registry in KINDS.items():
        stages.add_row(kind, escape(", ".join(registry)))
    console = Console()
    console.print(table, stages)


def _shown(parameters: list[dict[str, Any]]) -> str:
    from alsweep.query.reference import legal_values

    lines = []
    for entry in parameters:
        default = "" if entry["default"] is None else f"={entry['default']}"
        lines.append(f"{entry['name']}{default} ({legal_values(entry)}): {entry['help']}")
    return "\n".join(lines)
