"""``alsweep inspect``: what a Dataset holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from alsweep.data.case import CaseInfo, Dataset
    from alsweep.data.channels import Normalisation

_CASE_COLUMNS = 24


def inspect(
    dataset: Annotated[Path, typer.Argument(help="A Dataset folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one object.")] = False,
) -> None:
    """Show cases, spacing, classes, channels, normalisation, plan and fingerprint of a Dataset.

    Example: alsweep inspect data/phantom
    """
    import json

    from alsweep.data.case import Dataset
    from alsweep.data.ingest.remarks_of_content import remarks_of_content

    opened = Dataset.open(dataset)
    for remark in remarks_of_content(opened):
        typer.echo(f"warning: {remark}", err=True)
    if as_json:
        typer.echo(json.dumps(_summary(opened), indent=1))
        return
    from rich.console import Console

    console = Console()
    console.print(_case_table(opened))
    console.print(_class_table(opened))
    for label, text in _facts(opened).items():
        console.print(f"{label:>14}  {text}", highlight=False, markup=False, soft_wrap=True)


def _summary(dataset: "Dataset") -> dict[str, Any]:
    from alsweep.data.ingest.free import free_shares
    from alsweep.data.ingest.remarks_of_content import remarks_of_content
    from alsweep.storage.place import spelled

    free = free_shares(dataset)
    cases = [
        case.model_dump(
            mode="json",
            include={
                "id",
                "part",
                "shape",
                "class_voxels",
                "original_shape",
                "original_spacing",
                "crop",
            },
        )
        | {"foreground_share": _foreground_share([case]), "free_share": free.get(case.id)}
        for case in dataset.cases.values()
    ]
    return {
        "path": spelled(dataset.path),
        **dataset.manifest.model_dump(mode="json", exclude={"format", "cases"}),
        "foreground_share": _foreground_share(list(dataset.cases.values())),
        "cases": cases,
        "warnings": remarks_of_content(dataset),
    }


def _foreground_share(cases: "list[CaseInfo]") -> float | None:
    """Over the cases with reference labels; None where there are none."""
    known = [case for case in cases if case.has_reference]
    voxels = sum(case.voxels for case in known)
    return sum(sum(case.class_voxels[1:]) for case in known) / voxels if known else None


def _case_table(dataset: "Dataset") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"Dataset {dataset.name}"), box=SIMPLE_HEAD)
    longest = max(map(len, dataset.cases), default=0)
    table.add_column("case", overflow="fold", min_width=min(longest, _CASE_COLUMNS))
    table.add_column("part", no_wrap=True)
    for name in ("voxels", "source mm"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in dataset.classes[1:]:
        table.add_column(escape(f"{name} %"), justify="right", overflow="fold")
    for case in dataset.cases.values():
        shares = [
            f"{100 * n / case.voxels:.2f}" if case.has_reference else "-"
            for n in case.class_voxels[1:]
        ]
        table.add_row(
            escape(case.id), case.part, _by(case.shape), _by(case.original_spacing), *shares
        )
    return table


def _class_table(dataset: "Dataset") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "label", "class", box=SIMPLE_HEAD, title="Classes, by part: cases with it, voxels"
    )
    parts = {
        "pool": dataset.pool,
        "validation": dataset.validation,
        "test": dataset.test,
    }
    shown = {part: ids for part, ids in parts.items() if ids}
    for part in shown:
        table.add_column(part, justify="right")
    for label, name in enumerate(dataset.classes):
        cells = []
        for ids in shown.values():
            counts = [dataset.cases[case].class_voxels[label] for case in ids]
            cells.append(f"{sum(map(bool, counts))} of {len(ids)}, {sum(counts):,}")
        table.add_row(str(label), escape(name), *cells)
    return table


def _facts(dataset: "Dataset") -> dict[str, str]:
    from alsweep.data.ingest.free import free_shares, free_text
    from alsweep.data.raw.layout import distinct

    manifest, plan = dataset.manifest, dataset.manifest.plan
    channels = zip(distinct(dataset.channels), manifest.normalisation, strict=True)
    regions = "; ".join(f"{r.name}: {', '.join(map(str, r.labels))}" for r in manifest.regions)
    share = _foreground_share(list(dataset.cases.values()))
    unlabelled = sum(not case.has_reference for case in dataset.cases.values())
    free = free_shares(dataset)
    return {
        "cases": f"{len(dataset.pool)} pool, {len(dataset.validation)} validation, "
        f"{len(dataset.test)} test",
        "spacing": f"{_by(manifest.spacing)} mm (z y x)",
        "channels": "; ".join(f"{name}: {_normalisation(how)}" for name, how in channels),
        "foreground": "unknown" if share is None else f"{100 * share:.2f} % of voxels",
        "plan": f"patch {_by(plan.patch_size)}, batch {plan.batch_size}, "
        f"halvings {_by(plan.pooling)}, median shape {_by(plan.median_shape)}",
        **({"regions": regions} if regions else {}),
        **({"without reference": f"{unlabelled} cases of the pool"} if unlabelled else {}),
        **({"free labels": free_text(dataset, free)} if free else {}),
        "fingerprint": dataset.fingerprint,
    }


def _normalisation(how: "Normalisation") -> str:
    if how.scheme != "ct":
        return how.scheme + (" of the nonzero voxels" if how.masked else "")
    return f"ct, clipped to {how.low:g}..{how.high:g}, mean {how.mean:g}, std {how.std:g}"


def _by(numbers: tuple[float, ...]) -> str:
    return "x".join(f"{number:.4g}" for number in numbers)
