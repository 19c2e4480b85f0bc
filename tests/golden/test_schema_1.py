"""What schema 1 wrote stays found: identities of configs, and a whole run with its dataset.

The archive was made once, by the code of schema 1: a phantom of six cases, three strategies with
two loops each, a full-data reference, without its report. Neither it nor schema_1.json is made
again.
"""

import json
import shutil
from pathlib import Path

import pytest

from alsweep.cli.main import _exit_code
from alsweep.config import trajectory
from alsweep.config.trajectory import FIRST_PRESETS
from alsweep.data.case import Dataset
from alsweep.errors import RunFolderError
from alsweep.sweep.mixing import Stored, on_stored, refuse_mixing
from alsweep.sweep.planning import stored_plan
from alsweep.trajectory import members
from tests.golden.identities import CONFIGS, identities
from tests.report.pages import undrawn

HERE = Path(__file__).parent
THEN = json.loads((HERE / "schema_1.json").read_text(encoding="utf-8"))
_MADE_AT = "/tmp/alsweep-golden"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stored dataset and run, as if they had been made where they lie now."""
    place = tmp_path_factory.mktemp("schema 1")
    shutil.unpack_archive(HERE / "schema_1.tar.xz", place)
    for path in [place / "run" / "sweep.yaml", *place.glob("run/trajectories/*/config.json")]:
        path.write_text(path.read_text().replace(_MADE_AT, str(place)), encoding="utf-8")
    return place


def contents(run: Path) -> dict[str, bytes]:
    """All that a run holds of its trajectories' science: configs, queries, records and models."""
    wanted = ["trajectories/*/*/loop_*.json", "models/*/*", "trajectories/*/config.json"]
    return {str(p.relative_to(run)): p.read_bytes() for glob in wanted for p in run.glob(glob)}


@pytest.mark.parametrize("name", CONFIGS)
def test_identities_are_those_of_schema_1(name, stored, monkeypatch):
    monkeypatch.setattr(trajectory, "PRESETS", FIRST_PRESETS)  # these are written as users write
    monkeypatch.setattr(members, "NUMERICS", 7)  # what the keys were written down with
    assert identities(Dataset.open(stored / "dataset"))[name] == THEN[name]


@pytest.mark.parametrize(
    "command",
    [
        "status {run}",
        "report {run} --out {out}",
        "resume {run}",
        "run {run}/sweep.yaml --out {run}",
    ],
)
def test_a_run_of_schema_1_is_found_done(command, stored, tmp_path, capsys, monkeypatch):
    undrawn(monkeypatch)
    run, before = stored / "run", contents(stored / "run")
    words = [word.format(run=run, out=tmp_path / "report") for word in command.split()]
    assert _exit_code(words, debug=False) == 0
    assert contents(run) == before
    said = capsys.readouterr()
    assert "[" not in said.err, "a loop was made"
    assert "warning" not in said.err


def test_members_of_schema_1_are_found_when_a_loop_is_lost(stored, capsys):
    run, before = stored / "run", contents(stored / "run")
    (lost,) = run.glob("trajectories/clasp_pe*/records/loop_001.json")
    meant = json.loads(lost.read_text())
    lost.unlink()
    assert _exit_code(["resume", str(run)], debug=False) == 0
    again = json.loads(lost.read_text())
    kept = ("members", "dice", "setting", "start_hash", "annotated_voxels")
    assert {key: again[key] for key in kept} == {key: meant[key] for key in kept}
    assert {n for n in contents(run) if n.startswith("models")} == {
        n for n in before if n.startswith("models")
    }


def test_records_that_do_not_tell_their_numerics_are_told_by_their_members(
    stored, tmp_path, monkeypatch
):
    run = shutil.copytree(stored / "run", tmp_path / "run")
    (lost,) = run.glob("trajectories/clasp_pe*/records/loop_001.json")
    lost.unlink()
    monkeypatch.setattr(members, "NUMERICS", 7)  # what the keys were written down with
    found = Stored.read(run, stored_plan(run))
    refuse_mixing(found)
    assert not list(on_stored(found))
    monkeypatch.setattr(members, "NUMERICS", 8)
    with pytest.raises(RunFolderError, match=r"trajectory clasp_pe.* of before records told"):
        refuse_mixing(found)
    (warning,) = on_stored(found)
    assert "this run has loops of an alsweep of before records told their version" in warning
