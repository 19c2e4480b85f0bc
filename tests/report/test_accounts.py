"""What the page says of cost and circumstances: checklist, compute, queries, the first numbers."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from alsweep import __version__
from alsweep.config.option import OptionSpec
from alsweep.report import html
from alsweep.report.captions import notices
from alsweep.report.html import _cards, _notices
from alsweep.report.section import Caption, Figures, Material, Tables
from alsweep.report.sections import checklist, classes, compute, queries
from alsweep.report.volumes import Opened
from alsweep.results.mishaps import Mishap
from alsweep.results.records import read_run
from alsweep.testing.runs import trajectory_config, write_reference
from alsweep.trajectory.numerics import NUMERICS
from tests.report.pages import visible

NOW = datetime.now(UTC)


def blocks(section, study, datasets=None):
    return list(section.SECTION.blocks(Material(study, datasets or {})))


def said(study, datasets=None):
    """The checklist by its items."""
    (statements,) = blocks(checklist, study, datasets)
    return dict(statements.pairs)


def parts(section, study):
    """Figures by title, tables by name, and the caption of a section."""
    figures, tables, caption = blocks(section, study)
    assert [type(one) for one in (figures, tables, caption)] == [Figures, Tables, Caption]
    return dict(figures.panels), dict(tables.named), caption.text


def begun(study, **changes):
    """The study with some fields of the first trajectory's config changed."""
    first, *others = study.trajectories
    config = first.config.model_copy(update=changes)
    return replace(study, trajectories=(replace(first, config=config), *others))


def test_the_checklist_is_made_from_configs_and_records(study):
    items = said(study)
    assert items["Budget"] == (
        "6 patches at the start, 6 a query, 4 loops (3 queries), patches of 8x8x8 voxels"
    )
    assert items["Seeds"] == (
        "0, 1, 2; the same for every strategy; only common seeds are compared, pair by pair."
    )
    assert items["Oracle use"] == "random_fg66 (marked †)"
    assert items["Missing"] == "Nothing: every trajectory is finished."
    assert items["Hardware"] == "cpu, fp32, 1 thread a trajectory"
    assert items["Interruptions"] == "None: no worker or machine was lost, and no error raised."
    made, page = f"alsweep {__version__}, numerics {NUMERICS}", f"alsweep {__version__}"
    assert items["Code"] == f"{made}: 36 loops. This page: {page}."
    assert "Where runs meet" not in items
    assert items["Test"].startswith("Two-sided paired t-test by seed, level 0.05;")
    assert items["Full-data reference"].startswith("None in this run;")
    assert items["Selection"].endswith("strategies were not tuned by this run.")


def test_the_checklist_tells_what_was_lost_and_what_raised(study, monkeypatch):
    found = [Mishap(kind=kind, name="a", what="", time=NOW) for kind in ("lost", "error", "lost")]
    monkeypatch.setattr(checklist, "read_mishaps", lambda run: found)
    assert said(study)["Interruptions"] == (
        "2 workers or machines lost, 1 error raised; finished loops stayed, and the others were "
        "made again."
    )


def test_the_checklist_tells_what_made_the_loops(study):
    table = study.table.copy()
    table.loc[table["loop"] == 1, ["version", "numerics"]] = ["0.0.9", NUMERICS - 1]
    table.loc[table["loop"] == 2, ["version", "numerics"]] = [None, pd.NA]
    now = f"alsweep {__version__}"
    assert said(replace(study, table=table))["Code"] == (
        f"{now}, numerics {NUMERICS}: 18 loops; alsweep 0.0.9, numerics {NUMERICS - 1}: 9 loops; "
        "an alsweep that did not tell its version in records yet: 9 loops. Numerics are MIXED: "
        f"equal configs give other numbers. This page: {now}."
    )
    (mixed,) = notices(replace(study, table=table))
    assert mixed.startswith(f"Loops were made with numerics {NUMERICS - 1} and {NUMERICS}: ")
    assert not notices(study)
    unsure = said(replace(study, table=table[table["loop"] != 1]))["Code"]
    assert "Whether all have the same numerics is not recorded." in unsure
    assert said(replace(study, table=table[:0]))["Code"] == f"no loop yet. This page: {now}."


def test_the_checklist_tells_of_a_reference_of_other_numerics(study, tmp_path):
    config = study.trajectories[0].config
    (setting,) = study.settings
    made = write_reference(tmp_path, config, 0.9)
    for numerics, mixed in ((NUMERICS, False), (NUMERICS - 1, True)):
        told = made.model_copy(update={"version": "0.0.9", "numerics": numerics})
        code = said(replace(study, references={setting: (told,)}))["Code"]
        assert f"Full-data references: alsweep 0.0.9, numerics {numerics}." in code
        assert ("MIXED" in code) == mixed


def test_what_was_made_to_fit_is_told_where_runs_meet(study):
    remarks = ("warning: one thing", "warning: another")
    assert said(replace(study, remarks=remarks))["Where runs meet"] == " ".join(remarks)


def test_training_and_inference_are_those_of_the_config(study):
    training = study.trajectories[0].config.training
    items = said(study)
    assert items["Training"] == (
        f"preset {training.preset}: 2 epochs of {training.iterations_per_epoch} iterations, batch "
        f"{training.batch_size}, {training.optimizer}, cold start, precision auto, "
        "Dice loss over present classes"
    )
    assert items["Ensemble and TTA"] == (
        "2 members over 5 folds; queries without TTA, evaluation without TTA"
    )


def test_configs_that_differ_are_all_told(study):
    first = study.trajectories[0].config
    loops = said(begun(study, query=first.query.model_copy(update={"loops": 2})))["Budget"]
    assert "2 loops (1 query), patches" in loops.split("; ")[0]
    assert "4 loops (3 queries), patches" in loops.split("; ")[1]
    tta = said(begun(study, inference=first.inference.model_copy(update={"tta": True})))
    assert tta["Ensemble and TTA"].split("; ")[1] == "queries with TTA, evaluation without TTA"
    assert len(tta["Ensemble and TTA"].split("; ")) == 4
    even = said(begun(study, inference=first.inference.model_copy(update={"gaussian": False})))
    assert (
        "queries without TTA and with windows weighted evenly, evaluation"
        in (even["Ensemble and TTA"])
    )


def test_the_checklist_says_on_which_grid_dice_is(study):
    first = study.trajectories[0].config
    assert said(study)["Dice"].startswith("on the resampled grid, against resampled labels")
    judged = first.evaluation.model_copy(update={"grid": "original", "tta": True})
    items = said(begun(study, evaluation=judged))
    one, other = items["Dice"].split("; on the ")
    assert one.startswith("on the grid of the source, before crop and resampling")
    assert other.startswith("resampled grid")
    assert "evaluation with TTA" in items["Ensemble and TTA"]


def test_each_dataset_is_told_once(study):
    shared, other = Opened("phantom: 3 cases", None), Opened("another", None)
    (statements,) = blocks(checklist, study, {"a": shared, "b": shared, "c": other})
    told = [text for item, text in statements.pairs if item == "Dataset"]
    assert told == ["phantom: 3 cases", "another"]


def test_a_notice_of_a_dataset_stands_above_everything_once(study):
    one = Opened("phantom", None, "no validation case has a lesion")
    shared = dict.fromkeys([t.id for t in study.trajectories], one)
    assert _notices(Material(study, shared)) == ["no validation case has a lesion"]


def test_the_page_shows_what_is_to_be_known_of_a_dataset(run, monkeypatch):
    one = Opened("phantom", None, "no validation case has a lesion")
    opened = {t.id: one for t in read_run(run).trajectories}
    monkeypatch.setattr(html, "open_datasets", lambda _: opened)
    assert visible(html.write_report([run])).count("no validation case has a lesion") == 1


def test_time_is_that_of_all_finished_workers(study):
    # Of nine trajectories: 2 + 3 + 4 + 5 s of training, 4 x 0.5 of evaluation, 3 x 0.75 of query.
    slow = study.table.assign(train_seconds=3600 * study.table["train_seconds"])
    hours = 9 * (14 + (2 + 2.25) / 3600)
    text = said(replace(study, table=slow))["Compute"]
    assert (
        text == f"{hours:.2f} h of wall-clock time over all workers; 18 members taken from store."
    )
    one = slow[(slow["strategy"] == "random") & (slow["seed"] == 0)]
    assert said(replace(study, table=one))["Compute"].startswith("14.00 h")


def test_loops_that_were_trained_before_are_told_by_setting_and_seed(study):
    first = (study.table["loop"] == 0) & (study.table["seed"] < 2)
    spared = study.table.assign(train_seconds=study.table["train_seconds"].mask(first, 0.0))
    text = said(replace(study, table=spared))["Compute"]
    assert "Not in it: loop 0 of 2 settings and seeds, trained and evaluated once" in text


def test_references_are_told_beside_the_seeds_of_the_curves(study, tmp_path):
    setting, name = next(iter(study.settings.items()))
    configs = [trajectory_config("dataset", "random", (8, 8, 8), seed, 4) for seed in (0, 2)]
    records = tuple(write_reference(tmp_path, config, 0.9 + config.seed / 50) for config in configs)
    told = "mean Dice 92.00 %, seeds 0, 2 (curves: 3 seeds)."
    judged = replace(study, references={setting: records})
    assert said(judged)["Full-data reference"].endswith(f"fully annotated; {told}")
    several = replace(judged, settings={**study.settings, "t": "second"})
    assert said(several)["Full-data reference"].endswith(f"fully annotated; {name}: {told}")


def test_nothing_finished_is_said_and_not_counted(study):
    items = said(replace(study, table=study.table[:0]))
    assert items["Seeds"] == "No trajectory is finished."
    assert items["Starting budget"] == study.trajectories[0].config.starting_budget.strategy.name
    assert items["Compute"].startswith("0.00 h of wall-clock time over all workers; 0 members")
    none = said(replace(study, trajectories=(), looks=()))
    assert (none["Budget"], none["Hardware"]) == ("—", "—")
    assert none["Oracle use"] == "No strategy uses it to place patches."


def test_compute_is_told_by_phase(study):
    (figure,), (table,), caption = (
        list(part.values()) if isinstance(part, dict) else part for part in parts(compute, study)
    )
    assert [bar["name"] for bar in figure["data"]] == ["train", "evaluate", "query"]
    assert [bar["x"] for bar in figure["data"]] == [[14.0] * 3, [2.0] * 3, [2.25] * 3]
    assert figure["data"][0]["y"] == ["random", "random_fg66 †", "predictive_entropy"]
    assert figure["layout"]["barmode"] == "stack"
    assert len({bar["marker"]["color"] for bar in figure["data"]}) == 3
    assert table.columns[1:4] == ("Train [s]", "Evaluate [s]", "Query [s]")
    assert table.rows[1] == ("random_fg66 †", "14.0", "2.0", "2.2", "8.0", "2.0")
    assert "18 members were found stored (loop 0 is trained once for all" in caption
    later = study.table.assign(cached_members=2)
    assert (
        "72 members were found stored (18 of them at loop 0: loop 0 is trained once"
        in (parts(compute, replace(study, table=later))[2])
    )
    elsewhere = study.table.assign(cached_members=(study.table["loop"] == 2).astype(int))
    assert (
        " 9 members were found stored and cost"
        in (parts(compute, replace(study, table=elsewhere))[2])
    )
    without = replace(study, table=study.table.assign(cached_members=0))
    assert parts(compute, without)[2].endswith("mean over 3 seeds; wall-clock seconds.")


def test_what_was_annotated_is_told_in_voxels_and_shares(study):
    table = study.table.assign(
        foreground_voxels=256 * (study.table["loop"] + 1) * (study.table["seed"] + 1),
        foreground_fraction=0.1 * (study.table["seed"] + 1),
    )
    figures, tables, caption = parts(queries, replace(study, table=table))
    (figure,), (shown,) = figures.values(), tables.values()
    # 24 patches of 512 voxels at the end; 1024, 2048 and 3072 of them foreground.
    assert shown.rows[0] == (
        "random",
        "24",
        "12,288",
        "2,048",
        "16.67 ± 8.33",
        "20.00 ± 10.00",
        "3.0",
        "—",
    )
    # Every loop adds six patches with 256, 512 and 768 voxels of foreground.
    assert [trace["y"] for trace in figure["data"]] == [[16.6667] * 4] * 3
    assert [trace["line"]["dash"] for trace in figure["data"]] == ["dash", "dash", "solid"]
    assert figure["layout"]["yaxis"]["rangemode"] == "tozero"
    assert "voxels are counted once where patches overlap" in caption


def test_a_loop_that_added_nothing_has_no_share(study):
    later = study.table["loop"].clip(upper=2)
    table = study.table.assign(
        annotated_voxels=100 * (later + 1), foreground_voxels=5 * (later + 1)
    )
    figures, *_ = parts(queries, replace(study, table=table))
    (figure,) = figures.values()
    assert figure["data"][0]["x"] == [0, 1, 2]
    assert figure["data"][0]["y"] == [5.0, 5.0, 5.0]


def test_a_class_is_told_after_the_last_loop(study):
    table = study.table.assign(
        dice_liver=0.1 * study.table["loop"] * study.table["seed"], dice_tumour=float("nan")
    )
    tables, _ = blocks(classes, replace(study, table=table))
    ((_, shown),) = tables.named
    assert shown.columns == ("Strategy", "liver [%]", "tumour [%]")
    assert shown.rows[2] == ("predictive_entropy", "30.00 ± 30.00", "—")


@pytest.mark.parametrize(("done", "text"), [(36, "9 of 9"), (24, "6 of 9"), (0, "0 of 9")])
def test_the_numbers_above_are_those_of_the_study(study, done, text):
    cards = dict(_cards(replace(study, table=study.table[:done])))
    assert cards == {
        "trajectories finished": text,
        "strategies": "3",
        "settings": "1",
        "seeds": "3",
        "loops": "4",
        "patches at the end": "24",
    }


def test_numbers_that_differ_are_spans(study):
    first = study.trajectories[0].config
    cards = dict(_cards(begun(study, query=first.query.model_copy(update={"loops": 2}))))
    assert (cards["loops"], cards["patches at the end"]) == ("2 to 4", "12 to 24")
    lacking = study.table[(study.table["strategy"] != "random") | (study.table["seed"] == 0)]
    assert dict(_cards(replace(study, table=lacking)))["seeds"] == "1 to 3"
    empty = dict(_cards(replace(study, trajectories=())))
    assert (empty["loops"], empty["seeds"]) == ("—", "0")


def test_what_networks_have_not_learned_is_said(study):
    done = study.table.copy()
    names = study.classes_of(next(iter(study.settings)))
    done[[f"dice_{name}" for name in names]] = 0.9
    strong = replace(study, table=done)
    assert said(strong)["Strength of the learner"].startswith(
        "Every class that was judged is above 50 % with every strategy and seed."
    )
    weak = done.copy()
    last = weak["loop"] == weak["loop"].max()
    one = last & (weak["seed"] == 0) & (weak["strategy"] == "random")
    weak.loc[one, f"dice_{names[0]}"] = 0.1
    assert said(replace(study, table=weak))["Strength of the learner"].startswith(
        f"NOT every class is above 50 % with every strategy and seed: {names[0]} in "
        f"{last.sum() - 1} of {last.sum()} (lowest 10.00 %)."
    )


def test_what_networks_learn_besides_labels_is_said(study):
    training = study.trajectories[0].config.training
    begun_with = OptionSpec(kind="positional_contrastive")
    other = begun(study, training=training.model_copy(update={"pretraining": begun_with}))
    assert ", pretrained by positional_contrastive" in said(other)["Training"]
    assert said(study)["Annotation cost"].endswith("; none is a measured time.")
    assert "measured" not in said(study)["Annotation cost"].removesuffix("a measured time.")


def test_how_far_the_best_strategy_stays_below_full_annotation_is_said(study, tmp_path):
    setting, name = next(iter(study.settings.items()))
    record = write_reference(tmp_path, trajectory_config("d", "random", (8, 8, 8), 0, 4), 0.95)
    last = study.table["loop"] == study.table["loop"].max()
    better = last & (study.table["strategy"] == "random")
    dice = study.table["mean_dice"].mask(last, 0.80).mask(better, 0.90)
    judged = replace(
        study, table=study.table.assign(mean_dice=dice), references={setting: (record,)}
    )
    told = f"Below full annotation: {name}: 5.0 points (random)."
    assert said(judged)["Strength of the learner"].endswith(told)
    assert "Below full annotation" not in said(study)["Strength of the learner"]
