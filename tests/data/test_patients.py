import pytest

from alsweep.data.ingest.patients import several_per_patient
from alsweep.data.ingest.splits import draw_validation, group_cases

SEVERAL = {
    "frames": [f"patient{i:03d}_frame{k:02d}" for i in range(1, 31) for k in (1, 9 + i % 4)],
    "two patients": [f"patient{i:03d}_frame{k:02d}" for i in (1, 2) for k in (1, 12)],
    "few with many": [f"subject{i}_t{k}" for i in (1, 2, 3) for k in range(6)],
    "sessions": [f"sub-{i:02d}_ses-{k:02d}" for i in range(9) for k in (1, 2)],
    "runs": [f"sub-{i:02d}_ses-{k}_run-{j}" for i in range(5) for k in (1, 2) for j in (1, 2)],
    "sides": [f"9{i:06d}_{k}" for i in range(20) for k in "LR"],
    "dates": [f"PAT{i:04d}_2019{k + 1:02d}{i:02d}" for i in range(12) for k in range(2)],
    "codes": [f"{a}_{k}" for a in ("A0S9V9", "B2D9M2", "C1K8P5", "D3O9U9") for k in ("ED", "ES")],
    "nothing between": [f"p{i:02d}s{k}" for i in range(20) for k in (1, 2)],
    "within centres": [
        f"site{s}_patient{p:02d}_scan{k}" for s in range(4) for p in range(3) for k in (1, 2)
    ],
    "one without a number": [f"patient{i}_frame{k}" for i in range(9) for k in (1, 2)]
    + ["phantom"],
}

SINGLE = {
    "numbers": [str(i) for i in range(40)],
    "one number": [f"hippocampus_{i:03d}" for i in range(40)],
    "a year first": [f"BraTS2021_{i:05d}" for i in range(40)],
    "a year and a word": [f"BraTS20_Training_{i:03d}" for i in range(40)],
    "one scan each": [f"BraTS-GLI-{i:05d}-000" for i in range(40)],
    "one file each": [f"case_{i:05d}_imaging" for i in range(40)],
    "years": [f"{year}_{i:03d}" for year in (2018, 2019, 2020) for i in range(20)],
    "centres": [f"site{s}_{i:03d}" for s in range(1, 6) for i in range(20)],
    "uneven centres": [f"TCGA-{s:02d}-{97 * s + i:04d}" for s in range(2, 8) for i in range(3 * s)],
    "modalities": [f"{m}_train_{i}" for m in ("ct", "mr") for i in range(1001, 1021)],
    "hashes": [f"{(i + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}" for i in range(99)],
    "words": ["liver", "spleen", "kidney", "colon"],
    "two": ["case_0", "case_1"],
    "two of many": [f"case_{i:03d}" for i in range(20)] + ["case_003_b", "case_004_b"],
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_images_of_a_patient_are_seen_and_the_pattern_keeps_them_together(name):
    ids = SEVERAL[name]
    found = several_per_patient(ids)
    assert found is not None
    groups = group_cases(ids, found.pattern)
    validation = draw_validation(groups)
    assert 0 < len(validation) < len(ids)
    for patient, members in found.groups.items():
        assert {groups[case] for case in members} == {patient}
        assert len({case in validation for case in members}) == 1
    assert sum(map(len, found.groups.values())) >= len(ids) - 1


def test_the_patient_is_the_shortest_beginning_and_not_the_centre():
    assert set(several_per_patient(SEVERAL["runs"]).groups) == {f"sub-{i:02d}" for i in range(5)}
    assert "site0_patient00" in several_per_patient(SEVERAL["within centres"]).groups


@pytest.mark.parametrize("name", SINGLE)
def test_other_ids_raise_no_alarm(name):
    assert several_per_patient(SINGLE[name]) is None


def test_the_order_of_ids_does_not_matter():
    ids = SEVERAL["frames"]
    assert several_per_patient(ids[::-1]) == several_per_patient(ids)
