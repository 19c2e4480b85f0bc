"""``alsweep strategies``: which strategies there are, with their parameters and sources."""

from typing import Annotated

import typer


def strategies(
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON list.")] = False,
) -> None:
    """List all strategies with their parameters, defaults, ranges and source.

    Example: alsweep strategies --json
    """
    import json

    from alsweep.query import strategies as known

    found = known()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("strategy", "what it does", "parameters", "oracle", "source", title="Strategies")
    for entry in found:
        parameters = "\n".join(
            f"{p['name']}={p['default']} [{p['low']}, {p['high']}] {p['help']}"
            for p in entry["parameters"]
        )
        oracle = "yes" if entry["uses_oracle"] else ""
        table.add_row(entry["name"], entry["summary"], parameters, oracle, entry["source"])
    Console().print(table)
