import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from alsweep.cli.main import _exit_code
from alsweep.data.exchange.volumes import read_labels, write_segmentation, write_volume
from alsweep.data.labels.annotations import latest
from alsweep.errors import IngestError
from alsweep.label_codes import IGNORE
from alsweep.people.intake import Refused, Taken, take_in
from alsweep.people.labelling import mark
from alsweep.people.tasks import TaskOptions
from alsweep.sweep.suggesting import Wishes
from tests.people.rounds.conftest import Person
from tests.people.rounds.painting import paint


@pytest.fixture(scope="module")
def begun(made, tmp_path_factory):
    """A run that waits for labels, with files for 3D Slicer."""
    person = Person(made, tmp_path_factory.mktemp("begun") / "run")
    person.suggest(Wishes(report=False, tasks=TaskOptions(segmentations=True)))
    return person


@pytest.fixture
def person(begun, tmp_path):
    """A copy of it to hand files in to."""
    found = Person((begun.dataset, begun.truth), tmp_path / "run")
    shutil.copytree(begun.run, found.run)
    return found


def codes_of(person, task, code=1) -> np.ndarray:
    """A box full of one class."""
    crop = person.labelling.crop(task.patch)
    codes = np.full(crop.context.size, IGNORE, np.uint8)
    codes[crop.box.slices] = code
    return codes


def state(run: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()}


def painted(change):
    """A file that is wrong: its codes, its affine or its name are changed."""

    def write(person, task, folder):
        crop = person.labelling.crop(task.patch)
        codes, affine = change(codes_of(person, task), crop.affine.copy(), crop)
        path = folder / f"{task.id}_label.nii.gz"
        write_volume(path, codes, affine)
        return path

    return write


def elsewhere(codes, affine, crop):
    affine[:3, 3] += 0.2 * np.linalg.norm(affine[:3, 0])
    return codes, affine


def another(person, task, folder):
    """Somebody gave the file of one patch the name of another."""
    other = person.labelling.open_tasks()[1]
    crop = person.labelling.crop(task.patch)
    write_volume(
        folder / f"{task.id}_label.nii.gz", codes_of(person, task), crop.affine, mark(other.id)
    )
    return folder / f"{task.id}_label.nii.gz"


def nobodys(person, task, folder):
    path = folder / "brain_label.nii.gz"
    write_volume(path, codes_of(person, task), np.eye(4))
    return path


def torn(person, task, folder):
    path = painted(lambda c, a, crop: (c, a))(person, task, folder)
    path.write_bytes(path.read_bytes()[:60])
    return path


def mistold(person, task, folder):
    path = painted(lambda c, a, crop: (c, a))(person, task, folder)
    path.with_name(f"{task.id}_label.json").write_text(json.dumps({"patch": "x", "seconds": 3}))
    return path


def out_of_box(codes, affine, crop):
    beside = np.argwhere(codes == IGNORE)[0]
    codes[tuple(beside)] = 2
    return codes, affine


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (painted(lambda c, a, crop: (np.where(c == 1, 7, c).astype(np.uint8), a)), "holds 7, exp"),
        (painted(elsewhere), "voxels on another grid than"),
        (
            painted(lambda c, a, crop: (c[:, :, ::-1].copy(), a @ np.diag([-1, 1, 1, 1]))),
            "on another",
        ),
        (painted(out_of_box), "1 voxels are painted outside the box"),
        (painted(lambda c, a, crop: (np.full_like(c, IGNORE), a)), "nothing is painted in the box"),
        (another, "is named after .* but holds"),
        (nobodys, "its name begins with no patch of this run"),
        (torn, "truncated|not a valid"),
        (mistold, "is of patch 'x', not of"),
        (lambda person, task, folder: folder / f"{task.id}_label.nii.gz", "no such file"),
    ],
)
def test_a_wrong_file_gets_one_line_and_changes_nothing(person, tmp_path, wrong, said):
    folder = tmp_path / "files"
    folder.mkdir()
    task = person.labelling.open_tasks()[0]
    path = wrong(person, task, folder)
    before = state(person.run)
    (found,) = person.hand_in([path])
    assert isinstance(found, Refused)
    assert "\n" not in found.why
    assert re.search(said, found.why), found.why
    assert str(folder) in found.why
    assert state(person.run) == before


def test_what_is_unpainted_in_the_box_is_ignored_and_background_may_lie_outside(person, tmp_path):
    task = person.labelling.open_tasks()[0]
    crop = person.labelling.crop(task.patch)
    codes = np.zeros(crop.context.size, np.uint8)
    codes[crop.box.slices] = IGNORE
    codes[crop.box.slices][0, 0, 0] = 2
    path = tmp_path / f"{task.id}_label.nii.gz"
    write_volume(path, codes, crop.affine)
    (taken,) = person.hand_in([path])
    assert isinstance(taken, Taken)
    labels = taken.annotation.labels
    assert labels[0, 0, 0] == 2
    assert (labels == IGNORE).sum() == labels.size - 1


def test_the_files_of_other_programs_are_taken(person, tmp_path):
    """3D Slicer numbers segments anew and cuts off what holds none; ITK writes .nrrd and .mha."""
    task = person.labelling.open_tasks()[0]
    crop = person.labelling.crop(task.patch)
    codes = codes_of(person, task, 2)
    classes = person.labelling.classes
    slicer = tmp_path / f"{task.id}_label.seg.nrrd"
    write_segmentation(slicer, codes, crop.affine, {0: "background", 2: "shell", 1: "core"})
    image = sitk.ReadImage(str(slicer))
    assert np.array_equal(read_labels(slicer, classes).array == 1, codes == 2)
    cut = image[:, :, crop.box.start[0] :]
    for key in image.GetMetaDataKeys():
        cut.SetMetaData(key, image.GetMetaData(key))
    sitk.WriteImage(cut, str(slicer))
    plain = tmp_path / "other" / f"{task.id}_label (2).mha"
    plain.parent.mkdir()
    sitk.WriteImage(image, str(plain))
    one, other = person.hand_in([slicer, plain])
    assert isinstance(one, Taken), one
    assert isinstance(other, Taken), other
    assert (one.annotation.labels == 1).all(), "by its name: shell is 1 here"
    assert (other.annotation.labels == 2).all()


def test_segmentations_lie_where_their_image_does(begun):
    folder = begun.labelling.tasks_folder(0)
    for task in begun.labelling.open_tasks():
        found = read_labels(folder / f"{task.id}_label.seg.nrrd", begun.labelling.classes)
        expected = nib.load(folder / f"{task.id}_image.nii.gz")
        assert np.allclose(found.affine, expected.affine, atol=1e-4)
        assert found.array.shape == expected.shape[::-1]


def test_the_pages_archive_and_whole_folders_are_taken(person, tmp_path):
    tasks = person.labelling.open_tasks()
    folder = person.labelling.tasks_folder(0)
    archive = tmp_path / "labels.zip"
    with zipfile.ZipFile(archive, "w") as made:
        path = paint(
            folder,
            tasks[0].id,
            person.truth,
            person.labelling.crop(tasks[0].patch),
            out=tmp_path / "one",
            seconds=90,
            who="Ada",
        )
        for file in (path, path.with_name(f"{tasks[0].id}_label.json")):
            made.write(file, file.name)
    (one,) = person.hand_in([archive])
    assert (one.annotation.annotator, one.annotation.effort.seconds) == ("Ada", 90)
    for task in tasks[1:]:
        paint(
            folder, task.id, person.truth, person.labelling.crop(task.patch), out=tmp_path / "two"
        )
    assert [one.task.id for one in person.hand_in([tmp_path / "two"])] == sorted(
        task.id for task in tasks[1:]
    )
    assert not person.labelling.waiting()


def test_it_is_durable_before_it_is_acknowledged(person, tmp_path, monkeypatch):
    synced, told = [], []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(descriptor))
    task = person.labelling.open_tasks()[0]
    path = painted(lambda c, a, crop: (c, a))(person, task, tmp_path)
    synced.clear()
    take_in([person.labelling], [path], "Ada", lambda one: told.append((one, len(synced))))
    ((one, count),) = told
    assert count >= 2, "the file, and the folder that it is in"
    assert person.labelling.annotations.of(one.task.id)


def test_the_command_line_says_what_was_taken_and_what_was_not(person, tmp_path, capsys):
    tasks = person.labelling.open_tasks()
    good = painted(lambda c, a, crop: (c, a))(person, tasks[0], tmp_path)
    bad = nobodys(person, tasks[0], tmp_path)
    assert _exit_code(["ingest-labels", str(person.run), str(bad), str(good)], debug=False) == 2
    out, err = capsys.readouterr()
    assert f"{tasks[0].id} by somebody" in out
    assert "1 of 2 files taken; 2 patches wait for labels" in out
    assert f"warning: skipped {bad}" in err
    assert err.strip().splitlines()[-1].startswith(f"alsweep: error: {bad}: its name begins with")
    again = ["ingest-labels", str(person.run), str(good), "--annotator", "Ines"]
    assert _exit_code(again, debug=False) == 0
    assert "by Ines" in capsys.readouterr().out
    assert _exit_code(["ingest-labels", str(tmp_path), str(good)], debug=False) == 2


@pytest.mark.parametrize("kind", ["image", "prediction", "score", "box", "prediction (1)"])
def test_what_was_given_out_is_nobodys_opinion(person, tmp_path, kind):
    task = person.labelling.open_tasks()[0]
    path = painted(lambda c, a, crop: (c, a))(person, task, tmp_path)
    path = path.rename(tmp_path / f"{task.id}_{kind}.nii.gz")
    (found,) = person.hand_in([path])
    assert isinstance(found, Refused)
    assert f"save it as {task.id}_label.nii.gz" in found.why
    assert not person.labelling.annotations.tasks()
    drawn = path.rename(tmp_path / f"{task.id}_image-label.nii.gz")
    assert isinstance(person.hand_in([drawn])[0], Taken), "as 3D Slicer calls what was drawn"


def test_an_archive_that_is_wrong_takes_no_other_file_along(person, tmp_path):
    task = person.labelling.open_tasks()[0]
    good = painted(lambda c, a, crop: (c, a))(person, task, tmp_path)
    junk, holed, mixed = (tmp_path / f"{name}.zip" for name in ("junk", "holed", "mixed"))
    junk.write_bytes(b"no archive")
    with zipfile.ZipFile(holed, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("labels.txt", "nothing " * 400)
    torn = bytearray(holed.read_bytes())
    torn[42:52] = b"\xff" * 10
    holed.write_bytes(torn)
    with zipfile.ZipFile(mixed, "w") as made:
        made.writestr(f"../../{task.id}_label.nii.gz", b"junk")
    *wrong, taken = person.hand_in([junk, holed, mixed, good])
    assert [isinstance(one, Refused) for one in wrong] == [True] * 3
    for path, one in zip((junk, holed, mixed), wrong, strict=True):
        assert one.why.startswith(str(path)), "not the folder in which it was unpacked"
    assert isinstance(taken, Taken)
    assert not list(tmp_path.parent.glob("*_label.nii.gz"))


def test_who_changes_their_mind_and_changes_it_back_is_heard(person, tmp_path):
    task = person.labelling.open_tasks()[0]
    said = []
    for code in (1, 2, 1, 1):
        path = painted(lambda c, a, crop, k=code: (np.where(c == 1, k, c).astype(np.uint8), a))(
            person, task, tmp_path
        )
        said += person.hand_in([path])
    assert [one.new for one in said] == [True, True, True, False]
    (last,) = latest(person.labelling.annotations.of(task.id))
    assert (last.labels == 1).all()


def test_the_box_is_a_file_that_programs_show(begun):
    """A first query has no prediction to tell where to paint."""
    folder = begun.labelling.tasks_folder(0)
    for task in begun.labelling.open_tasks():
        crop = begun.labelling.crop(task.patch)
        found = read_labels(folder / f"{task.id}_box.nii.gz", begun.labelling.classes)
        assert np.allclose(found.affine, crop.affine, atol=1e-4)
        assert found.array[crop.box.slices].all()
        assert found.array.sum() == np.prod(crop.box.size)


@pytest.mark.parametrize(
    "told", [{"seconds": float("inf")}, {"seconds": float("nan")}, {"prompts": 10**30}]
)
def test_what_could_not_be_added_up_is_refused(person, tmp_path, told):
    task = person.labelling.open_tasks()[0]
    path = painted(lambda c, a, crop: (c, a))(person, task, tmp_path)
    about = path.with_name(f"{task.id}_label.json")
    about.write_text(json.dumps({"patch": task.id, **told}))
    (found,) = person.hand_in([path])
    assert isinstance(found, Refused)
    assert found.why.startswith(f"{about}: cannot be used")


@pytest.mark.parametrize(
    ("name", "kept"), [(" Ada\n|\x1b[31m Byron ", "Ada | [31m Byron"), (" \n", "somebody")]
)
def test_a_name_is_one_line(person, tmp_path, name, kept):
    task = person.labelling.open_tasks()[0]
    path = painted(lambda c, a, crop: (c, a))(person, task, tmp_path)
    about = {"patch": task.id, "annotator": name}
    path.with_name(f"{task.id}_label.json").write_text(json.dumps(about))
    (found,) = person.hand_in([path])
    assert found.annotation.annotator == kept


def test_images_that_are_found_again_take_the_place_of_what_networks_see(person, tmp_path):
    folder, raw = person.labelling.tasks_folder(0), person.truth.parent / "raw"
    names = [f"{task.id}_image.nii.gz" for task in person.labelling.open_tasks()]
    right = [(folder / name).read_bytes() for name in names]
    shutil.rmtree(folder)
    moved = raw.rename(tmp_path / "moved")
    try:
        person.suggest()
        assert right != [(folder / name).read_bytes() for name in names]
        with pytest.raises(IngestError, match="nowhere"):
            person.suggest(Wishes(report=False, tasks=TaskOptions(raw=tmp_path / "nowhere")))
        person.suggest(Wishes(report=False, tasks=TaskOptions(raw=moved)))
        assert right == [(folder / name).read_bytes() for name in names]
    finally:
        moved.rename(raw)
