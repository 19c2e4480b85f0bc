"""Stages spelled out: what a search space may write, and what it is told when it errs."""

import pytest

from alsweep.config.strategy import StrategySpec
from alsweep.errors import StrategyError
from alsweep.query import make_strategy
from alsweep.query.base import label_of, parameters
from alsweep.query.noise import Power
from alsweep.query.parameters import checked, described
from alsweep.query.presets.clasp_pe import ClaspPe
from alsweep.query.stages import KINDS
from alsweep.testing.pools import make_pool, make_request, make_streams
from alsweep.testing.strategy_contract import CHECKS

SPELLED = {
    "map": "mutual_information",
    "noise": {"name": "power", "beta": 2},
    "select": "stochastic_batches",
}


def failure(stages) -> str:
    with pytest.raises(StrategyError) as caught:
        make_strategy({"stages": stages})
    return str(caught.value)


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ({"map": "mutual_informatio"}, ["stages.map", "did you mean 'mutual_information'"]),
        ({"map": "margin", "nois": "power"}, ["unknown stage 'nois'", "did you mean 'noise'"]),
        ({"noise": "power"}, ["stages.map: is required", "predictive_entropy"]),
        (
            {"map": "margin", "noise": {"name": "power", "bta": 1}},
            ["stages.noise", "unknown parameter 'bta'; did you mean 'beta'"],
        ),
        (
            {"map": "margin", "noise": {"name": "power", "beta": 0}},
            ["stages.noise", "'beta' must lie in [0.01, 1000.0], got 0"],
        ),
        (
            {"map": "margin", "noise": {"name": "power", "schedule": "linea"}},
            ["stages.noise", "'schedule' must be one of constant, linear"],
        ),
        ({"map": "margin", "select": 3}, ["stages.select", "write a name", "3"]),
        ({"map": "expected_dice", "aggregate": "max"}, ["stages.aggregate", "write mean"]),
        ({"map": "expected_dice", "stratify": "by_class"}, ["stages.stratify", "write none"]),
        ("margin", ["stages: write a mapping", "'margin'"]),
    ],
)
def test_every_mistake_names_its_place_and_the_mend(stages, words):
    message = failure(stages)
    for word in words:
        assert word in message


def test_what_stands_beside_stages_is_refused():
    with pytest.raises(StrategyError, match="unknown key 'beta' beside stages"):
        make_strategy({"stages": {"map": "margin"}, "beta": 1})


def test_spelled_stages_survive_writing_out_and_reading_back():
    spec = StrategySpec.model_validate({"stages": SPELLED, "label": "mine"})
    made = make_strategy(spec)
    full = parameters(made)
    assert full["stages"]["noise"]["beta"] == 2.0
    assert full["stages"]["aggregate"] == {"name": "mean"}
    again = StrategySpec.model_validate(
        StrategySpec(name=spec.name, label="mine", parameters=full).model_dump()
    )
    assert make_strategy(again).composition == made.composition
    assert label_of(again) == "mine"


def test_a_composition_is_labelled_by_what_is_off_its_default():
    assert label_of(StrategySpec.model_validate({"stages": {"map": "margin"}})) == "stages[margin]"
    spelled = StrategySpec.model_validate({"stages": SPELLED})
    assert label_of(spelled) == "stages[mutual_information+power(beta=2)+stochastic_batches]"


def test_a_composition_needs_what_its_stages_need():
    assert make_strategy({"stages": {"map": "margin"}}).needs == ("probs",)
    spelled = {"map": "mutual_information", "select": "k_center"}
    assert make_strategy({"stages": spelled}).needs == ("probs", "mean_entropy", "embedding")


def test_a_preset_is_the_composition_that_it_stands_for():
    preset = make_strategy({"name": "power_bald", "beta": 2})
    spelled = {"map": "mutual_information", "noise": {"name": "power", "beta": 2.0}}
    assert preset.composition == make_strategy({"stages": spelled}).composition
    pool, request = make_pool(2), make_request(3)
    one, other = (
        s.query(pool, request, make_streams()) for s in (preset, make_strategy({"stages": spelled}))
    )
    assert one == other


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_stage_can_be_named_alone_and_keeps_the_contract(kind):
    for name in KINDS[kind]:
        stages = {"map": "predictive_entropy"} | {kind: name}
        for check in CHECKS:
            check(make_strategy({"stages": stages}))


@pytest.mark.parametrize(
    ("alias", "name", "expected"),
    [
        ("power_bald_b20", "power_bald", {"beta": 20.0}),
        ("class_pe33", "clas_pe", {"r": 0.33}),
        ("class_power_pe66", "clasp_pe_const", {"r": 0.66, "beta": 1.0}),
        ("class_power_pe66_exp", "clasp_pe", {"r": 0.66, "schedule": "exponential"}),
        (
            "class_power_pe33_smooth_sigmoid",
            "clasp_pe",
            {"schedule": "sigmoid", "temperature": 2.0},
        ),
        ("class_power_pe66_sharp_sigmoid", "clasp_pe", {"r": 0.66, "temperature": 0.5}),
        ("exp_entropy", "expected_entropy", {}),
        ("random-label-all-classes", "random_fg66_all_classes", {}),
    ],
)
def test_reference_names_carry_their_parameters(alias, name, expected):
    made = make_strategy(alias)
    assert type(made) is type(make_strategy(name))
    assert parameters(made) | expected == parameters(made)


def test_a_written_parameter_wins_over_that_of_an_alias():
    assert make_strategy({"name": "power_bald_b5", "beta": 7}).beta == 7.0
    assert label_of(StrategySpec(name="power_bald_b5")) == "power_bald[beta=5]"
    assert label_of(StrategySpec(name="power_bald", parameters={"beta": 1})) == "power_bald"


@pytest.mark.parametrize(
    ("preset", "stages"),
    [
        ("core_set", {"map": "predictive_entropy", "select": "k_center"}),
        (
            {"name": "stochastic_batches", "base": "jsd"},
            {
                "map": "mutual_information",
                "candidates": "tiling",
                "select": {"name": "stochastic_batches", "group_size": 10},
            },
        ),
        (
            {"name": "stochastic_batches", "base": "mixed_entropy", "alpha": 0.3, "n_groups": 50},
            {
                "map": {"name": "mixed_entropy", "alpha": 0.3},
                "candidates": "tiling",
                "select": {"name": "stochastic_batches", "n_groups": 50},
            },
        ),
        (
            {"name": "badge", "candidates": "best"},
            {"map": "predictive_entropy", "select": "badge"},
        ),
        (
            {"name": "kecor", "kernel": "laplace", "base": "margin"},
            {"map": "margin", "select": {"name": "log_det", "kernel": "laplace"}},
        ),
        (
            {"name": "crb", "prototypes": 2},
            {
                "map": "predictive_entropy",
                "candidates": "tiling",
                "filter": "label_entropy",
                "select": {"name": "crb", "prototypes": 2},
            },
        ),
        ("openpath", {"map": "predictive_entropy", "filter": "purity", "select": "kmeans"}),
        (
            {"name": "openpath", "base": "mutual_information", "guided": True},
            {
                "map": "mutual_information",
                "noise": "power",
                "filter": "purity",
                "select": {"name": "kmeans", "keep_factor": 4},
            },
        ),
        (
            {"name": "purity_pe", "beta": 5, "keep_share": 0.5},
            {
                "map": "predictive_entropy",
                "noise": {"name": "power", "beta": 5},
                "filter": {"name": "purity", "keep_share": 0.5},
            },
        ),
    ],
)
def test_presets_of_the_field_are_as_described(preset, stages):
    assert make_strategy(preset).composition == make_strategy({"stages": stages}).composition


def test_a_kind_of_stage_that_came_later_is_told_only_where_it_changes_something():
    plain = make_strategy({"stages": {"map": "margin", "candidates": "best"}})
    assert "candidates" not in parameters(plain)["stages"]
    tiled = make_strategy({"stages": {"map": "margin", "candidates": "tiling"}})
    assert parameters(tiled)["stages"]["candidates"] == {"name": "tiling"}
    assert tiled.told == "margin+tiling"


def test_stochastic_batches_that_were_stored_mean_what_they_meant_then():
    then = {"base": "predictive_entropy", "alpha": 0.5, "group_score": "sum", "n_groups": 0}
    spec = StrategySpec(name="stochastic_batches", parameters=then, stored=True)
    made = make_strategy(spec)
    assert (made.group_size, made.candidates, made.group_score) == (0, "best", "sum")
    assert parameters(made) == then
    entry = next(p for p in described(type(made)) if p["name"] == "group_score")
    assert entry["choices"] == ["mean", "max"]
    with pytest.raises(StrategyError, match="must be one of mean, max, got 'median'"):
        make_strategy({"name": "stochastic_batches", "group_score": "median"})


def test_clasp_pe_is_as_published():
    composition = make_strategy("clasp_pe").composition
    assert composition.stratify.r == 0.66
    assert composition.noise == Power(beta=1.0, schedule="exponential", beta_end=100.0)
    assert ClaspPe().span == "loops"


def test_a_parameter_is_declared_once():
    own = {p["name"]: p for p in described(ClaspPe)}
    assert own["beta"] == next(p for p in described(Power) if p["name"] == "beta")
    assert own["schedule"]["choices"] == ["constant", "linear", "exponential", "sigmoid"]
    assert own["schedule"]["default"] == "exponential"


def test_what_has_no_default_must_be_given_and_nan_is_never_in_range():
    with pytest.raises(StrategyError, match="parameter 'source' is missing: trajectory folder"):
        make_strategy("replay")
    with pytest.raises(StrategyError, match=r"must lie in \[0.01, 1000.0\], got nan"):
        checked(Power, {"beta": float("nan")}, "x")
    with pytest.raises(StrategyError, match="must be of type float, got True"):
        checked(Power, {"beta": True}, "x")


def test_every_stage_has_a_source_and_every_parameter_help():
    for registry in KINDS.values():
        for name in registry:
            cls = registry.get(name)
            assert "Source:" in cls.__doc__
            assert all(p["help"] for p in described(cls))
