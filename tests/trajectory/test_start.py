"""The starting budget: whole cases beside patches, and free labels."""

import pytest

from alsweep import Dataset, TrajectoryConfig
from alsweep.config.base import STORED
from alsweep.data.phantom import write_phantom
from alsweep.errors import ConfigError
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.start import start_key
from tests.trajectory.conftest import make_config


@pytest.fixture(scope="module")
def airy(tmp_path_factory) -> Dataset:
    """A phantom with free air in its pool."""
    out = tmp_path_factory.mktemp("airy") / "dataset"
    return write_phantom(out, cases=8, shape=(32, 32, 32), seed=3, free_air=True)


def start_of(dataset, **start):
    config = resolve(make_config(dataset, starting_budget={"strategy": "random", **start}), dataset)
    return [queried.patch for queried in draw_start(config, dataset)]


def free_share(dataset, patch):
    return float((dataset.free(patch.case)[patch.slices] != 255).mean())


def test_whole_cases_come_first_and_no_patch_lies_in_them(phantom):
    start = start_of(phantom, whole_cases=2, patches=5)
    whole, patches = start[:2], start[2:]
    assert [(p.start, p.size) for p in whole] == [((0, 0, 0), (24, 24, 24))] * 2
    assert len({p.case for p in whole}) == 2
    assert [p.size for p in patches] == [(8, 8, 8)] * 5
    assert {p.case for p in whole}.isdisjoint(p.case for p in patches)


def test_a_start_may_be_whole_cases_alone(phantom):
    assert [p.size for p in start_of(phantom, whole_cases=3, patches=0)] == [(24, 24, 24)] * 3


def test_which_cases_are_whole_follows_from_the_seed_alone(phantom):
    drawn = {}
    for seed in range(6):
        for patches in (1, 4):
            budget = {"strategy": "random", "whole_cases": 2, "patches": patches}
            config = make_config(phantom, starting_budget=budget, seed=seed)
            start = draw_start(resolve(config, phantom), phantom)
            drawn.setdefault(seed, set()).add(tuple(q.patch for q in start[:2]))
    assert all(len(found) == 1 for found in drawn.values())
    assert len(set.union(*drawn.values())) > 1


def test_whole_cases_leave_the_patches_of_a_start_without_them_alone(phantom):
    plain = start_of(phantom, patches=6)
    assert start_of(phantom, patches=6, whole_cases=0) == plain
    assert len(plain) == 6


def test_a_whole_case_counts_as_a_guaranteed_patch_of_each_of_its_classes(phantom):
    start = start_of(
        phantom, strategy="random_all_classes", whole_cases=len(phantom.pool) - 1, patches=6
    )
    last = [case for case in phantom.pool if case not in {p.case for p in start[:-6]}]
    assert {p.case for p in start[-6:]} == set(last), "in the only case that is left"


def test_counts_and_identities_include_whole_cases(phantom):
    plain = resolve(make_config(phantom), phantom)
    whole = resolve(make_config(phantom, starting_budget={"whole_cases": 2}), phantom)
    assert (plain.patches_at(1), whole.patches_at(1)) == (12, 14)
    assert whole.trajectory_id("") != plain.trajectory_id("")
    assert start_key(whole, phantom) != start_key(plain, phantom)
    assert resolve(whole, phantom) == whole


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ({"whole_cases": 7}, "base.starting_budget.whole_cases: 7 are more than the 6 cases"),
        (
            {"whole_cases": 6, "strategy": "random"},
            "beside 6 whole cases; lower query.patches, query.loops, starting_budget.whole_cases",
        ),
        ({"whole_cases": 1, "patches": 0}, "base.starting_budget.patches: 0 are too few"),
    ],
)
def test_a_start_that_cannot_be_is_refused(phantom, start, told):
    with pytest.raises(ConfigError) as error:
        resolve(make_config(phantom, starting_budget=start), phantom)
    assert told in str(error.value)


def test_a_start_of_nothing_is_refused(phantom):
    with pytest.raises(ValueError, match="0 patches needs whole_cases"):
        make_config(phantom, starting_budget={"patches": 0})


def shares_of(airy, query_share, **start):
    """Free shares of the patches of a random start, small enough for some to be all air."""
    budget = {"strategy": "random", "patches": 90, **start}
    query = {"free_label_share": query_share, "patch_size": [4, 4, 4], "on_shortfall": "take_all"}
    config = resolve(make_config(airy, starting_budget=budget, query=query), airy)
    return [free_share(airy, queried.patch) for queried in draw_start(config, airy)]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7])
def test_the_start_heeds_the_free_label_share_of_the_query(airy, share):
    shares = shares_of(airy, share)
    assert len(shares) == 90
    assert max(shares) <= share
    assert max(shares) > 0 or share == 0
    assert max(shares_of(airy, 1.0)) == 1


def test_a_start_may_have_a_free_label_share_of_its_own(airy):
    assert max(shares_of(airy, 0.0, free_label_share=1.0)) == 1
    assert max(shares_of(airy, 1.0, free_label_share=0.0)) == 0


def test_an_identity_names_the_share_only_where_it_is_not_what_starts_always_had(phantom):
    def identity(**changes):
        return make_config(phantom, **changes).identity_on("")["starting_budget"]

    assert set(identity()) == {"strategy", "patches"}
    assert set(identity(starting_budget={"free_label_share": 0.4})) == {"strategy", "patches"}
    assert identity(query={"free_label_share": 0.0})["free_label_share"] == 0.0
    assert identity(starting_budget={"free_label_share": 0.1})["free_label_share"] == 0.1


def test_a_stored_start_is_drawn_as_it_was(airy):
    """What was stored before there was the share heeded 0.4, whatever its query said."""
    start = {"strategy": "random", "patches": 90}
    query = {"free_label_share": 0.0, "patch_size": [4, 4, 4]}
    plain = resolve(make_config(airy, query=query, starting_budget=start), airy).plain()
    for key in ("free_label_share", "whole_cases"):
        del plain["starting_budget"][key]
    stored = TrajectoryConfig.model_validate(plain, context=STORED)
    assert stored.start.free_label_share == 0.4
    assert set(stored.identity_on("")["starting_budget"]) == {"strategy", "patches"}
    shares = [free_share(airy, queried.patch) for queried in draw_start(stored, airy)]
    assert shares == shares_of(airy, 0.4)
    assert 0 < max(shares) <= 0.4
