"""What a node of a cluster says of the places of a sweep."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from alsweep import __version__
from alsweep.errors import ConfigError, DatasetError, RunFolderError
from alsweep.storage.mirror import mark
from alsweep.sweep import nodes


def test_a_node_with_the_same_places_has_nothing_to_say(tmp_path, dataset):
    (probe := tmp_path / "probe").touch()
    assert nodes.look(probe, {dataset.path: dataset.fingerprint}, __version__) == ()


def test_a_node_tells_what_it_lacks(tmp_path, dataset):
    (probe := tmp_path / "probe").touch()
    assert nodes.look(tmp_path / "no", {}, __version__) == ("run", "does not see it")
    assert nodes.look(probe, {tmp_path: "1"}, __version__)[1].startswith("has no Dataset at")
    assert nodes.look(probe, {dataset.path: "1"}, __version__)[1].startswith(
        "has another Dataset at"
    )
    assert nodes.look(probe, {}, "0")[0] == "alsweep"


@pytest.mark.parametrize(
    ("what", "error"),
    [("run", RunFolderError), ("dataset", DatasetError), ("alsweep", ConfigError)],
)
def test_what_one_of_several_nodes_lacks_is_one_line(monkeypatch, tmp_path, what, error):
    answers = {"10.0.0.1": (), "10.0.0.2": (what, "sees nothing"), "10.0.0.3": (what, "neither")}
    monkeypatch.setattr(nodes, "_asked", lambda *_: answers.items())
    with pytest.raises(error, match=r"node 10\.0\.0\.2 sees nothing, and so it is on 1 more of 3"):
        nodes.check_nodes(tmp_path, SimpleNamespace(trajectories=(), examples=()))
    assert not list(tmp_path.iterdir())


def test_what_lies_in_an_object_store_is_looked_for_on_no_node(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(nodes, "_asked", lambda *what: asked.append(what) or ())
    mark(tmp_path, "s3://bucket/run", 1)
    here, there = Path("/data/brain"), Path("s3://bucket/brain")
    planned = [
        SimpleNamespace(config=SimpleNamespace(dataset=place), dataset_fingerprint="f")
        for place in (here, there)
    ]
    nodes.check_nodes(tmp_path, SimpleNamespace(trajectories=planned[:1], examples=planned[1:]))
    assert asked == [(None, {here: "f"})]
