"""What an archive for a bug report holds, and what it must not."""

import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from alsweep.cli.main import app
from alsweep.errors import RunFolderError
from alsweep.layout import error_path, log_path, plugins_folder, trajectory_folder
from alsweep.sweep.debug_dump import without_secrets, write_debug_dump
from alsweep.sweep.plan import Plan
from alsweep.sweep.run_folder import write_space
from tests.sweep.conftest import MakePlan
from tests.sweep.test_missing import do_loops

PLANTED = "hunter2-and-more"


@pytest.fixture
def plan(run: Path, plan_of: MakePlan) -> Plan:
    plan = plan_of()
    run.mkdir()
    write_space(run, plan)
    do_loops(run, plan, index=0, loops=2)
    return plan


def texts(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as opened:
        return {
            member.name.removeprefix("alsweep-debug/"): file.read().decode()
            for member in opened
            if (file := opened.extractfile(member)) is not None
        }


def test_it_holds_what_a_report_needs(run: Path, plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "dump.tar.gz"
    told = CliRunner().invoke(app, ["debug-dump", str(run), "--out", str(out)])
    assert told.exit_code == 0, told.output
    found = texts(out)
    first = f"trajectories/{plan.ids[0]}"
    assert {"about.json", "files.txt", "sweep.yaml", f"{first}/config.json"} <= set(found)
    assert f"{first}/records/loop_001.json" in found
    assert f"{first}/records/loop_000.json" not in found
    assert '"ray"' in found["about.json"]
    assert f"{first}/labels.zarr" not in " ".join(set(found))


def test_secrets_that_lie_about_stay_out(
    run: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", PLANTED)
    monkeypatch.setenv("MY_STORE_PASSWORD", f"{PLANTED}-longer")
    folder = trajectory_folder(run, plan.ids[0])
    log_path(folder).write_text(
        f"login with {PLANTED}\npostgres://me:{PLANTED}x@host/db\nAWS_SECRET_ACCESS_KEY={PLANTED}y\n"
        f"https://host/blob?X-Amz-Signature=abc{PLANTED}&part=1\nAuthorization: Bearer {PLANTED}z\n"
        f"key {'0123456789abcdef' * 2}01234567 and AKIA{'A1' * 8}\n"
    )
    error_path(folder).write_text(f'{{"error": "{PLANTED}-longer refused"}}')
    write_debug_dump(run, tmp_path / "dump.tar.gz", os.environ)
    whole = "\n".join(texts(tmp_path / "dump.tar.gz").values())
    assert PLANTED not in whole
    assert "0123456789abcdef" not in whole
    assert "AKIA" not in whole
    assert "login with" in whole
    assert "refused" in whole
    assert "@host/db" in whole


@pytest.mark.parametrize(
    "text",
    [
        f"mysql://root:p@ss{PLANTED}@host/db",
        f"Authorization: token {PLANTED}",
        f'{{"runtime_env": "{{\\"WANDB_API_KEY\\": \\"{PLANTED}\\"}}"}}',
        f"curl --oauth-token {PLANTED} https://host",
        f"AccountName=me;AccountKey={PLANTED}==;EndpointSuffix=core",
        f"https://host/?X-Amz-Credential={PLANTED}%2F2020&part=1",
        f"https://hooks.slack.com/services/T0/B0/{PLANTED}",
        f"on_event: [curl, -u, 'me:{PLANTED}', x]\nname: tiny",
        f"on_event:\n- curl\n- {PLANTED}\nname: tiny",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2\n-----END RSA PRIVATE KEY-----",
        *(
            f"login with {kind}{'aB3' * 10}"
            for kind in ("hf_", "ghp_", "github_pat_", "sk-", "xoxb-")
        ),
        "id_token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.aB3aB3aB3aB3",
    ],
)
def test_what_looks_like_a_secret_is_removed_and_the_rest_is_left(text: str) -> None:
    found = without_secrets(f"before\n{text}\nafter")
    assert "[removed]" in found
    assert not [planted for planted in (PLANTED, "hunter2", "aB3aB3") if planted in found]
    assert found.startswith("before\n")
    assert found.endswith("\nafter")
    assert ("name: tiny" in found) == ("name: tiny" in text)


def test_what_was_handed_to_a_job_of_ray_stays_out(run: Path, plan: Plan, tmp_path: Path) -> None:
    handed = {"runtime_env": {"env_vars": {"WANDB_API_KEY": PLANTED, "MINE": PLANTED}}}
    told = {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(handed), "RAY_ADDRESS": "head:6379"}
    write_debug_dump(run, tmp_path / "dump.tar.gz", told)
    about = texts(tmp_path / "dump.tar.gz")["about.json"]
    assert PLANTED not in about
    assert '"RAY_ADDRESS": "head:6379"' in about


def test_no_link_leads_out_of_the_run_and_no_code_comes_along(
    run: Path, plan: Plan, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("somebody's own")
    log_path(run).symlink_to(outside)
    folder = trajectory_folder(run, plan.ids[0])
    (folder / "records").rename(tmp_path / "elsewhere")
    (folder / "records").symlink_to(tmp_path / "elsewhere")
    plugins_folder(run).mkdir()
    (plugins_folder(run) / "mine.py").write_text("raise SystemExit('executed')")
    write_debug_dump(run, tmp_path / "dump.tar.gz", os.environ)
    found = texts(tmp_path / "dump.tar.gz")
    assert "somebody's own" not in "".join(found.values())
    assert not [name for name in found if "records" in name or name.endswith(".py")]


def test_of_a_long_log_its_end_is_told(run: Path, plan: Plan, tmp_path: Path) -> None:
    log_path(run).write_text("x" * 600_000 + "the last words")
    write_debug_dump(run, tmp_path / "dump.tar.gz", os.environ)
    told = texts(tmp_path / "dump.tar.gz")["log.txt"]
    assert told.endswith("the last words")
    assert len(told) == 256 * 1024


def test_a_broken_run_can_be_dumped(run: Path, plan: Plan, tmp_path: Path) -> None:
    (run / "sweep.yaml").write_text("{")
    write_debug_dump(run, tmp_path / "dump.tar.gz", os.environ)
    assert texts(tmp_path / "dump.tar.gz")["sweep.yaml"] == "{"


def test_what_is_there_is_not_overwritten(run: Path, plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "mine.tar.gz"
    out.write_text("mine")
    with pytest.raises(RunFolderError, match="is there already; choose another --out"):
        write_debug_dump(run, out, os.environ)
    with pytest.raises(RunFolderError, match=r"no sweep\.yaml in it"):
        write_debug_dump(tmp_path / "nowhere", tmp_path / "dump.tar.gz", os.environ)
    assert out.read_text() == "mine"


@given(st.text(alphabet=st.characters(categories=["L", "Zs"]), max_size=80))
def test_plain_words_are_left_as_they_are(text: str) -> None:
    assert without_secrets(text) == text
