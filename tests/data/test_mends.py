"""What messages advise, followed to the letter: it helps, and no file is lost."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alsweep.data.raw.filenames import Volumes, cases_of, check_free, check_labels
from alsweep.data.raw.folder import read_raw
from alsweep.errors import IngestError
from tests.data.raws import decathlon, describe, nnunet

ENDING = ".nii.gz"


def description(raw):
    return json.loads((raw / "dataset.json").read_text())


def follow(raw, told):
    """Do what a message says, as someone would who knows no better."""
    path = Path(told.split(": ")[0].split(", ")[0])
    key = (re.findall(r"'(\w+)'", told) or [""])[0]
    if found := re.search(r"rename it to ([^,;]+)", told):
        target = path.with_name(found[1])
        assert not target.exists(), "would be overwritten"
        path.rename(target)
    elif found := re.search(r"rename '(\w+)' to '(\w+)'", told):
        describe(raw, **{found[2]: description(raw)[found[1]], found[1]: None})
    elif found := re.search(r"; write (\".*\"|\{.*\})$", told):
        describe(raw, **{key: json.loads(found[1])})
    elif found := re.search(r"; add (\".*)$", told):
        describe(raw, **{key: description(raw)[key] | json.loads(f"{{{found[1]}}}")})
    elif found := re.search(r"line (\d+), column (\d+); remove it", told):
        lines = path.read_text().splitlines()
        row, column = int(found[1]) - 1, int(found[2]) - 1
        lines[row] = lines[row][:column] + lines[row][column + 1 :]
        path.write_text("\n".join(lines))
    elif "put [ before it and ] after it" in told:
        path.write_text(f"[{path.read_text()}]")
    else:
        assert re.search("move .* (elsewhere|out of that folder)", told), told
        path.rename(raw.parent / path.name)


def contents(place):
    """How often each content of a file occurs below a folder, descriptions apart."""
    files = (p for p in place.rglob("*") if p.is_file() and p.suffix != ".json")
    return Counter(hashlib.sha256(p.read_bytes()).hexdigest() for p in files)


def rename(raw, pattern, change):
    for path in sorted(raw.glob(pattern)):
        path.rename(path.with_name(change(path.name)))


def without_channel(*folders):
    def spoil(raw):
        for folder in folders:
            rename(raw, f"{folder}/*", lambda name: name.replace("_0000.nii", ".nii"))

    return spoil


def labels_called(tail):
    return lambda raw: rename(raw, "labelsTr/*", lambda n: n.replace(".nii.gz", tail + ".nii.gz"))


def changed(**changes):
    return lambda raw: describe(raw, **changes)


def text_of_description(change):
    def spoil(raw):
        text = json.dumps(description(raw), indent=1)
        (raw / "dataset.json").write_text(change(text))

    return spoil


def splits(text):
    return lambda raw: (raw / "splits_final.json").write_text(text)


NAMES = {"0": "background", "1": "organ", "2": "lesion"}
NUMBERS = {"background": 0, "organ": 1, "lesion": 2}
V2 = {
    "no channel": without_channel("imagesTr"),
    "no channel in one": lambda r: (r / "imagesTr/word_0002_0000.nii.gz").rename(
        r / "imagesTr/word_0002.nii.gz"
    ),
    "no channel in validation and test": without_channel("imagesVal", "imagesTs"),
    "labels of Slicer": labels_called(".seg"),
    "labels with a word": labels_called("_label"),
    "labels with a channel": labels_called("_0000"),
    "free labels with a word": lambda r: rename(
        r, "addTr/*", lambda n: n.replace(".nii.gz", "-free.nii.gz")
    ),
    "an ending in capitals": lambda r: rename(r, "labelsTr/*", lambda n: n.replace(".nii", ".NII")),
    "a file of another kind": lambda r: (r / "imagesTr/notes.txt").write_text("mine"),
    "labels by number": changed(labels=NAMES),
    "labels as a list": changed(labels=list(NUMBERS)),
    "no background": changed(labels={"organ": 1, "lesion": 2}),
    "channel by name": changed(channel_names={"MR": 0}),
    "channel by name, as text": changed(channel_names={"MR": "0"}),
    "channel by itself": changed(channel_names={"MR": "MR"}),
    "channel as in files": changed(channel_names={"0000": "MR"}),
    "channels as a list": changed(channel_names=["MR"]),
    "ending without a dot": changed(file_ending="nii.gz"),
    "ending in capitals": changed(file_ending=".NII.GZ"),
    "ending as a pattern": changed(file_ending="*.nii.gz"),
    "key of v1": changed(channel_names=None, modality={"0": "MR"}),
    "key with a slip": changed(channel_names=None, channels_name={"0": "MR"}),
    "comma too many": text_of_description(lambda text: text[:-2] + ",\n}\n"),
    "comma too many in a map": text_of_description(lambda text: text.replace("\n }", ",\n }", 1)),
    "no folds": splits("[]"),
}
V1 = {
    "labels by name": changed(labels=NUMBERS),
    "labels by name, as text": changed(labels={name: str(n) for name, n in NUMBERS.items()}),
    "no background": changed(labels={"1": "organ", "2": "lesion"}),
    "modality by name": changed(modality={"M0": 0, "M1": 1}),
    "modality as a list": changed(modality=["M0", "M1"]),
    "key with a slip": changed(modality=None, modalities={"0": "M0", "1": "M1"}),
}


@pytest.fixture
def word(tmp_path):
    """An nnU-Net v2 dataset whose ids end in four digits."""
    raw = nnunet(tmp_path / "raw")
    rename(raw, "imagesTr/*", lambda name: name.replace("case_", "word_000"))
    rename(raw, "labelsTr/*", lambda name: name.replace("case_", "word_000"))
    for kind, index in (("Val", 5), ("Ts", 6)):
        for folder, tail in (("images", "_0000"), ("labels", "")):
            source = raw / f"{folder}Tr/word_0001{tail}.nii.gz"
            target = raw / f"{folder}{kind}/word_000{index}{tail}.nii.gz"
            target.parent.mkdir()
            target.write_bytes(source.read_bytes())
    (raw / "addTr").mkdir()
    (raw / "addTr/word_0003.nii.gz").write_bytes((raw / "labelsTr/word_0003.nii.gz").read_bytes())
    return raw


def mended(raw, spoil):
    """What a dataset is after it was spoilt, and mended message by message."""
    spoil(raw)
    before = contents(raw.parent)
    told = []
    while len(told) < 20:
        try:
            found = read_raw(raw)
        except IngestError as error:
            told.append(str(error))
            follow(raw, told[-1])
        else:
            assert told, "nothing was refused"
            assert contents(raw.parent) == before
            return found
    raise AssertionError(told)


@pytest.mark.parametrize("fault", V2)
def test_an_nnunet_dataset_is_mended_by_doing_what_is_said(word, fault):
    good = read_raw(word)
    assert mended(word, V2[fault]) == good


@pytest.mark.parametrize("fault", V1)
def test_a_decathlon_dataset_is_mended_by_doing_what_is_said(tmp_path, fault):
    raw = decathlon(tmp_path / "raw")
    good = read_raw(raw)
    assert mended(raw, V1[fault]) == good


def test_a_single_fold_becomes_a_list_of_one(word):
    (word / "imagesVal").rename(word / "elsewhere")
    fold = {"train": ["word_0000"], "val": ["word_0001"]}
    found = mended(word, splits(json.dumps(fold)))
    assert [dict(one) for one in found.folds] == [{k: tuple(v) for k, v in fold.items()}]


# What cannot be told for certain


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (("word_0001.nii.gz",), r"word_0001.nii.gz is there already, so move it"),
        (("a_0001.nii.gz",), r"would be channel 1 of case 'a', .* rename it to a_0001_0000.nii.gz"),
        (("a_0000.nii.gz", "a_0001.nii.gz"), r"a_0001.nii.gz: is channel 1, but .* names 1"),
    ],
)
def test_no_advice_would_overwrite_a_file_or_lose_a_channel(word, files, reason):
    for name in files:
        (word / "imagesTr" / name).touch()
    if "word" in files[0]:
        (word / "imagesTr/word_0001_0000.nii.gz").rename(word / "imagesTr/word.nii.gz")
        (word / "imagesTr/word_0000.nii.gz").touch()
        reason = r"word.nii.gz: .* word_0000.nii.gz is there already, so move it"
    with pytest.raises(IngestError, match=reason):
        read_raw(word)


def test_several_labels_of_one_case_are_not_renamed_one_over_another(word):
    labels = word / "labelsTr"
    content = (labels / "word_0001.nii.gz").read_bytes()
    (labels / "word_0001.nii.gz").unlink()
    for name in ("seg1", "seg2"):
        (labels / f"word_0001_{name}.nii.gz").write_bytes(content)
    with pytest.raises(IngestError, match=r"several labels .*'word_0001'; merge them into word_0"):
        read_raw(word)


def test_labels_of_what_may_be_another_case_are_renamed_to_none(word):
    labels, free = (word / folder / "word_0003.nii.gz" for folder in ("labelsTr", "addTr"))
    labels.rename(labels.with_name("word_0003_2.nii.gz"))
    assert {"word_0003", "word_0003_2"} <= {case.id for case in read_raw(word).cases}
    free.rename(free.with_name("word_0003_3.nii.gz"))
    with pytest.raises(IngestError, match=r"word_0003_3.* no training case; rename it as its case"):
        read_raw(word)


def test_channels_whose_order_is_not_plain_get_no_order(word):
    describe(word, channel_names={"A": "CT", "B": "PET"})
    with pytest.raises(IngestError, match="'channel_names': numbers must run") as refused:
        read_raw(word)
    assert "write {" not in str(refused.value)


tails = st.sampled_from(["", "_0000", "_0001", "_1234"])


@given(st.sets(st.tuples(st.text("ab_1", min_size=1, max_size=3), tails), min_size=1), st.data())
def test_well_named_files_are_never_refused(named, data):
    cases = sorted({name + tail for name, tail in named})
    channels = data.draw(st.integers(1, 3))
    labelled = data.draw(st.sets(st.sampled_from(cases)))
    stems = tuple(f"{case}_{c:04d}" for case in cases for c in range(channels))
    found = cases_of(Volumes(Path("i"), ENDING, stems), labelled, channels)
    assert found == set(cases)
    check_labels(Volumes(Path("l"), ENDING, tuple(sorted(labelled))), found)
    check_free(Volumes(Path("f"), ENDING, tuple(sorted(labelled))), found)


@given(st.sets(st.tuples(st.text("ab_1", min_size=1, max_size=3), tails), min_size=1))
def test_images_without_a_channel_are_all_told_from_their_labels(named):
    cases = sorted({name + tail for name, tail in named})
    # Of a and a_0000 the second might be the first one's image.
    assume(not all(case.endswith("_0000") for case in cases))
    assume(not any(re.fullmatch(re.escape(a) + r"_\d{4}", b) for a in cases for b in cases))
    told = rf"{re.escape(cases[0])}_0000\.nii\.gz(, and so the {len(cases) - 1} others like it)?$"
    with pytest.raises(IngestError, match=told):
        cases_of(Volumes(Path("i"), ENDING, tuple(cases)), set(cases), 1)
