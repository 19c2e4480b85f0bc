import json
import shutil

import numpy as np
import pytest

from alsweep import Dataset, Trajectory, TrajectoryConfig
from alsweep.cli.main import _exit_code
from alsweep.config.sweep import SweepConfig
from alsweep.data.annotator import Oracle, ReferenceLabels
from alsweep.data.case import MANIFEST, REFERENCE_CHUNK, case_folder
from alsweep.data.labels.human import HumanLabels
from alsweep.errors import ConfigError, DatasetError, RunFolderError
from alsweep.files import write_json
from alsweep.geometry import Patch
from alsweep.layout import crops_folder
from alsweep.results.records import read_records
from alsweep.sweep.plan import make_plan
from alsweep.trajectory.fulldata import make_reference
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.start import start_key
from tests.trajectory.conftest import log_bytes, make_config

FINGERPRINT = "5c" * 32


BRIEF = {"query": {"loops": 2}, "training": {"ensemble": "seeds", "members": 1}}


def human(dataset, **changes):
    return make_config(dataset, annotator={"kind": "human"}, **BRIEF, **changes)


def label(dataset, folder, patches):
    """Do a person's work, with the knowledge of the reference."""
    crops, oracle = HumanLabels(crops_folder(folder), len(dataset.classes)), Oracle(dataset)
    for patch in patches:
        crops.save(patch, np.array(oracle.reveal(patch.case, patch.start, patch.size)))


def test_a_trajectory_stops_where_labels_are_missing_and_goes_on_as_if_it_had_not(
    phantom, tmp_path
):
    folder, oracle = tmp_path / "human", tmp_path / "oracle"
    expected = Trajectory(make_config(phantom, **BRIEF), oracle, dataset=phantom).run()

    def again():
        """As another process would see it."""
        return Trajectory(human(phantom), folder, dataset=phantom)

    assert again().run() == ()
    start = again().waiting
    assert len(start) == 6
    assert not (folder / "queries").exists(), "what nobody labelled is in the query log"
    label(phantom, folder, start[:4])
    assert again().waiting == start[4:]
    with pytest.raises(RunFolderError, match="2 of 6 patches of loop 0 have no labels yet"):
        again().step()

    label(phantom, folder, start)
    trajectory = again()
    record = trajectory.step()
    assert (record.loop, record.annotated_patches) == (0, 6)
    queried = trajectory.waiting
    assert len(queried) == 6
    assert again().waiting == queried
    with pytest.raises(RunFolderError, match="6 of 6 patches of loop 1 have no labels yet"):
        again().step()
    assert read_records(folder) == (record,), "a loop is finished when its query is chosen"

    label(phantom, folder, queried)
    records = trajectory.run()
    assert trajectory.finished
    assert not trajectory.waiting
    assert log_bytes(folder) == log_bytes(oracle)
    kept = ("annotated_voxels", "foreground_fraction", "dice", "start_hash")
    for mine, theirs in zip(records, expected, strict=True):
        assert {k: mine.plain()[k] for k in kept} == {k: theirs.plain()[k] for k in kept}
        assert not {*mine.members} & {*theirs.members}, "another's labels, another's members"
    assert again().run() == records


def test_who_errs_is_asked_for_the_same_start_and_gives_other_networks(phantom, tmp_path):
    def made(name, annotator):
        config = make_config(phantom, annotator=annotator, **BRIEF)
        return Trajectory(config, tmp_path / name, dataset=phantom)

    errs = {"kind": "noisy_oracle", "boundary": 1.0, "missed": 0.3, "mistaken": 0.2}
    right, wrong = made("right", {"kind": "oracle"}), made("wrong", errs)
    first, record = right.step(), wrong.step()
    assert first.start_hash == record.start_hash
    assert first.members != record.members
    assert first.foreground_voxels != record.foreground_voxels
    # Taken up by another process, and made anew: the same errors, and so the same networks.
    again = made("wrong", errs).step()
    anew = made("anew", errs).run()
    assert [one.members for one in anew] == [record.members, again.members]
    assert (tmp_path / "anew/queries/loop_001.json").read_bytes() == (
        tmp_path / "wrong/queries/loop_001.json"
    ).read_bytes()


def test_a_mistake_needs_another_class_to_be_made_with(phantom, tmp_path):
    one = phantom.manifest.model_copy(update={"classes": phantom.classes[:2]})
    config = make_config(phantom, annotator={"kind": "noisy_oracle", "mistaken": 0.1}, **BRIEF)
    with pytest.raises(ConfigError, match="mistaken: nothing can be mistaken for another class"):
        resolve(config, Dataset(phantom.path, one))


def test_the_same_patches_with_other_labels_are_other_members(tmp_path):
    patches = [Patch("a", (0, 0, 2 * i), (2, 2, 2)) for i in range(3)]
    one, same, other = (HumanLabels(tmp_path / name, 3) for name in ("one", "same", "other"))
    for patch in patches:
        one.save(patch, np.ones((2, 2, 2), np.uint8))
    for patch in reversed(patches):
        same.save(patch, np.ones((2, 2, 2), np.uint8))
    for patch in patches:
        labels = np.ones((2, 2, 2), np.uint8)
        labels[0, 0, 1] = 2 if patch == patches[2] else 1
        other.save(patch, labels)
    assert one.digest(patches) == same.digest(reversed(patches))
    assert one.digest(patches[:2]) == other.digest(patches[:2])
    assert one.digest(patches) != other.digest(patches)


def test_who_labels_is_part_of_every_identity_but_the_oracle(phantom):
    plain = resolve(make_config(phantom), phantom)
    oracle = resolve(make_config(phantom, annotator={"kind": "oracle", "reveal": "dense"}), phantom)
    person = resolve(make_config(phantom, annotator={"kind": "human"}), phantom)
    assert "annotator" not in plain.identity_on(FINGERPRINT)
    assert oracle.identity_on(FINGERPRINT) == plain.identity_on(FINGERPRINT)
    for found in (
        TrajectoryConfig.setting_hash,
        TrajectoryConfig.trajectory_id,
    ):
        assert found(person, FINGERPRINT) != found(plain, FINGERPRINT)
    assert start_key(person, phantom) != start_key(plain, phantom) == start_key(oracle, phantom)


def sweep(dataset, **base):
    query = {"patches": 6, "patch_size": [8, 8, 8]}
    return SweepConfig.model_validate(
        {"name": "s", "dataset": str(dataset.path), "base": {"query": query, **base}}
    )


@pytest.mark.parametrize(
    ("annotator", "said"),
    [
        ({"kind": "nobody"}, "base.annotator.kind: .* 'oracle', 'noisy_oracle' or 'human'"),
        ({"kind": "human", "missed": 0.1}, "base.annotator: missed is of kind: noisy_oracle"),
        ({"reveal": "all"}, "base.annotator.reveal: .* 'dense', 'box', 'points' or 'scribbles'"),
    ],
)
def test_an_annotator_that_there_is_not_is_refused_with_those_that_there_are(
    phantom, annotator, said
):
    with pytest.raises(ConfigError, match=said):
        sweep(phantom, annotator=annotator).trajectories()


def test_nobody_is_asked_in_a_sweep(phantom):
    with pytest.raises(ConfigError, match=r"^base\.annotator\.kind: human cannot be swept"):
        make_plan(sweep(phantom, annotator={"kind": "human"}), phantom)


@pytest.fixture(scope="module")
def unlabelled(phantom, tmp_path_factory) -> Dataset:
    """The phantom, two of whose cases came without labels."""
    path = shutil.copytree(phantom.path, tmp_path_factory.mktemp("unlabelled") / "dataset")
    nothing = {"reference_sha256": None, "class_voxels": (0,) * len(phantom.classes)}
    cases = []
    for case in phantom.manifest.cases:
        lost = case.id in phantom.pool[:2]
        cases.append(case.model_copy(update=nothing) if lost else case)
        if lost:
            (case_folder(path, case.id) / REFERENCE_CHUNK).unlink()
    manifest = phantom.manifest.model_copy(update={"cases": tuple(cases)}).sealed()
    (path / MANIFEST).chmod(0o644)
    write_json(path / MANIFEST, manifest.model_dump(mode="json"))
    return Dataset.open(path)


def test_labels_of_a_case_without_reference_are_refused_by_its_name(unlabelled, phantom):
    assert unlabelled.fingerprint != phantom.fingerprint
    case = unlabelled.pool[1]
    for ask in (
        lambda: Oracle(unlabelled).reveal(case, (0, 0, 0), (2, 2, 2)),
        lambda: ReferenceLabels(unlabelled).volume(case),
    ):
        with pytest.raises(DatasetError, match=f"case '{case}' has no reference labels"):
            ask()


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({}, "base.annotator.kind: oracle"),
        (
            {"annotator": {"kind": "human"}},
            "base.starting_budget.strategy: random_fg33_all_classes",
        ),
        (
            {
                "annotator": {"kind": "human"},
                "starting_budget": {"strategy": "random"},
                "strategy": "random_fg66",
            },
            "base.strategy: random_fg66",
        ),
    ],
)
def test_who_looks_at_a_reference_that_is_missing_is_refused(unlabelled, changes, place):
    with pytest.raises(ConfigError) as caught:
        resolve(make_config(unlabelled, **changes), unlabelled)
    first = unlabelled.pool[0]
    assert str(caught.value).startswith(
        f"{place} looks at reference labels, but case '{first}' and 1 more of the pool has none"
    )


def test_a_person_annotates_cases_without_reference(unlabelled, phantom, tmp_path):
    config = human(unlabelled, starting_budget={"strategy": "random"}, strategy="random")
    folder = tmp_path / "t"
    trajectory = Trajectory(config, folder, dataset=unlabelled)
    trajectory.run()
    assert {patch.case for patch in trajectory.waiting} & {*unlabelled.pool[:2]}
    label(phantom, folder, trajectory.waiting)
    assert trajectory.step().foreground_fraction is None
    with pytest.raises(DatasetError, match="has no reference labels"):
        make_reference(config, unlabelled, tmp_path / "models", trajectory._resources)


def test_inspect_says_which_cases_have_no_reference(unlabelled, capsys):
    assert _exit_code(["inspect", str(unlabelled.path)], debug=False) == 0
    assert "2 cases of the pool" in capsys.readouterr().out
    assert _exit_code(["inspect", str(unlabelled.path), "--json"], debug=False) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    shares = {case["id"]: case["foreground_share"] for case in cases}
    assert [id_ for id_, share in shares.items() if share is None] == list(unlabelled.pool[:2])


def test_cases_that_are_judged_need_their_reference(phantom):
    case = phantom.cases[phantom.validation[0]]
    with pytest.raises(ValueError, match=f"'{case.id}' has no reference labels, but is of the val"):
        type(case).model_validate({**case.plain(), "reference_sha256": None})
