from pathlib import Path

import numpy as np
import pytest

from alsweep import Dataset
from alsweep.data.annotator import Oracle, ReferenceLabels


def test_the_oracle_tells_the_reference_labels_inside_the_box(phantom):
    case = phantom.pool[0]
    told = Oracle(phantom).reveal(case, (3, 4, 5), (6, 7, 8))
    assert np.array_equal(told, ReferenceLabels(phantom).volume(case)[3:9, 4:11, 5:13])


def test_what_the_oracle_tells_stays_in_the_shared_file(phantom):
    told = Oracle(phantom).reveal(phantom.pool[0], (0, 0, 0), (4, 4, 4))
    assert not told.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        told[...] = 1


def test_a_dataset_offers_no_way_to_the_labels():
    public = {name for name in dir(Dataset) if not name.startswith("_")}
    assert public == {
        "case",
        "channels",
        "classes",
        "fingerprint",
        "free",
        "image",
        "name",
        "open",
        "pool_shapes",
        "targets",
        "unreferenced",
    }


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts files as Linux does")


@linux
def test_a_case_is_opened_once_however_many_crops_are_held(phantom):
    case, oracle, before = phantom.pool[0], Oracle(phantom), open_files()
    crops = [oracle.reveal(case, (0, 0, i), (2, 2, 2)) for i in range(30)]
    assert open_files() == before + 1
    del crops
    assert open_files() == before


@linux
def test_labels_of_many_cases_keep_a_bounded_number_of_files_open(phantom, monkeypatch):
    monkeypatch.setattr("alsweep.data.annotator._OPEN_CASES", 2)
    oracle, before = Oracle(phantom), open_files()
    crops = {case: oracle.reveal(case, (3, 4, 5), (6, 7, 8)) for case in phantom.pool}
    assert open_files() == before + 2
    for case, crop in crops.items():
        assert np.array_equal(crop, ReferenceLabels(phantom).volume(case)[3:9, 4:11, 5:13])
