import csv
import shutil
from itertools import combinations
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from alsweep.cli.main import _exit_code
from alsweep.data.exchange.images import prepared
from alsweep.data.exchange.volumes import write_volume
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.data.labels.annotations import consensus
from alsweep.errors import RunFolderError
from alsweep.label_codes import IGNORE
from alsweep.model.evaluation import case_dice
from alsweep.people import tasks
from alsweep.people.intake import Taken, take_in
from alsweep.results.records import read_records
from alsweep.results.table import collect
from alsweep.sweep.audience import Listener
from alsweep.sweep.planning import plan_of
from alsweep.sweep.run_folder import stored_sweep
from alsweep.sweep.suggesting import Wishes, skip
from tests.people.rounds.conftest import QUIET, Person, train_here


def test_people_label_patches_in_three_loops(made, tmp_path):
    person = Person(made, tmp_path / "run")
    for loop in range(3):
        found = person.suggest()
        assert found.labelling.loop == loop
        assert [task.status for task in found.tasks] == ["to do"] * 3
        assert not [task for task in found.tasks if task.patch.case in person.dataset.validation]
        files = person.paint(found.tasks)
        # In any order, one by one, and one of them twice.
        for path in [*reversed(files), files[0]]:
            (one,) = person.hand_in([path])
            assert isinstance(one, Taken), one
        with (found.folder / "tasks.csv").open() as table:
            assert [row["patch"] for row in csv.DictReader(table)] == [t.id for t in found.tasks]
    found = person.suggest()
    table = collect(person.run)
    assert list(table["annotated_patches"]) == [3, 6, 9]
    assert table["mean_dice"].notna().all()
    # What networks learn is what was painted, on their grid.
    labelling = found.labelling
    for task in labelling.every_task()[:9]:
        patch = task.patch
        labels = labelling.crops.reveal(patch.case, patch.start, patch.size)
        assert (labels != IGNORE).all()


def test_files_lie_where_their_source_does_and_hold_its_values(made, tmp_path):
    person = Person(made, tmp_path / "run")
    found = person.suggest()
    for task in found.tasks:
        crop = found.labelling.crop(task.patch)
        image = nib.load(found.folder / f"{task.id}_image.nii.gz")
        label = nib.load(found.folder / f"{task.id}_label.nii.gz")
        raw = Path(person.dataset.manifest.raw) / f"imagesTr/{task.patch.case}_0000.nii.gz"
        source = nib.load(raw)
        assert np.array_equal(image.affine, label.affine)
        start = np.array(crop.context.start[::-1])
        expected = source.affine @ [*start, 1]
        assert np.allclose(image.affine[:, 3], expected, atol=1e-4)
        assert np.allclose(image.affine[:3, :3], source.affine[:3, :3], atol=1e-6)
        part = tuple(slice(a, a + n) for a, n in zip(start, image.shape, strict=True))
        assert np.array_equal(np.asarray(image.dataobj), np.asarray(source.dataobj)[part])
        assert (np.asarray(label.dataobj) == IGNORE).all()


def same_state(one: Path, other: Path) -> None:
    """Queries, labels, networks and Dice are equal; times are not."""
    for part in ("queries", "pending", "crops", "wanted"):
        a, b = (sorted((run / part).glob("*")) for run in (one, other))
        assert [path.name for path in a] == [path.name for path in b]
        if part != "crops":
            assert [path.read_bytes() for path in a] == [path.read_bytes() for path in b]
    for a, b in zip(read_records(one), read_records(other), strict=True):
        assert a.members == b.members
        assert a.case_dice == b.case_dice


class Killed(BaseException):
    """What nobody catches."""


def test_killed_twice_it_ends_as_if_it_had_not_been(made, tmp_path, monkeypatch):
    calm, person = Person(made, tmp_path / "calm"), Person(made, tmp_path / "killed")
    for one in (calm, person):
        one.hand_in(one.paint(one.suggest(QUIET).tasks))
    calm.suggest(QUIET)

    def dies_after_training(job, loop):
        train_here(job, loop)
        raise Killed

    with pytest.raises(Killed):
        person.suggest(QUIET, dies_after_training)
    with monkeypatch.context() as patched:
        patched.setattr(tasks, "write_page", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            person.suggest(QUIET)
    found = person.suggest(QUIET)
    assert not found.trained, "the loop was done before"
    same_state(found.labelling.folder, calm.labelling.folder)
    a, b = (one.labelling.tasks_folder(1) for one in (person, calm))
    assert [path.name for path in sorted(a.iterdir())] == [p.name for p in sorted(b.iterdir())]
    for path in a.glob("*.nii.gz"):
        assert np.array_equal(nib.load(path).dataobj, nib.load(b / path.name).dataobj)


def test_a_patch_that_cannot_be_labelled_gives_way_to_the_next_best(made, tmp_path):
    person = Person(made, tmp_path / "run")
    first = person.suggest(QUIET).tasks
    plan = plan_of(stored_sweep(person.run), person.space, person.run, people=True)
    ids = [first[1].id]
    skip(plan, person.run, ids, "motion", Listener(), QUIET)
    second = person.suggest(QUIET).tasks
    assert [second[i].id for i in (0, 2)] == [first[i].id for i in (0, 2)]
    assert second[1].id != first[1].id
    (told,) = person.labelling.skips
    assert (told.patch, told.reason, told.loop) == (first[1].patch, "motion", 0)
    with (person.labelling.tasks_folder(0) / "tasks.csv").open() as table:
        states = {row["patch"]: row["status"] for row in csv.DictReader(table)}
    assert states[first[1].id] == "skipped"
    assert states[second[1].id] == "to do"
    (refused,) = person.hand_in([copied(person, first[0].id, first[1].id, tmp_path)])
    assert "was skipped" in refused.why
    person.hand_in(person.paint(second))

    # And by the networks: what is chosen in its place is what they would choose beside the others.
    third = person.suggest(QUIET).tasks
    skip(plan, person.run, [third[0].id, third[2].id], "too noisy", Listener(), QUIET)
    fourth = person.suggest(QUIET).tasks
    assert fourth[1] == third[1]
    assert not {one.patch for one in fourth} & {third[0].patch, third[2].patch, first[1].patch}
    scores = [one.queried.score for one in third]
    assert all(one.queried.score <= min(scores) + 1e-9 for one in (fourth[0], fourth[2]))
    assert not any(a.patch.intersects(b.patch) for a, b in combinations(fourth, 2))
    with pytest.raises(RunFolderError, match="is no patch that people are asked for"):
        skip(plan, person.run, [first[0].id], "late", Listener(), QUIET)


def copied(person, patch: str, name: str, tmp_path) -> Path:
    """The files of a patch under another's name."""
    folder = person.labelling.tasks_folder(person.labelling.loop)
    return shutil.copy(folder / f"{patch}_label.nii.gz", tmp_path / f"{name}_label.nii.gz")


def test_some_are_labelled_on_a_thursday_and_the_others_wait_or_are_left(made, tmp_path):
    person = Person(made, tmp_path / "run")
    tasks_ = person.suggest(QUIET).tasks
    person.hand_in(person.paint(tasks_[:2]))
    found = person.suggest(QUIET)
    assert [task.status for task in found.tasks] == ["labelled", "labelled", "to do"]
    assert not found.trained
    found = person.suggest(Wishes(report=False, go_on=True, patches=2))
    assert found.trained
    assert [task.id for task in found.left_out] == [tasks_[2].id]
    assert len(found.tasks) == 2, "as many as were asked for"
    assert [one.annotated_patches for one in found.labelling.records] == [2]


def test_what_several_people_say_of_a_patch_is_settled_by_their_majority(made, tmp_path):
    person = Person(made, tmp_path / "run")
    found = person.suggest(QUIET)
    one = found.tasks[0]
    crop = found.labelling.crop(one.patch)
    files = []
    for who, code in (("Ada", 1), ("Bob", 1), ("Cem", 2)):
        codes = np.full(crop.context.size, IGNORE, np.uint8)
        codes[crop.box.slices] = code
        if who == "Ada":
            codes[crop.box.slices][0] = 0
        path = tmp_path / who / f"{one.id}_label.nii.gz"
        path.parent.mkdir()
        write_volume(path, codes, crop.affine)
        files.append((path, who))
    for path, who in files:
        (taken,) = take_in([found.labelling], [path], who)
        assert taken.new
    (again,) = take_in([found.labelling], [files[0][0]], "Ada")
    assert not again.new
    kept = found.labelling.annotations.of(one.id)
    assert {each.annotator for each in kept} == {"Ada", "Bob", "Cem"}
    assert all(each.time for each in kept)
    labels = consensus(kept)
    # Three say three things of the first plane, so that nobody can say which is right.
    assert (labels[0] == IGNORE).all()
    assert (labels[1:] == 1).all()
    assert np.array_equal(labels, consensus(reversed(kept)))


def test_where_nobody_validates_the_members_agreement_is_told(made, tmp_path):
    dataset, truth = made
    raw = shutil.copytree(dataset.manifest.raw, tmp_path / "raw")
    shutil.rmtree(raw / "labelsTr")
    blind = ingest(raw, tmp_path / "dataset", IngestOptions(unlabelled=True, workers=1)).dataset
    person = Person((blind, truth), tmp_path / "run")
    assert "no network has been trained" in person.suggest(QUIET).outlook
    asked = person.labelling.open_tasks()
    person.hand_in(person.paint(asked, seconds=60))
    person.hand_in(person.paint(asked[:1], seconds=30, who="Bob", out=tmp_path / "bob"))
    found = person.suggest(Wishes(report=True))
    (record,) = found.labelling.records
    assert record.mean_dice is None
    assert 0 < record.agreement < 1
    assert "no case has complete labels" in found.outlook
    assert (person.run / "report/index.html").exists()
    page = (person.run / "report/index.html").read_text()
    assert "no case has complete labels" in page
    assert record.effort.minutes == pytest.approx((3 * 60 + 30) / 60)
    assert "Ada, Bob" in page
    table = collect(person.run)
    assert list(table["annotation_minutes"]) == [record.effort.minutes]
    assert list(table["agreement"]) == [record.agreement]


def test_what_was_labelled_before_is_learned_from_at_once(made, tmp_path):
    dataset, truth = made
    given = tmp_path / "given"
    given.mkdir()
    image = nib.load(truth / "case_4.nii.gz")
    labels = np.asarray(image.dataobj).copy()
    labels[:, :, 9:] = IGNORE
    nib.save(nib.Nifti1Image(labels, image.affine), given / "case_4.nii.gz")
    options = IngestOptions(unlabelled=True, labels_from=given, workers=1)
    known = ingest(Path(dataset.manifest.raw), tmp_path / "dataset", options).dataset
    found = Person((known, truth), tmp_path / "run").suggest(QUIET)
    assert found.trained
    assert found.labelling.records[0].annotated_cases == 1
    assert {task.loop for task in found.tasks} == {1}


def test_new_images_are_prepared_and_segmented_as_those_of_the_dataset(made, tmp_path):
    person = Person(made, tmp_path / "run")
    person.hand_in(person.paint(person.suggest(QUIET).tasks))
    person.suggest(QUIET)
    raw = Path(person.dataset.manifest.raw)
    for case in person.dataset.validation:
        file = raw / f"imagesTr/{case}_0000.nii.gz"
        image = prepared(case, [file], person.dataset)
        assert np.array_equal(image.volume, person.dataset.image(case))
        assert image.info.crop == person.dataset.cases[case].crop
    out = tmp_path / "out"
    code = _exit_code(
        ["predict", str(person.run), str(file), "--out", str(out), "--probabilities"], debug=False
    )
    assert code == 0
    labels, source = nib.load(out / f"{case}.nii.gz"), nib.load(file)
    assert np.allclose(labels.affine, source.affine, atol=1e-5)
    assert labels.shape == source.shape
    probs = np.asarray(nib.load(out / f"{case}_probabilities.nii.gz").dataobj)
    assert np.allclose(probs.sum(axis=-1), 1, atol=1e-4)
    assert np.array_equal(probs.argmax(axis=-1), labels.dataobj)
    reference = np.asarray(nib.load(raw / f"labelsTr/{case}.nii.gz").dataobj)
    (record,) = person.labelling.records
    found = case_dice(np.asarray(labels.dataobj), reference, person.dataset.targets).dice
    if person.dataset.cases[case].is_original:
        assert found == list(record.case_dice[case].values())
