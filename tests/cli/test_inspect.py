import json
import sys

import numpy as np
import pytest

from alsweep.cli.main import main
from alsweep.data.ingest.conversion import ingest
from alsweep.data.phantom import write_phantom
from tests.data.raws import describe, nnunet, save, volume


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["alsweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


def test_inspect_shows_cases_classes_plan_and_fingerprint(monkeypatch, capfd, tmp_path):
    dataset = write_phantom(tmp_path / "p", cases=4, shape=(16, 20, 24))
    assert run(monkeypatch, "inspect", tmp_path / "p") == 0
    text = capfd.readouterr().out
    info = dataset.cases["phantom_002"]
    row = next(line for line in text.splitlines() if "phantom_002" in line)
    assert row.split() == [
        "phantom_002",
        info.part,
        "16x20x24",
        "1x1x1",
        *(f"{100 * n / 7680:.2f}" for n in info.class_voxels[1:]),
    ]
    pool_voxels = sum(dataset.cases[case].class_voxels[2] for case in dataset.pool)
    assert f"3 of 3, {pool_voxels:,}" in text
    assert "patch 16x20x24, batch 2, halvings 2x2x2" in text
    assert dataset.fingerprint in text


def test_inspect_tells_the_ct_window(monkeypatch, capfd, tmp_path):
    raw = nnunet(tmp_path / "raw", channels=("CT", "[bold]PET"))
    how = ingest(raw, tmp_path / "out").dataset.manifest.normalisation[0]
    assert run(monkeypatch, "inspect", tmp_path / "out") == 0
    text = " ".join(capfd.readouterr().out.split())
    assert f"CT: ct, clipped to {how.low:g}..{how.high:g}" in text
    assert "[bold]PET: zscore" in text


def test_json_says_the_same_to_machines(monkeypatch, capfd, tmp_path):
    dataset = write_phantom(tmp_path / "p", cases=2, shape=(16, 16, 16))
    assert run(monkeypatch, "inspect", tmp_path / "p", "--json") == 0
    summary = json.loads(capfd.readouterr().out)
    assert summary["fingerprint"] == dataset.fingerprint
    assert summary["classes"] == ["background", "organ", "lesion"]
    assert summary["plan"]["patch_size"] == [16, 16, 16]
    foreground = [sum(case.class_voxels[1:]) / 16**3 for case in dataset.cases.values()]
    assert [case["foreground_share"] for case in summary["cases"]] == pytest.approx(foreground)
    assert summary["foreground_share"] == pytest.approx(sum(foreground) / 2)


def test_what_is_no_dataset_is_told_in_one_line(monkeypatch, capfd, tmp_path):
    raw = nnunet(tmp_path / "raw")
    for path, reason in ((raw, "alsweep ingest"), (tmp_path / "none", "no such Dataset")):
        assert run(monkeypatch, "inspect", path) == 2
        stdout, stderr = capfd.readouterr()
        assert (stdout, stderr.count("\n")) == ("", 1)
        assert reason in stderr


def test_inspect_tells_of_regions_masks_and_free_labels(monkeypatch, capfd, tmp_path):
    raw = nnunet(tmp_path / "raw")
    describe(
        raw,
        labels={"background": 0, "whole": [1, 2], "core": [2]},
        regions_class_order=[1, 2],
        use_mask_for_norm=True,
    )
    save(raw / "addTr/case_0.nii.gz", np.full(volume()[1].shape, 255, np.uint8))
    ingest(raw, tmp_path / "out")
    assert run(monkeypatch, "inspect", tmp_path / "out") == 0
    text = " ".join(capfd.readouterr().out.split())
    assert "regions whole: 1, 2; core: 2" in text
    assert "free labels in 1 of 3 pool cases" in text
    assert "MR: zscore of the nonzero voxels" in text


def test_inspect_warns_of_what_the_content_tells_and_tells_channels_apart(
    monkeypatch, capfd, tmp_path
):
    raw = nnunet(tmp_path / "raw", cases=2, channels=("CT", "CT"))
    save(raw / "imagesTr/case_0_0000.nii.gz", volume(seed=9)[0])
    ingest(raw, tmp_path / "out")
    assert run(monkeypatch, "inspect", tmp_path / "out") == 0
    stdout, stderr = capfd.readouterr()
    assert "CT (channel 0): ct, clipped to" in stdout
    assert "CT (channel 1): ct, clipped to" in stdout
    assert stderr.startswith("warning: only two cases in all: 'case_")
    assert stderr.count("\n") == 1
    assert run(monkeypatch, "inspect", tmp_path / "out", "--json") == 0
    (told,) = json.loads(capfd.readouterr().out)["warnings"]
    assert stderr == f"warning: {told}\n"
