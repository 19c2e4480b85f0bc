"""The section of what was stopped: who, when, against whom, what it spared, what still holds."""

import shutil

import pandas as pd
import pytest

from alsweep.layout import record_path, trajectory_folder
from alsweep.report import write_report
from alsweep.report.section import Caption, Figures, Material, Tables
from alsweep.report.sections import decisions
from alsweep.report.study import read_study
from alsweep.results.decisions import Decision, append_decisions
from alsweep.results.records import read_run
from alsweep.results.stopping import overruled, stopping
from alsweep.testing.runs import write_run
from tests.report.pages import visible


def stop(run, chosen, loops, by="race", against="random_fg66", why="worse than it"):
    """Leave so many loops of the chosen (strategy, seed), and say so in the log."""
    made = {
        (t.config.strategy.shown, t.config.seed): t for t in read_run(run).trajectories if t.config
    }
    log = []
    for key in chosen:
        config, folder = made[key].config, made[key].folder
        for loop in range(loops, config.query.loops):
            record_path(folder, loop).unlink()
        if not loops:
            shutil.rmtree(folder)
        fields = {"by": by, "against": against, "why": why, "loop": loops}
        log.append(
            Decision(
                action="stopped",
                trajectory=made[key].id,
                config=None if loops else config,
                **fields,
            )
        )
    append_decisions(run, log)
    return [one.trajectory for one in log]


@pytest.fixture
def raced(tmp_path):
    """Four seeds; random was dropped after two, predictive_entropy within the third."""
    run = tmp_path / "run"
    write_run(run, seeds=(3, 1, 2, 0))
    stop(run, [("random", 2), ("random", 0)], 0)
    stop(run, [("predictive_entropy", 2)], 2, why="worse, too")
    stop(run, [("predictive_entropy", 0)], 0, why="worse, too")
    return run


def shown(run):
    material = Material(read_study([run]), {})
    strong, figures, tables, caption = decisions.SECTION.blocks(material)
    assert [type(b) for b in (strong, figures, tables, caption)] == [
        Caption,
        Figures,
        Tables,
        Caption,
    ]
    ((_, figure),) = figures.panels
    ((_, table),) = tables.named
    return strong.text, figure, [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_a_race_is_told_strategy_by_strategy(raced):
    strong, figure, rows = shown(raced)
    assert [(r["Strategy"], r["Order"], r["Stopped after"], r["By, and why"]) for r in rows] == [
        ("random", "1", "2 seeds", "race: worse than it"),
        ("predictive_entropy", "2", "2 seeds and 2 loops", "race: worse, too"),
    ]
    assert [(r["Done / truncated / never run"], r["Loops spared"]) for r in rows] == [
        ("2 / 0 / 2", "8"),
        ("2 / 1 / 1", "6"),
    ]
    assert strong.startswith("4 trajectories of 12 did not do all their loops: 3 never began, 1 ")
    assert "spared 14 of 48 loops" in strong
    heat = figure["data"][0]
    assert heat["x"] == ["seed 3", "seed 1", "seed 2", "seed 0"], "not in the order of running"
    states = list(decisions._STATES)
    cells = dict(zip(heat["y"], heat["z"], strict=True))
    assert [states[z] for z in cells["random"]] == ["done", "done", "not_run", "not_run"]
    assert [states[z] for z in cells["predictive_entropy"]][2:] == ["truncated", "not_run"]
    assert {t["name"] for t in figure["data"][1:]} == {"done", "truncated", "never run"}
    marked = {
        (a["y"], a["x"]): a["text"] for a in figure["layout"]["annotations"] if "#" in a["text"]
    }
    assert marked == {
        ("random", "seed 2"): "0 <b>#1</b>",
        ("predictive_entropy", "seed 2"): "2/4 <b>#2</b>",
    }


def test_hours_spared_are_the_mean_seconds_of_the_loops_left_out(raced):
    # A synthetic loop trains 2 + k s, evaluates .5 s, and queries .75 s but in the last.
    seconds = [3.25, 4.25, 5.25, 5.5]
    whole, rest = sum(seconds), sum(seconds[2:])
    spared, spent = 3 * whole + rest, 8 * whole + sum(seconds[:2])
    table = pd.read_csv(pd.io.common.BytesIO(decisions._csv(Material(read_study([raced]), {}))))
    assert table["seconds_spared"].sum() == pytest.approx(spared)
    strong, _, rows = shown(raced)
    assert f"about {spared / 3600:.2f} of the {(spent + spared) / 3600:.2f} hours" in strong
    assert f"({100 * spared / (spent + spared):.0f} %)" in strong
    assert [r["Hours spared"] for r in rows] == [
        f"{2 * whole / 3600:.2g}",
        f"{(whole + rest) / 3600:.2g}",
    ]


def test_the_caption_says_what_still_holds(raced):
    text = visible(write_report([raced]))
    assert "stopped strategies so rest on 2 seeds, others on 4 seeds" in text
    assert "The leader whom each was tested against is chosen by the data" in text
    assert "What was stopped 4 trajectories of 12" in text
    assert (raced / "report" / "decisions.csv").exists()
    space = raced / "sweep.yaml"
    space.write_text(space.read_text() + "schedule: {kind: race, control: random_fg66}\n")
    text = visible(write_report([raced]))
    assert "against the declared control (random_fg66)" in text
    assert "is chosen by the data" not in text


def test_halving_and_hands_stop_trajectories_one_by_one(tmp_path):
    run = tmp_path / "run"
    write_run(run)
    stop(run, [("random", 1)], 1, "asha", None, "cut off after loop 0 of its setting")
    stop(run, [("random", 0)], 2, "asha", None, "cut off after loop 1 of its setting")
    stop(run, [("predictive_entropy", 1)], 1, "ann", None, "the scan is broken")
    _, figure, rows = shown(run)
    assert [(r["Strategy"], r["Order"], r["Stopped after"]) for r in rows] == [
        ("random", "1 to 2", "1 to 2 loops"),
        ("predictive_entropy", "1", "1 loop"),
    ]
    assert [r["By, and why"] for r in rows] == [
        "asha: cut off after loop 1 of its setting (1); cut off after loop 0 of its setting (1)",
        "ann: the scan is broken",
    ]
    assert sum("#" in a["text"] for a in figure["layout"]["annotations"]) == 3
    text = visible(write_report([run]))
    assert "Halving (asha) cuts by Dice" in text
    assert "Stopped by hand or by another program: ann." in text
    assert "is chosen by the data" not in text


def test_what_went_on_after_all_is_told_and_the_rest_has_no_section(run):
    assert "What was stopped" not in visible(write_report([run]))
    ids = [t.id for t in read_run(run).trajectories]
    log = [
        Decision(action=action, trajectory=ids[0], by="race", why="so")
        for action in ("stopped", "overruled")
    ]
    append_decisions(run, log)
    text = visible(write_report([run]))
    assert "1 trajectory that was stopped went on later" in text
    assert overruled([read_run(run)]) == 1


def test_a_new_label_is_that_of_what_never_began_too(raced):
    study = read_study([raced])
    (run,) = study.runs
    renamed = [
        t
        if t.config is None or t.config.strategy.name != "random"
        else t.__class__(
            **{
                **vars(t),
                "config": t.config.model_copy(
                    update={"strategy": t.config.strategy.model_copy(update={"label": "new"})}
                ),
            }
        )
        for t in run.trajectories
    ]
    table = stopping([run.__class__(run.path, run.begun, tuple(renamed), run.decisions)])
    assert set(table["strategy"]) == {"new", "random_fg66", "predictive_entropy"}
    assert (table["strategy"] == "new").sum() == 4


def test_a_trajectory_of_two_runs_counts_where_it_is_done(raced, tmp_path):
    other = tmp_path / "whole"
    write_run(other, seeds=(3, 1, 2, 0))
    table = stopping([read_run(raced), read_run(other)])
    assert set(table["status"]) == {"done"}
    assert len(table) == 12
    assert trajectory_folder(other, table["trajectory"][0]).exists()
