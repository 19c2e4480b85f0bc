"""Fuzz what reads foreign files, by coverage: nothing but an IngestError of one line may come out.

    pip install atheris
    python tests/fuzz/readers.py nifti -max_total_time=300

The first argument is a target, see TARGETS; the others are libFuzzer's. Not part of the test suite,
where tests/data/test_fuzz.py does the like with hypothesis for a few seconds.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["alsweep.data"]):
    from alsweep.data.ingest.plans_file import read_plans
    from alsweep.data.raw.folder import read_raw
    from alsweep.data.raw.foreign import read_foreign
    from alsweep.data.raw.reading import promised_voxels, read_volume

from alsweep.errors import IngestError
from tests.data.test_fuzz import GOOD, PLANS, VALID


def volume(path: Path) -> None:
    """Header and voxels."""
    promised_voxels(path)
    read_volume(path, path.name)


def description(path: Path) -> None:
    """A dataset.json in a folder without any file."""
    read_raw(path.parent)


def _seeds(*descriptions: object) -> list[bytes]:
    return [json.dumps(one).encode() for one in descriptions]


TARGETS: dict[str, tuple[str, Callable[[Path], object], list[bytes]]] = {
    "json": ("x.json", read_foreign, _seeds([], {"a": 1})),
    "description": ("dataset.json", description, _seeds(*GOOD.values())),
    "plans": ("plans.json", lambda path: read_plans(path, 1), _seeds(PLANS)),
    "nifti": ("x.nii", volume, [VALID[".nii"][0]]),
    "nrrd": ("x.nrrd", volume, [VALID[".nrrd"][0]]),
    "mha": ("x.mha", volume, [VALID[".mha"][0]]),
}


def main() -> None:
    """Fuzz one target until libFuzzer is told to stop, or finds something."""
    name, read, seeds = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        place, corpus = Path(folder, "raw", name), Path(folder, "corpus")
        for made in (place.parent / "imagesTr", place.parent / "labelsTr", corpus):
            made.mkdir(parents=True)
        for index, seed in enumerate(seeds):
            (corpus / str(index)).write_bytes(seed)

        def one(content: bytes) -> None:
            place.write_bytes(content)
            try:
                read(place)
            except IngestError as error:
                assert len(str(error).splitlines()) == 1, str(error)  # noqa: PT017

        atheris.Setup([sys.argv[0], *sys.argv[2:], str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
