"""``alsweep ingest``: a raw dataset becomes a Dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from alsweep.cli.progress import CaseProgress
from alsweep.storage.place import spelled

if TYPE_CHECKING:
    from alsweep.data.case import Dataset
    from alsweep.data.ingest.conversion import Ingested


def ingest(
    raw: Annotated[Path, typer.Argument(help="nnU-Net (v2 or v1) or Decathlon folder.")],
    out: Annotated[Path, typer.Option(help="The Dataset folder to make.")],
    bad_cases: Annotated[
        Literal["refuse", "skip"], typer.Option(help="What to do when a case is unusable.")
    ] = "refuse",
    group_by: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Cases with an equal match stay in one part."),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(help="Validating fold of splits_final.json (default 0).")
    ] = None,
    spacing: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="Z Y X", help="Voxel size in mm (default: median rule)."),
    ] = None,
    plans: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="An nnUNetPlans.json for spacing, normalisation and patch size."
        ),
    ] = None,
    follow_links: Annotated[
        bool,
        typer.Option(
            "--follow-links",
            help="Read files that links, or paths in dataset.json, name elsewhere.",
        ),
    ] = False,
    affine_tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="VOXELS",
            help="How far files of a case may lie apart (default 0.5; a warning from 0.05).",
        ),
    ] = None,
    free_air: Annotated[
        bool,
        typer.Option(
            "--free-air", help="Label the air round the body as background, at no cost to a budget."
        ),
    ] = False,
    unlabelled: Annotated[
        bool,
        typer.Option(
            "--unlabelled", help="Cases may lack labels, for people to give; see alsweep suggest."
        ),
    ] = False,
    labels_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="With --unlabelled: labels of some voxels, 255 elsewhere."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one object.")] = False,
) -> None:
    """Check, split, normalise and resample a raw dataset, once; every run then shares the result.

    Example: alsweep ingest nnUNet_raw/Dataset004_Hippocampus --out data/hippocampus
    """
    from dataclasses import replace

    from alsweep.data.ingest import conversion as room
    from alsweep.data.remote import to_make
    from alsweep.sweep.environment import expanded

    options = room.IngestOptions(
        skip_bad=bad_cases == "skip",
        group_by=group_by,
        fold=fold,
        spacing=_positive(spacing),
        plans=None if plans is None else expanded(plans, "--plans"),
        follow_links=follow_links,
        affine_tolerance=_tolerance(affine_tolerance),
        free_air=free_air,
        unlabelled=unlabelled,
        labels_from=None if labels_from is None else expanded(labels_from, "--labels-from"),
    )
    with CaseProgress("ingest") as progress, to_make(out) as made:
        ingested = room.ingest(expanded(raw, "RAW"), made.folder, options, progress.show)
        ingested = replace(ingested, dataset=made.placed(ingested.dataset))
    for case, reason in ingested.skipped.items():
        typer.echo(f"warning: skipped case {case}: {reason}", err=True)
    for remark in ingested.remarks:
        typer.echo(f"warning: {remark}", err=True)
    if as_json:
        import json

        typer.echo(json.dumps(_summary(ingested), indent=1))
    else:
        typer.echo(_text(spelled(out), ingested))


def _positive(spacing: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
    from math import isfinite

    from alsweep.errors import IngestError

    if spacing is not None and not all(isfinite(value) and value > 0 for value in spacing):
        raise IngestError(
            f"--spacing {' '.join(map(str, spacing))}: write three positive numbers, mm, z y x"
        )
    return spacing


def _tolerance(voxels: float | None) -> float:
    from math import isfinite

    from alsweep.data.ingest.placing import AFFINE_TOLERANCE
    from alsweep.errors import IngestError

    if voxels is None:
        return AFFINE_TOLERANCE
    if not (isfinite(voxels) and voxels >= 0):
        raise IngestError(f"--affine-tolerance {voxels:g}: write a number of voxels, 0 or more")
    return voxels


def _summary(ingested: "Ingested") -> dict[str, Any]:
    from alsweep.data.ingest.free import free_shares

    dataset = ingested.dataset
    return {
        "dataset": spelled(dataset.path),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "cases": {
            "pool": len(dataset.pool),
            "validation": len(dataset.validation),
            "test": len(dataset.test),
        },
        "skipped": ingested.skipped,
        "classes": dataset.classes,
        "channels": dataset.channels,
        "spacing": dataset.manifest.spacing,
        "plan": dataset.manifest.plan.plain(),
        "free_shares": free_shares(dataset),
        "warnings": ingested.remarks,
    }


def _text(out: str, ingested: "Ingested") -> str:
    dataset = ingested.dataset
    parts = f"{len(dataset.pool)} pool, {len(dataset.validation)} validation"
    if dataset.test:
        parts += f", {len(dataset.test)} test"
    skipped = f"; {len(ingested.skipped)} skipped" if ingested.skipped else ""
    spacing = " x ".join(f"{value:g}" for value in dataset.manifest.spacing)
    return (
        f"{out}: {len(dataset.cases)} cases ({parts}{skipped}), {len(dataset.classes)} classes, "
        f"{spacing} mm, fingerprint {dataset.fingerprint[:12]}\n{free_line(dataset)}"
        f"look at it with: alsweep inspect {out}"
    )


def free_line(dataset: "Dataset") -> str:
    """The line on free labels, or nothing where there are none."""
    from alsweep.data.ingest.free import free_shares, free_text

    shares = free_shares(dataset)
    return f"free labels {free_text(dataset, shares)}\n" if shares else ""
