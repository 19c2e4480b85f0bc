import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from alsweep import Dataset
from alsweep.cli.main import main
from tests.data.raws import describe, edit_header, nnunet, save, volume


@pytest.fixture
def alsweep(monkeypatch, capfd):
    """Runs the command line in this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["alsweep", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run


IMAGE = "imagesTr/case_2_0000.nii.gz"
LABEL = "labelsTr/case_2.nii.gz"


def _missing_channel(raw):
    describe(raw, channel_names={"0": "MR", "1": "T2"})
    image, _ = volume()
    for case in (0, 1, 3):
        save(raw / f"imagesTr/case_{case}_0001.nii.gz", image)


def _labels(values):
    def change(raw):
        _, labels = volume()
        labels = labels.astype(np.float32)
        labels[0, 0, : len(values)] = values
        save(raw / LABEL, labels)

    return change


def _image(value):
    def change(raw):
        image = volume()[0].astype(np.float32)
        image[1, 1, 1] = value
        save(raw / IMAGE, image)

    return change


def _truncate(raw):
    content = (raw / IMAGE).read_bytes()
    (raw / IMAGE).write_bytes(content[: len(content) // 2])


def _flip_crc(raw):
    content = bytearray((raw / IMAGE).read_bytes())
    content[-6] ^= 0xFF
    (raw / IMAGE).write_bytes(content)


def _link_out(raw):
    outside = raw.parent / "elsewhere.nii.gz"
    (raw / IMAGE).rename(outside)
    (raw / IMAGE).symlink_to(outside)


def _bomb(raw):
    with gzip.open(raw / IMAGE, "ab") as file:
        file.write(bytes(1 << 24))


def _fifo(raw):
    (raw / IMAGE).unlink()
    os.mkfifo(raw / IMAGE)


BAD_FILES = {
    "missing channel": (_missing_channel, "case_2_0001.nii.gz", "is missing; add"),
    "missing label": (lambda r: (r / LABEL).unlink(), LABEL, "is missing; add"),
    "shape": (lambda r: save(r / LABEL, volume((12, 10, 9))[1]), LABEL, "9x10x12 voxels"),
    "affine": (
        lambda r: save(r / LABEL, volume()[1], origin=(0.01, 0, 0)),
        LABEL,
        "0.01 voxels off",
    ),
    "unknown label": (_labels([7]), LABEL, "does not name (7)"),
    "negative label": (_labels([-1]), LABEL, "does not name (-1)"),
    "fractional label": (_labels([0.5]), LABEL, "not integers (0.5)"),
    "NaN label": (_labels([np.nan]), LABEL, "NaN"),
    "NaN": (_image(np.nan), IMAGE, "NaN or infinite"),
    "infinite": (_image(np.inf), IMAGE, "NaN or infinite"),
    "truncated": (_truncate, IMAGE, "truncated or corrupt"),
    "wrong CRC": (_flip_crc, IMAGE, "CRC"),
    "flat": (lambda r: save(r / IMAGE, volume((1, 10, 8))[0]), IMAGE, "not three-dimensional"),
    "four axes": (
        lambda r: save(r / IMAGE, np.stack([volume()[0]] * 2)),
        IMAGE,
        "one 3D file per channel",
    ),
    "zero spacing": (
        lambda r: edit_header(r / IMAGE, "pixdim", [1, 1, 0, 1, 1, 1, 1, 1]),
        IMAGE,
        "spacing is 1 x 0 x 1",
    ),
    "negative spacing": (
        lambda r: edit_header(r / IMAGE, "pixdim", [1, 1, -2, 1, 1, 1, 1, 1]),
        IMAGE,
        "spacing is 1 x -2 x 1",
    ),
    "absurd dimensions": (
        lambda r: edit_header(r / IMAGE, "dim", [3, 32000, 32000, 32000, 1, 1, 1, 1]),
        IMAGE,
        "truncated or corrupt",
    ),
    "negative dimensions": (
        lambda r: edit_header(r / IMAGE, "dim", [3, -8, 10, 12, 1, 1, 1, 1]),
        IMAGE,
        "impossible dimensions",
    ),
    "no NIfTI": (lambda r: (r / IMAGE).write_bytes(gzip.compress(b"x" * 999)), IMAGE, "NIfTI"),
    "no gzip": (lambda r: (r / IMAGE).write_bytes(b"x" * 999), IMAGE, "gzip"),
    "empty file": (lambda r: (r / IMAGE).write_bytes(b""), IMAGE, "is empty; copy"),
    "LFS pointer": (
        lambda r: (r / IMAGE).write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
        IMAGE,
        "git lfs pull",
    ),
    "bomb": (_bomb, IMAGE, "more bytes than its header says"),
    "link that leaves": (_link_out, IMAGE, "leads out of the dataset"),
    "FIFO": (_fifo, IMAGE, "not a regular file"),
}
BAD_FOLDERS = {
    "no dataset.json": (lambda r: (r / "dataset.json").unlink(), "dataset.json", "is missing"),
    "no JSON": (lambda r: (r / "dataset.json").write_text("{"), "dataset.json", "not valid JSON"),
    "deep JSON": (
        lambda r: (r / "dataset.json").write_text("[" * 100_000),
        "dataset.json",
        "not valid JSON",
    ),
    "not an object": (lambda r: (r / "dataset.json").write_text("[]"), "dataset.json", "object"),
    "foreign format": (lambda r: describe(r, file_ending=None), "dataset.json", "nor Decathlon"),
    "gap in labels": (
        lambda r: describe(r, labels={"background": 0, "organ": 2}),
        "'labels'",
        "without a gap, got 0, 2",
    ),
    "regions": (
        lambda r: describe(r, labels={"background": 0, "whole": [1, 2]}),
        "'labels.whole'",
        "not supported",
    ),
    "ignore label": (
        lambda r: describe(r, labels={"background": 0, "organ": 1, "ignore": 2}),
        "'labels.ignore'",
        "not supported",
    ),
    "label text": (
        lambda r: describe(r, labels={"background": 0, "organ": "one"}),
        "labels.organ",
        "mend it",
    ),
    "foreign ending": (lambda r: describe(r, file_ending=".png"), "'file_ending'", "got '.png'"),
    "stray file": (
        lambda r: (r / "imagesTr/notes.txt").write_text("x"),
        "imagesTr/notes.txt",
        "convert or remove",
    ),
    "same id twice": (
        lambda r: (
            save(r / "labelsVal/CASE_2.nii.gz", volume()[1])
            or save(r / "imagesVal/CASE_2_0000.nii.gz", volume()[0])
        ),
        "imagesVal/CASE_2_0000.nii.gz",
        "occurs twice",
    ),
    "extra channel": (
        lambda r: save(r / "imagesTr/case_2_0001.nii.gz", volume()[0]),
        "imagesTr/case_2_0001.nii.gz",
        "channel 1",
    ),
    "unknown case in the split": (
        lambda r: (r / "splits_final.json").write_text('[{"train": ["case_0"], "val": ["who"]}]'),
        "splits_final.json",
        "case 'who'",
    ),
    "case in both parts": (
        lambda r: (r / "splits_final.json").write_text(
            '[{"train": ["case_0", "case_1", "case_2", "case_3"], "val": ["case_0"]}]'
        ),
        "case 'case_0'",
        "both parts",
    ),
}


@pytest.mark.parametrize("fault", [*BAD_FILES, *BAD_FOLDERS])
def test_bad_input_gives_one_line_with_the_mend_and_leaves_nothing(alsweep, tmp_path, fault):
    spoil, place, reason = (BAD_FILES | BAD_FOLDERS)[fault]
    raw, out = nnunet(tmp_path / "raw"), tmp_path / "made" / "out"
    spoil(raw)
    code, stdout, stderr = alsweep("ingest", raw, "--out", out)
    lines = stderr.strip().splitlines()
    assert (code, stdout, len(lines)) == (2, "", 1)
    assert lines[0].startswith("alsweep: error: ")
    assert place in lines[0]
    assert reason in lines[0]
    assert not any((tmp_path / "made").glob("*") if (tmp_path / "made").exists() else [])


@pytest.mark.parametrize("fault", ["truncated", "missing label", "unknown label"])
def test_bad_cases_skip_leaves_them_out_loudly(alsweep, tmp_path, fault):
    raw = nnunet(tmp_path / "raw")
    BAD_FILES[fault][0](raw)
    code, stdout, stderr = alsweep(
        "ingest", raw, "--out", tmp_path / "out", "--bad-cases", "skip", "--json"
    )
    assert code == 0
    assert "warning: skipped case case_2: " in stderr
    assert list(json.loads(stdout)["skipped"]) == ["case_2"]
    assert list(Dataset.open(tmp_path / "out").cases) == ["case_0", "case_1", "case_3"]


def test_skipping_every_case_is_refused(alsweep, tmp_path):
    raw = nnunet(tmp_path / "raw", cases=2)
    for case in (0, 1):
        (raw / f"labelsTr/case_{case}.nii.gz").unlink()
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out", "--bad-cases", "skip")
    assert code == 2
    assert "case_0.nii.gz: is missing" in stderr
    assert "1 more bad case" in stderr


def test_several_bad_cases_are_counted_in_one_line(alsweep, tmp_path):
    raw = nnunet(tmp_path / "raw")
    for case in (1, 2, 3):
        (raw / f"labelsTr/case_{case}.nii.gz").unlink()
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out")
    assert code == 2
    assert "case_1.nii.gz" in stderr
    assert "2 more bad cases; see --bad-cases skip" in stderr


def test_an_existing_out_is_refused_and_untouched(alsweep, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("keep")
    code, _, stderr = alsweep("ingest", nnunet(tmp_path / "raw"), "--out", tmp_path / "out")
    assert code == 2
    assert "exists already" in stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--fold", "0"), "there is no splits_final.json"),
        (("--spacing", "1", "0", "1"), "three positive numbers"),
        (("--group-by", "("), "not a regular expression"),
        (("--group-by", "patient_"), "does not fit case 'case_0'"),
        (("--group-by", "case"), "different groups"),
        (("--bad-cases", "ignore"), "--bad-cases"),
    ],
)
def test_wrong_options_are_refused(alsweep, tmp_path, arguments, reason):
    raw = nnunet(tmp_path / "raw")
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert reason in stderr
    assert not (tmp_path / "out").exists()


def test_json_is_all_that_goes_to_stdout(alsweep, tmp_path):
    raw = nnunet(tmp_path / "raw")
    code, stdout, stderr = alsweep("ingest", raw, "--out", tmp_path / "out", "--json")
    summary = json.loads(stdout)
    dataset = Dataset.open(tmp_path / "out")
    assert (code, stderr) == (0, "")
    assert summary["fingerprint"] == dataset.fingerprint
    assert summary["cases"] == {"pool": 3, "validation": 1, "test": 0}
    assert summary["spacing"] == [1.0, 1.0, 1.0]


def test_a_killed_ingest_leaves_no_out_and_the_next_one_succeeds(tmp_path):
    raw = nnunet(tmp_path / "raw", cases=24)
    start = "from alsweep.cli.main import main; main()"
    command = [sys.executable, "-c", start, "ingest", str(raw), "--out", str(tmp_path / "out")]
    half_done = tmp_path / ".out.alsweep-new" / "cases"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (half_done.exists() and len(list(half_done.iterdir())) > 3):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert half_done.exists()
    assert not (tmp_path / "out").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert len(Dataset.open(tmp_path / "out").cases) == 24
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "raw"]
