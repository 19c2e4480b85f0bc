from pathlib import Path

from alsweep import Dataset
from alsweep.data.case import MANIFEST, DatasetManifest, Region
from alsweep.data.phantom import write_phantom
from alsweep.files import read_json, write_json

NESTED = (Region(name="whole", labels=(1, 2)), Region(name="lesion only", labels=(2,)))


def change_manifest(dataset: Dataset, **changes) -> Dataset:
    """The Dataset as if it had been ingested so."""
    manifest = DatasetManifest.model_validate(read_json(dataset.path / MANIFEST))
    changed = manifest.model_copy(update=changes).sealed()
    (dataset.path / MANIFEST).unlink()
    write_json(dataset.path / MANIFEST, changed.plain())
    return Dataset.open(dataset.path)


def write_region_phantom(out: Path) -> Dataset:
    """A phantom whose lesions are a part of what surrounds them: two nested regions."""
    phantom = write_phantom(out, cases=8, shape=(24, 24, 24), seed=3)
    return change_manifest(phantom, regions=NESTED, regions_class_order=(1, 2))


def with_test_part(dataset: Dataset) -> Dataset:
    """The Dataset with its last two pool cases as test part."""
    moved = dataset.pool[-2:]
    cases = tuple(
        case.model_copy(update={"part": "test"}) if case.id in moved else case
        for case in dataset.manifest.cases
    )
    return change_manifest(dataset, cases=cases)
