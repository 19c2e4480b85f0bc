import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

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


def _honest_bomb(raw):
    """A gzip file of eight billion zeros, as its header says."""
    start = gzip.decompress((raw / IMAGE).read_bytes())[:352]
    part = gzip.compress(bytes(1 << 24), 9)
    (raw / IMAGE).write_bytes(gzip.compress(start) + part * 480)
    edit_header_of_first_member(raw / IMAGE, [3, 2000, 2000, 2000, 1, 1, 1, 1])


def edit_header_of_first_member(path, dimensions):
    with gzip.open(path) as file:
        start = bytearray(file.read(352))
    header = nib.Nifti1Header(bytes(start[:348]), check=False)
    header["dim"], header["datatype"], header["bitpix"] = dimensions, 2, 8
    first = len(gzip.compress(bytes(start)))
    rest = path.read_bytes()
    start[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(start)) + rest[first:])


def _replace(place, make):
    def change(raw):
        (raw / place).unlink()
        make(raw / place)

    return change


def _sparse(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _folder_outside(raw):
    (raw / "imagesTr").rename(raw.parent / "images elsewhere")
    (raw / "imagesTr").symlink_to(raw.parent / "images elsewhere")


def _decathlon_path(path):
    def change(raw):
        entry = {"image": path, "label": "labelsTr/case_0.nii.gz"}
        describe(
            raw,
            channel_names=None,
            modality={"0": "MR"},
            labels={"0": "background", "1": "organ", "2": "lesion"},
            training=[{**entry, "image": f"imagesTr/case_{i}_0000.nii.gz"} for i in (1, 2)]
            + [entry],
        )

    return change


BAD_FILES = {
    "missing channel": (_missing_channel, "case_2_0001.nii.gz", "is missing; add"),
    "missing label": (lambda r: (r / LABEL).unlink(), LABEL, "is missing; add"),
    "shape": (lambda r: save(r / LABEL, volume((12, 10, 9))[1]), LABEL, "9x10x12 voxels"),
    "affine": (
        lambda r: save(r / LABEL, volume()[1], origin=(0.6, 0, 0)),
        LABEL,
        "0.6 voxels off",
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
    "FIFO": (_replace(IMAGE, os.mkfifo), IMAGE, "not a regular file"),
    "directory": (_replace(IMAGE, os.mkdir), IMAGE, "not a regular file"),
    "link to itself": (
        _replace(IMAGE, lambda path: path.symlink_to(path)),
        IMAGE,
        "a link in a circle",
    ),
    "dangling link": (
        _replace(IMAGE, lambda path: path.symlink_to("nothing.nii.gz")),
        IMAGE,
        "is missing; add",
    ),
    "device": (
        _replace(IMAGE, lambda path: path.symlink_to("/dev/zero")),
        IMAGE,
        "leads out of the dataset",
    ),
    "sparse terabyte": (_replace(IMAGE, _sparse), IMAGE, "is not a valid gzip file"),
    "honest bomb": (_honest_bomb, IMAGE, "8e+09 voxels"),
    "two axes": (
        lambda r: nib.save(nib.Nifti1Image(volume()[0][0], np.eye(4)), r / IMAGE),
        IMAGE,
        "not three-dimensional",
    ),
    "absurd values": (_image(1e35), IMAGE, "beyond 1e+30"),
    "absurd spacing": (
        lambda r: (
            save(r / IMAGE, volume()[0], (1, 1, 1e9)),
            save(r / LABEL, volume()[1], (1, 1, 1e9)),
        ),
        IMAGE,
        "1e+03 times longer than those of the other cases; correct the unit",
    ),
    "voxels that begin nowhere": (
        lambda r: edit_header(r / IMAGE, "vox_offset", -5),
        IMAGE,
        "begin at byte -5",
    ),
    "folder of links that leave": (_folder_outside, "imagesTr", "leads out of the dataset"),
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
    "regions without order": (
        lambda r: describe(r, labels={"background": 0, "whole": [1, 2]}),
        "'regions_class_order'",
        "is missing",
    ),
    "ignore that is not the highest": (
        lambda r: describe(r, labels={"background": 0, "ignore": 1, "organ": 2}),
        "'labels'",
        "without a gap",
    ),
    "same key twice": (
        lambda r: (r / "dataset.json").write_text('{"labels": {}, "labels": {}}'),
        "dataset.json",
        "key 'labels' occurs twice",
    ),
    "JSON of a terabyte": (
        _replace("dataset.json", _sparse),
        "dataset.json",
        "more than any description needs",
    ),
    "JSON that is a FIFO": (_replace("dataset.json", os.mkfifo), "dataset.json", "regular file"),
    "JSON that is a folder": (_replace("dataset.json", os.mkdir), "dataset.json", "regular file"),
    "JSON that is elsewhere": (
        _replace("dataset.json", lambda path: path.symlink_to("/etc/passwd")),
        "dataset.json",
        "leads out of the dataset",
    ),
    "JSON that is no text": (
        lambda r: (r / "dataset.json").write_bytes(b"\xff\xfe{}"),
        "dataset.json",
        "not valid JSON",
    ),
    "JSON of an LFS pointer": (
        lambda r: (r / "dataset.json").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "dataset.json",
        "not valid JSON",
    ),
    "deep labels": (
        lambda r: (r / "dataset.json").write_text(
            '{"channel_names": {"0": "MR"}, "file_ending": ".nii", "labels": {"a": '
            + "[" * 900
            + "]" * 900
            + "}}"
        ),
        "labels.a",
        "mend it",
    ),
    "absolute path": (_decathlon_path("/etc/passwd.nii.gz"), "/etc/passwd", "leads out"),
    "path that climbs": (_decathlon_path("../x/../../secret.nii.gz"), "secret", "leads out"),
    "path with a null": (_decathlon_path("a\0/b.nii.gz"), "raw", "cannot be a path"),
    "same id, other ending": (
        _decathlon_path("imagesTr/case_1_0000.nii"),
        "imagesTr/case_1_0000.nii",
        "occurs twice",
    ),
    "other ending beside": (
        lambda r: save(r / "imagesTr/case_2_0000.nii", volume()[0]),
        "imagesTr/case_2_0000.nii",
        "does not end in .nii.gz",
    ),
    "folds that are none": (
        lambda r: (r / "splits_final.json").write_text('{"train": []}'),
        "splits_final.json",
        "must be a list",
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
        "move it out of that folder",
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
    # On a busy machine there may be a line of progress before it.
    lines = [line for line in stderr.splitlines() if not line.startswith("ingest: ")]
    assert (code, stdout, len(lines)) == (2, "", 1)
    assert lines[0].startswith("alsweep: error: ")
    assert place in lines[0]
    assert reason in lines[0]
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("ending", [".mha", ".nrrd", ".nii"])
def test_a_damaged_header_is_told_in_one_line_whoever_reads_it(alsweep, tmp_path, ending):
    raw = nnunet(tmp_path / "raw")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    for path in sorted(raw.glob("*Tr/*.nii.gz")):
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path).replace(".nii.gz", ending))
        path.unlink()
    describe(raw, file_ending=ending)
    broken = raw / f"imagesTr/case_2_0000{ending}"
    broken.write_bytes(b"?" + broken.read_bytes()[1:60])
    code, stdout, stderr = alsweep("ingest", raw, "--out", tmp_path / "out")
    assert (code, stdout, len(stderr.splitlines())) == (2, "", 1)
    assert broken.name in stderr


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
        (("--affine-tolerance", "-1"), "--affine-tolerance -1: write a number of voxels"),
        (("--affine-tolerance", "nan"), "--affine-tolerance nan: write a number of voxels"),
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
    # Progress is told there after two seconds, which a busy machine may take.
    others = [line for line in stderr.splitlines() if not line.startswith("ingest: writing")]
    assert (code, others) == (0, [])
    assert summary["fingerprint"] == dataset.fingerprint
    assert summary["cases"] == {"pool": 3, "validation": 1, "test": 0}
    assert summary["spacing"] == [1.0, 1.0, 1.0]


def test_json_stays_json_where_there_are_warnings(alsweep, tmp_path):
    raw = nnunet(tmp_path / "raw")
    (raw / LABEL).unlink()
    describe(raw, numTraining=9)
    code, stdout, stderr = alsweep(
        "ingest", raw, "--out", tmp_path / "out", "--json", "--bad-cases", "skip"
    )
    assert code == 0
    warnings = [line for line in stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1 + len(json.loads(stdout)["warnings"]) > 1


def test_links_are_followed_on_demand(alsweep, tmp_path):
    raw = nnunet(tmp_path / "raw")
    _link_out(raw)
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out")
    assert code == 2
    assert "allow it with --follow-links" in stderr
    assert alsweep("ingest", raw, "--out", tmp_path / "out", "--follow-links")[0] == 0


@pytest.mark.parametrize(
    "written", ["$nnUNet_raw/Dataset007_T", "${nnUNet_raw}/Dataset007_T", "~/raw/Dataset007_T"]
)
def test_variables_and_the_home_folder_are_expanded(alsweep, tmp_path, monkeypatch, written):
    raw = nnunet(tmp_path / "raw/Dataset007_T")
    monkeypatch.setenv("nnUNet_raw", str(raw.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert alsweep("ingest", written, "--out", tmp_path / "out")[0] == 0
    assert Dataset.open(tmp_path / "out").name == "Dataset007_T"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_told_in_one_line(alsweep, tmp_path, monkeypatch, value):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    if value is not None:
        monkeypatch.setenv("nnUNet_raw", value)
    code, stdout, stderr = alsweep("ingest", "$nnUNet_raw/Dataset007_T", "--out", tmp_path / "out")
    assert (code, stdout) == (2, "")
    assert stderr == (
        "alsweep: error: RAW: '$nnUNet_raw/Dataset007_T' needs the variable nnUNet_raw, which is "
        "not set; 'export nnUNet_raw=FOLDER' or write the path out\n"
    )
    assert "(is a variable before it unset?)" in alsweep("ingest", "/no", "--out", "no")[2]


def test_a_folder_that_is_called_like_a_variable_is_taken_as_it_is(alsweep, tmp_path):
    raw = nnunet(tmp_path / "$none")
    assert alsweep("ingest", raw, "--out", tmp_path / "out")[0] == 0


def _command(raw, out):
    start = "from alsweep.cli.main import main; main()"
    return [sys.executable, "-c", start, "ingest", str(raw), "--out", str(out)]


def _killed_when(process, reached):
    deadline = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def _chunks(cases):
    return {
        path.relative_to(cases): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in cases.glob("*/0/c/0/0/0/0")
    }


def test_a_killed_ingest_is_gone_on_with_and_redoes_no_finished_case(tmp_path):
    raw, out = nnunet(tmp_path / "raw", cases=24), tmp_path / "out"
    staging = tmp_path / ".out.alsweep-new"
    process = subprocess.Popen(_command(raw, out), stdout=subprocess.DEVNULL)
    noted = staging / "notes/case"
    _killed_when(process, lambda: noted.exists() and len(list(noted.glob("*.json"))) > 3)
    assert not out.exists()
    finished = [path.stem for path in noted.glob("*.json")]
    before = {
        path: stat
        for path, stat in _chunks(staging / "cases").items()
        if path.parts[0].removesuffix(".ome.zarr") in finished
    }
    assert len(before) == len(finished) < 24
    subprocess.run(_command(raw, out), check=True, stdout=subprocess.DEVNULL)
    after = _chunks(out / "cases")
    assert {path: after[path] for path in before} == before
    assert len(Dataset.open(out).cases) == 24
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "raw"]
    assert sorted(p.name for p in out.iterdir()) == ["cases", "dataset.json"]


def test_a_bomb_costs_little_memory_and_time(tmp_path):
    raw = nnunet(tmp_path / "raw")
    _honest_bomb(raw)
    begun = time.monotonic()
    process = subprocess.Popen(_command(raw, tmp_path / "out"), stderr=subprocess.PIPE)
    stderr = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 2, stderr
    # The fork that it began as counts too: whatever this process holds by then.
    assert usage.ru_maxrss < 1_500_000, "kB"
    assert time.monotonic() - begun < 30


def test_a_volume_that_does_not_fit_into_memory_is_told_in_one_line(tmp_path):
    raw = nnunet(tmp_path / "raw")
    part = gzip.compress(bytes(1 << 24), 9)
    start = gzip.decompress((raw / IMAGE).read_bytes())[:352]
    (raw / IMAGE).write_bytes(gzip.compress(start) + part * 125)
    edit_header_of_first_member(raw / IMAGE, [3, 1250, 1250, 1250, 1, 1, 1, 1])
    command = _command(raw, tmp_path / "out")
    limit = "import resource as r; r.setrlimit(r.RLIMIT_AS, (3 << 29, 3 << 29)); "
    command[2] = limit + command[2]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "case_2_0000.nii.gz: does not fit into memory" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("place", [IMAGE, "dataset.json"])
def test_files_that_may_not_be_read_are_named(alsweep, tmp_path, monkeypatch, place):
    raw, opened = nnunet(tmp_path / "raw"), Path.open

    def forbidden(path, *arguments, **options):
        # Not by its mode: root, as which tests may run, reads everything.
        if path == raw / place:
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", forbidden)
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out")
    assert code == 2
    assert f"{place}: cannot be read (Permission denied); mend its permissions" in stderr


def warned(stderr: str) -> list[str]:
    """All but progress, which is shown where the machine is slow."""
    return [line for line in stderr.splitlines() if not line.startswith("ingest: ")]


def test_what_may_surprise_is_warned_of(alsweep, tmp_path):
    raw = nnunet(tmp_path / "raw")
    describe(raw, labels={"background": 0, "organ": 1, "lesion": 2, "ghost": 3})
    save(raw / "imagesTr/case_0_0000.nii.gz", np.full((12, 10, 8), 7, np.int16))
    save(raw / "labelsTr/case_0.nii.gz", np.zeros((12, 10, 8), np.uint8))
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out")
    assert code == 0
    assert warned(stderr) == [
        "warning: channel 'MR' has one value throughout in case_0",
        "warning: no foreground is labelled in case_0",
        "warning: class 'ghost' occurs in no pool case",
        "warning: class 'ghost' occurs in no validation case",
    ]


def test_frames_of_one_patient_on_both_sides_are_warned_of(alsweep, tmp_path):
    raw = nnunet(tmp_path / "raw", cases=8)
    for path in [*(raw / "imagesTr").iterdir(), *(raw / "labelsTr").iterdir()]:
        index = int(path.name[5])
        frame = f"patient{index // 2:03d}_frame{(1, 12)[index % 2]:02d}"
        path.rename(path.parent / path.name.replace(f"case_{index}", frame))
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out")
    (warning,) = warned(stderr)
    assert code == 0
    assert warning.startswith("warning: case ids look like several of one patient, and ")
    mend = (r"--group-by '^\D*\d+', which keeps them together", "--group-by", r"^\D*\d+")
    assert warning.endswith(mend[0])
    code, stdout, stderr = alsweep(
        "ingest", raw, "--out", tmp_path / "grouped", *mend[1:], "--json"
    )
    assert (code, warned(stderr), json.loads(stdout)["warnings"]) == (0, [], [])


def test_files_that_lie_apart_are_warned_of_as_far_as_is_allowed(alsweep, tmp_path):
    raw = nnunet(tmp_path / "raw")
    save(raw / LABEL, volume()[1], origin=(0.6, 0, 0))
    more = ("--affine-tolerance", "0.7")
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out", *more)
    assert code == 0
    assert warned(stderr) == [
        "warning: the affine lies off that of the case's first image in "
        f"{LABEL} (0.6 voxels); voxel is laid on voxel, see --affine-tolerance"
    ]


PLANS = {
    "missing": (None, "is missing"),
    "no JSON": ("{", "not valid JSON"),
    "deep": ("[" * 100_000, "not valid JSON"),
    "empty": ("{}", "'configurations'"),
    "2D": ('{"configurations": {"2d": {}}}', "has no configuration '3d_fullres'"),
    "circle": (
        '{"configurations": {"3d_fullres": {"inherits_from": "3d_fullres"}}}',
        "inherits from itself",
    ),
    "other resampling": (
        '{"configurations": {"3d_fullres": {"resampling_fn_data": "resample_torch"}}}',
        "got resample_torch",
    ),
    "bad patch": (
        '{"configurations": {"3d_fullres": {"spacing": [1, 1, 1], "patch_size": [0, 1, 1]}}}',
        "'patch_size.0'",
    ),
}


@pytest.mark.parametrize("fault", PLANS)
def test_plans_that_cannot_be_used_are_refused(alsweep, tmp_path, fault):
    content, reason = PLANS[fault]
    plans = tmp_path / "plans.json"
    if content is not None:
        plans.write_text(content)
    raw, out = nnunet(tmp_path / "raw"), tmp_path / "out"
    code, stdout, stderr = alsweep("ingest", raw, "--out", out, "--plans", plans)
    assert (code, stdout, len(stderr.splitlines())) == (2, "", 1)
    assert "plans.json" in stderr
    assert reason in stderr
    assert not out.exists()


def test_plans_and_spacing_exclude_each_other(alsweep, tmp_path):
    arguments = ("--plans", tmp_path / "p.json", "--spacing", "1", "1", "1")
    raw = nnunet(tmp_path / "raw")
    code, _, stderr = alsweep("ingest", raw, "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert "leave one of them out" in stderr
