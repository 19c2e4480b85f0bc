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
    }
