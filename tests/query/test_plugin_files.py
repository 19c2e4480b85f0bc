"""Strategies in a file of one's own."""

import sys

import pytest

from alsweep.config.strategy import StrategySpec
from alsweep.errors import StrategyError
from alsweep.query import MAPS, make_strategy, strategies
from alsweep.query import plugin_files as files
from alsweep.query.base import plugins_of
from alsweep.testing.pools import make_pool, make_request, make_streams

TEXT = '''
from dataclasses import dataclass

from alsweep.query import MAPS, MarginMap, Stages, Strategy, searchable, strategy
from alsweep.query.stage import stage


@stage(MAPS, "own_margin")
@dataclass(frozen=True)
class OwnMargin(MarginMap):
    """Margin under another name."""


@strategy("own", aliases=("mine",))
@dataclass(frozen=True)
class Own(Strategy):
    """Own margin."""

    beta: float = searchable(1.0, low=0.5, high=2.0, help="nothing")

    def stages(self):
        return Stages(map="own_margin")
'''


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    files._forget("alsweep_plugin_file.")


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(TEXT)
    return path


def refused(path, *words):
    with pytest.raises(StrategyError) as caught:
        files.load_file(path)
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert not [name for name in sys.modules if name.startswith("alsweep_plugin_file.")]


def test_what_a_file_registers_is_there_once_and_knows_its_content(own):
    sha256 = files.load_file(own)
    assert files.load_file(own) == sha256
    made = make_strategy({"name": "mine", "beta": 2})
    assert plugins_of(made) == (sha256,)
    assert plugins_of(make_strategy("margin")) == ()
    assert plugins_of(make_strategy({"stages": {"map": "own_margin"}})) == (sha256,)
    assert "own" in {entry["name"] for entry in strategies()}
    pool, request = make_pool(2), make_request(3)
    found, plain = (s.query(pool, request, make_streams()) for s in (made, make_strategy("margin")))
    assert found == plain


def test_another_version_takes_the_place_of_the_one_before(own):
    first = files.load_file(own)
    own.write_text(TEXT.replace("low=0.5", "low=0.1").replace('"own_margin"', '"new_margin"'))
    second = files.load_file(own)
    assert second != first
    assert make_strategy({"name": "own", "beta": 0.2}).beta == 0.2
    assert "own_margin" not in list(MAPS)
    with pytest.raises(StrategyError, match=f"content {first[:16]}, which is not loaded"):
        make_strategy(StrategySpec(name="own", plugins=(first,)))
    assert make_strategy(StrategySpec(name="own", plugins=(second,))).beta == 1.0


def test_files_of_similar_names_do_not_take_each_others_place(own, tmp_path):
    hashes = set()
    for name in ("own.v2.py", "own-v2.py", "own_v2.py"):
        path = tmp_path / name
        path.write_text(TEXT.replace('"own', f'"{path.stem}').replace('"mine"', f'"m{name}"'))
        hashes.add(files.load_file(path))
    hashes.add(files.load_file(own))
    assert len(hashes) == 4
    names = ("own.v2", "own-v2", "own_v2", "own")
    assert {plugins_of(make_strategy(name)) for name in names} == {(one,) for one in hashes}


def test_a_stage_of_another_version_is_refused(own):
    spelled = {"stages": {"map": "margin"}}
    with pytest.raises(StrategyError, match=r"a stage is from a plug-in file.*--plugin"):
        make_strategy(StrategySpec(name="stages", parameters=spelled, plugins=("0" * 64,)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\nif\n", ("line 2", "SyntaxError")),
        ("x = 1\n\nx.y\n", ("line 3", "AttributeError", "mend it")),
        (TEXT.replace('@strategy("own"', '@strategy("random"'), ("'random' is registered twice",)),
        (TEXT.replace("    beta:", "    label:"), ("'label' cannot be the name",)),
    ],
)
def test_a_fault_names_file_and_line_and_leaves_nothing_behind(own, text, words):
    own.write_text(text)
    refused(own, *words)
    assert "own_margin" not in list(MAPS)
    own.write_text(TEXT)
    files.load_file(own)


@pytest.mark.parametrize(
    ("text", "told"),
    [(TEXT.replace('@strategy("own", aliases=("mine",))', ""), 0), (TEXT, 0), ("x = 1", 1)],
)
def test_a_file_that_registers_nothing_is_told(own, caplog, text, told):
    own.write_text(text)
    files.load_file(own)
    assert [f"{own}: registers no strategy" in line for line in caplog.messages] == told * [True]


def test_a_file_that_is_not_there(tmp_path):
    refused(tmp_path / "gone.py", "cannot be read", "name a .py file")


def test_a_run_keeps_the_file_by_its_content(own, tmp_path):
    folder = tmp_path / "plugins"
    sha256 = files.load_file(own)
    files.store(own, folder)
    (kept,) = folder.iterdir()
    assert kept.name == f"own-{sha256[:16]}.py" == files.stored_name(own) == files.stored_name(kept)
    assert kept.read_bytes() == own.read_bytes()
    files._forget("alsweep_plugin_file.")
    own.unlink()
    files.load_stored(folder, [sha256])
    assert plugins_of(make_strategy("own")) == (sha256,)


def test_a_kept_file_that_was_changed_or_lost_is_refused(own, tmp_path):
    folder = tmp_path / "plugins"
    files.load_file(own)
    files.store(own, folder)
    files._forget("alsweep_plugin_file.")
    (kept,) = folder.iterdir()
    kept.write_text(TEXT + "\n")
    refused(kept, "was changed after the run was made with it")
    kept.unlink()
    with pytest.raises(StrategyError, match=r"has no plug-in file .*restore it"):
        files.load_stored(folder, ["0" * 64])


def test_a_file_that_was_edited_since_the_plan_is_not_kept_in_its_place(own, tmp_path):
    files.load_file(own)
    own.write_text(TEXT + "# edited\n")
    with pytest.raises(StrategyError, match=r"own\.py: was changed since the sweep was planned"):
        files.store(own, tmp_path / "plugins")


def test_stages_that_raise_hide_no_other_strategy(own):
    broken = TEXT.replace("Stages(map=", "Stages(mapp=")
    assert broken != TEXT
    own.write_text(broken)
    files.load_file(own)
    assert "random" in {entry["name"] for entry in strategies()}
    with pytest.raises(StrategyError, match=r"stages\(\): .*mapp"):
        make_strategy("own").needs  # noqa: B018
