"""One archive that goes with a paper: all that a run decided and measured, and how to do it again.

No images, labels or networks: the dataset is named by its fingerprint, and networks follow from
what is in here. The same run gives the same bytes.
"""

import gzip
import hashlib
import io
import platform
import tarfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

import pandas as pd
from ruamel.yaml import YAML

from alsweep import __version__
from alsweep.errors import RunFolderError
from alsweep.files import canonical_json, write_bytes
from alsweep.layout import (
    best_path,
    config_path,
    decisions_path,
    journal_path,
    plugins_folder,
    query_path,
    record_path,
    reference_path,
    results_path,
    space_path,
)
from alsweep.report.html import figure_data
from alsweep.report.section import Material, Statements
from alsweep.report.sections import checklist
from alsweep.report.study import Study, read_study
from alsweep.report.volumes import open_datasets
from alsweep.results.records import RunFolder, TrajectoryFolder

_PACKAGES = ("torch", "monai", "numpy", "scipy", "pandas", "zarr", "ray", "optuna", "nibabel")
TIMED = ("train_seconds", "evaluate_seconds", "query_seconds", "cached_members")
"""Columns of results that the clock decides, or who of several was first."""

_FOR_PEOPLE_ALONE = ("on_event",)
"""Keys of sweep.yaml that change no result and may hold what is not for print."""


def write_paper(run: Path, out: Path) -> Path:
    """Write the archive of a run, a ``.tar.gz``.

    Args:
        run: A run folder.
        out: Must not be there.

    Raises:
        RunFolderError: ``run`` is no run folder, nothing is finished in it, or ``out`` is there.
        RecordError: A file of the run is broken.
    """
    if out.exists() or out.is_symlink():
        raise RunFolderError(f"{out}: is there already; choose another --out")
    study = read_study([run])
    if study.done.empty:
        raise RunFolderError(f"{run}: no trajectory is finished yet; run 'alsweep resume {run}'")
    top = PurePosixPath(f"{study.title}-paper")
    write_bytes(out, _archive(top, _contents(study, study.runs[0])))
    return out


def table_csv(table: pd.DataFrame) -> bytes:
    """What a run measured, in an order of its own: equal for two runs that did the same.

    Args:
        table: Tidy.
    """
    kept = table.drop(columns=list(TIMED)).sort_values(["trajectory", "loop"], kind="stable")
    return kept.to_csv(index=False, lineterminator="\n").encode()


def _contents(study: Study, run: RunFolder) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, in a fixed order."""
    material = Material(study, open_datasets(study))
    yield "README.md", _readme(study, run).encode()
    yield "versions.json", _versions(study).encode()
    yield "checklist.md", _checklist(material).encode()
    yield "table.csv", table_csv(study.table)
    yield space_path(run.path).name, _space(run.path)
    yield from _files_of(run)
    for name, content in sorted(figure_data(material).items()):
        yield f"figures/{name}", content


def _files_of(run: RunFolder) -> Iterator[tuple[str, bytes]]:
    """Configs, queries, records, decisions, references and plug-ins, as they lie in the run."""
    references = sorted(reference_path(run.path, "x").parent.glob("*.json"))
    plugins = sorted(plugins_folder(run.path).glob("*.py"))
    of_run = (decisions_path, best_path, journal_path, results_path)
    paths = [*(of(run.path) for of in of_run), *references, *plugins]
    for trajectory in run.trajectories:
        paths += _files_of_trajectory(trajectory)
    for path in paths:
        if path.is_file():
            yield str(path.relative_to(run.path)), path.read_bytes()


def _files_of_trajectory(trajectory: TrajectoryFolder) -> Iterator[Path]:
    yield config_path(trajectory.folder)
    for of in (query_path, record_path):
        yield from sorted(of(trajectory.folder, 0).parent.glob("loop_*.json"))


def _space(run: Path) -> bytes:
    """The resolved search space, less what is of no concern to anybody else."""
    content = space_path(run).read_bytes()
    yaml = YAML(typ="safe", pure=True)
    raw = yaml.load(content)
    if not any(key in raw for key in _FOR_PEOPLE_ALONE):
        return content
    yaml.representer.sort_base_mapping_type_on_output = False
    stream = io.BytesIO()
    yaml.dump({k: v for k, v in raw.items() if k not in _FOR_PEOPLE_ALONE}, stream)
    return stream.getvalue()


def _versions(study: Study) -> str:
    """What made the loops, and what this archive was made with, as canonical JSON."""
    records = [record for t in study.trajectories for record in t.records]
    told = {
        "loops": sorted(
            {
                canonical_json(
                    {
                        "alsweep": record.version,
                        "numerics": record.numerics,
                        "device": record.device,
                        "precision": record.precision,
                        "threads": record.threads,
                        "training_threads": record.training_threads,
                    }
                )
                for record in records
            }
        ),
        "archive": {
            "alsweep": __version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "processor": _processor(),
            "packages": {name: _version(name) for name in _PACKAGES},
        },
    }
    return canonical_json(told) + "\n"


def _processor() -> str | None:
    """The kind of CPU, where the system tells it: the last digits of results depend on it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or None
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == "model name"), None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _checklist(material: Material) -> str:
    blocks = checklist.SECTION.blocks(material)
    pairs = [pair for block in blocks if isinstance(block, Statements) for pair in block.pairs]
    return "# Reporting checklist\n\n" + "".join(f"- **{item}**: {said}\n" for item, said in pairs)


def _readme(study: Study, run: RunFolder) -> str:
    done = study.done["trajectory"].nunique()
    prints = dict.fromkeys(run.ground(t).dataset_fingerprint for t in run.trajectories)
    datasets = sorted({str(name) for name in study.table["dataset"]})
    return f"""# {study.title}

{done} of {len(run.trajectories)} trajectories are finished. Made with alsweep {__version__}.

- `sweep.yaml`: the search space with every default written out; `plugins/`: its own strategies
- `trajectories/ID/`: config, queries (which patches were annotated when) and records of each loop
- `table.csv`: one row a trajectory and loop, without what the clock decides
- `results.parquet`: the same with seconds; `figures/`: the data of each figure
- `checklist.md`, `versions.json`: what a reader has to be told

The dataset is not in here: {", ".join(datasets)}, fingerprint
{chr(10).join(f"`{one}`" for one in prints)}
(`alsweep inspect DATASET` shows a dataset's).

To do it again, unpack, and in this folder:

    alsweep run sweep.yaml --out again --set dataset=PATH
    alsweep export again --paper --out again.tar.gz

On a machine of the kind in versions.json, with its versions and threads, `table.csv` and all of
`queries/` in again.tar.gz are those in here, byte for byte; elsewhere last digits may differ.
Named settings have a dataset each: `--set settings.NAME.dataset=PATH`.
"""


def _archive(top: PurePosixPath, contents: Iterator[tuple[str, bytes]]) -> bytes:
    """A tar.gz without times and owners, with the sums of all files."""
    known = dict(contents)
    sums = "".join(f"{hashlib.sha256(c).hexdigest()}  {name}\n" for name, c in known.items())
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in (known | {"SHA256SUMS": sums.encode()}).items():
            info = tarfile.TarInfo(str(top / name))
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
