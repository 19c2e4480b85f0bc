import json
import shutil

import numpy as np
import pytest

from alsweep.cli.main import _exit_code
from alsweep.data.annotator import labels_before
from alsweep.data.case import Dataset
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.errors import IngestError
from tests.data.raws import describe, nnunet, save, volume

UNLABELLED = IngestOptions(unlabelled=True, workers=1)


@pytest.fixture
def raw(tmp_path):
    """Six cases; of two of them all is labelled."""
    root = nnunet(tmp_path / "raw", cases=6)
    for index in range(2, 6):
        (root / f"labelsTr/case_{index}.nii.gz").unlink()
    return root


def test_cases_without_labels_are_the_pool_and_those_with_all_of_them_validate(raw, tmp_path):
    found = ingest(raw, tmp_path / "d", UNLABELLED)
    dataset = found.dataset
    assert dataset.validation == ("case_0", "case_1")
    assert dataset.pool == tuple(f"case_{index}" for index in range(2, 6))
    assert not any(dataset.cases[case].has_reference for case in dataset.pool)
    assert all(dataset.cases[case].has_reference for case in dataset.validation)
    assert dataset.manifest.raw == str(raw)
    assert not [remark for remark in found.remarks if "Dice" in remark or "foreground" in remark]


def test_nobody_need_validate_and_that_is_said(raw, tmp_path, capsys):
    shutil.rmtree(raw / "labelsTr")
    out = tmp_path / "d"
    assert _exit_code(["ingest", str(raw), "--unlabelled", "--out", str(out)], debug=False) == 0
    said = capsys.readouterr().err
    assert "warning: no case has complete labels, so that no Dice can be measured" in said
    assert Dataset.open(out).validation == ()
    assert _exit_code(["inspect", str(out)], debug=False) == 0


def test_where_the_raw_folder_lies_is_no_part_of_the_fingerprint(raw, tmp_path):
    one = ingest(raw, tmp_path / "one", UNLABELLED).dataset
    moved = shutil.copytree(raw, tmp_path / "moved")
    other = ingest(moved, tmp_path / "other", UNLABELLED).dataset
    assert one.fingerprint == other.fingerprint
    assert one.manifest.raw != other.manifest.raw


def test_labels_given_before_are_kept_with_what_was_left_out(raw, tmp_path):
    _, labels = volume(seed=30)
    given = np.full(labels.shape, 255, np.uint8)
    given[2:6, 3:7, 1:5] = labels[2:6, 3:7, 1:5]
    save(tmp_path / "given/case_3.nii.gz", given)
    options = IngestOptions(unlabelled=True, labels_from=tmp_path / "given", workers=1)
    dataset = ingest(raw, tmp_path / "d", options).dataset
    assert np.array_equal(labels_before(dataset, "case_3"), given)
    assert labels_before(dataset, "case_2") is None
    assert dataset.fingerprint != ingest(raw, tmp_path / "e", UNLABELLED).dataset.fingerprint


def test_what_is_labelled_in_part_belongs_to_the_pool(raw, tmp_path):
    _, labels = volume(seed=0)
    labels[:6] = 255
    save(raw / "labelsTr/case_0.nii.gz", labels)
    dataset = ingest(raw, tmp_path / "d", UNLABELLED).dataset
    assert dataset.validation == ("case_1",)
    assert np.array_equal(labels_before(dataset, "case_0"), labels)


def test_a_ct_is_normalised_by_what_is_no_air(raw, tmp_path):
    describe(raw, channel_names={"0": "CT"})
    found = ingest(raw, tmp_path / "d", UNLABELLED)
    pool = [volume(seed=10 * index)[0] for index in range(2, 6)]
    how = found.dataset.manifest.normalisation[0]
    assert how.mean == pytest.approx(np.mean(pool), rel=1e-6)
    assert any("brighter than -500 HU" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw, given: save(given / "case_9.nii.gz", volume()[1]), "belongs to no case"),
        (lambda raw, given: save(given / "case_3.nii.gz", volume((4, 4, 4))[1]), "has 4x4x4 vox"),
        (
            lambda raw, given: (raw / "splits_final.json").write_text(
                json.dumps([{"train": [f"case_{i}" for i in range(5)], "val": ["case_5"]}])
            ),
            "'case_5' is to be judged by, but not all",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(raw, tmp_path, spoil, said):
    given = tmp_path / "given"
    given.mkdir()
    spoil(raw, given)
    with pytest.raises(IngestError, match=said):
        ingest(raw, tmp_path / "d", IngestOptions(unlabelled=True, labels_from=given, workers=1))
    assert not (tmp_path / "d").exists()


def test_options_that_mean_nothing_are_refused(raw, tmp_path):
    with pytest.raises(IngestError, match=r"--labels-from: .* add --unlabelled"):
        ingest(raw, tmp_path / "d", IngestOptions(labels_from=raw))
    with pytest.raises(IngestError, match="--group-by: nothing is drawn"):
        ingest(raw, tmp_path / "d", IngestOptions(unlabelled=True, group_by="."))
