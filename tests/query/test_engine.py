"""Whole queries of compositions, against plain restatements of the published rules."""

import weakref
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from alsweep.geometry import Patch, box_slices
from alsweep.query import Stages, box_mean, make_strategy
from alsweep.query.base import Composed, Prediction
from alsweep.query.candidates import Annotated, Candidate, ordered
from alsweep.query.engine import Engine
from alsweep.query.maps import predictive_entropy
from alsweep.query.noise import SoftRank
from alsweep.query.select import Space, greedy
from alsweep.query.stages import compose
from alsweep.query.stratify import ByClass
from alsweep.query.windows import Windows
from alsweep.rng import stream
from alsweep.testing.pools import ArrayPool, make_pool, make_prediction, make_request, make_streams

SIZE = (6, 6, 6)
NO_FEATURES = Annotated(np.zeros((0, 0)), np.zeros((0, 0)))


def ask(strategy, pool, request, seed=0):
    made = make_strategy(strategy) if isinstance(strategy, str | dict) else strategy
    return made.query(pool, request, make_streams(seed, request.loop))


def space(case, taken=()):
    return Space(Windows(case.shape, SIZE, (2, 2, 2)), taken)


def pe_scores(prediction, request):
    values = predictive_entropy(prediction)
    channels = [values, *(values * p for p in prediction.mean_probs[1:])]
    return [box_mean(c.numpy(), request.patch_size, request.strides) for c in channels]


def test_power_noise_is_drawn_per_window_from_the_stream_of_its_case():
    pool, request = make_pool(3), make_request(4, SIZE, strides=(2, 2, 2))
    expected = []
    for case in pool.cases:
        scores = pe_scores(pool.given[case.case], request)[0]
        draws = stream(0, "query", 0, "noise", case.case)
        noised = np.log(scores) + draws.gumbel(0, 1 / 5, scores.shape)
        boxes = greedy(noised, space(case), 4)
        expected += [(-b.score, b.start, case.case) for b in boxes]
    found = ask({"name": "power_pe", "beta": 5}, pool, request)
    assert [(c.patch.start, c.patch.case) for c in found] == [e[1:] for e in sorted(expected)[:4]]


@pytest.mark.parametrize(
    ("strategy", "most"),
    [
        ({"name": "softrank_bald", "beta": 1000.0}, 2),
        ({"name": "softrank_bald", "beta": 1000.0, "case_limit": 2}, 4),
        ({"name": "kmeans_bald"}, 2),
        ({"name": "kmeans_bald", "case_limit": 2}, 4),
    ],
    ids=str,
)
def test_a_query_holds_as_many_patches_of_a_case_as_nnactive_only_where_asked(strategy, most):
    pool = make_pool(2)
    found = Counter(
        queried.patch.case
        for queried in ask(strategy, pool, make_request(8, SIZE, strides=(2, 2, 2), per_case=2))
    )
    # Two cases cannot give more than that together, however good they are.
    assert set(found.values()) == {most}


def test_soft_rank_keeps_twice_the_candidates_and_ranks_them_over_all_cases():
    pool, request = make_pool(3), make_request(5, SIZE, strides=(2, 2, 2), per_case=4)
    candidates = []
    for case in pool.cases:
        prediction = pool.given[case.case]
        mi = (predictive_entropy(prediction) - prediction.mean_entropy).clamp_min(0)
        scores = box_mean(mi.numpy(), SIZE, (2, 2, 2))
        boxes = greedy(scores, space(case), 8)
        candidates += [(-b.score, b.start, case.case) for b in boxes]
    candidates.sort()
    noise = stream(0, "query", 0, "noise").gumbel(0, 1, len(candidates))
    order = np.argsort(np.log(np.arange(1, len(candidates) + 1)) - noise)
    found = [(c.patch.start, c.patch.case) for c in ask("softrank_bald", pool, request)]
    taken, most = [], dict.fromkeys(pool.given, 4)
    for index in order:
        _, start, case = candidates[index]
        if most[case] and len(taken) < 5:
            most[case] -= 1
            taken.append((start, case))
    assert found == taken


def three_channels():
    """Ten candidates a channel, the classes' scores below the general one's; ten spare ones."""
    found = [
        Candidate(Patch(f"{channel}_{i}", (0, 0, 0), (1, 1, 1)), best * (1 - i / 20), channel)
        for channel, best in enumerate((1.0, 0.4, 0.2))
        for i in range(10)
    ]
    spare = [
        Candidate(Patch(f"spare_{i}", (0, 0, 0), (1, 1, 1)), 0.97 - i / 20, spare=True)
        for i in range(10)
    ]
    return ordered([*found, *spare])


def test_soft_rank_ranks_within_each_channel():
    stages = Stages("predictive_entropy", noise=SoftRank(beta=3.0), stratify=ByClass(r=2 / 3))
    composition, request, candidates = compose(stages), make_request(3), three_channels()
    queries = 600
    best = Counter()
    for seed in range(queries):
        engine = Engine(composition, request, 2, make_streams(seed))
        best.update(c.patch.case for c in engine.select(candidates, NO_FEATURES))
    # One of ten, drawn in proportion to 1 / rank ** 3: the first in 84 of 100 queries, not in 10.
    expected = 1 / (1 / np.arange(1.0, 11.0) ** 3).sum()
    for channel in range(3):
        assert best[f"{channel}_0"] / queries == pytest.approx(expected, abs=0.05)


def test_clas_pe_shares_candidates_and_query_as_published():
    pool, request = make_pool(4), make_request(9, SIZE, strides=(2, 2, 2), per_case=6)
    channels = {0: [], 1: [], 2: []}
    for case in pool.cases:
        scores = pe_scores(pool.given[case.case], request)
        taken = []
        order = stream(0, "query", 0, "channels", case.case).permutation(3)
        for channel in order:
            # int(6 * 0.34) = 2 general, int(6 * 0.66 / 3) = 1 for each class.
            n = 2 if channel == 0 else 1
            boxes = greedy(scores[channel], space(case, taken), n)
            taken += [(b.start, b.size) for b in boxes]
            channels[channel] += [(-b.score, b.start, case.case) for b in boxes]
    shares = {0: 4, 1: 2, 2: 2}  # int(9 * 0.66) = 5: 2 each and one more for one of them
    extra = int(stream(0, "query", 0, "shares").permutation(2)[0]) + 1
    shares[extra] += 1
    expected = {e[1:] for c, found in channels.items() for e in sorted(found)[: shares[c]]}
    chosen = ask("clas_pe", pool, request)
    assert {(c.patch.start, c.patch.case) for c in chosen} == expected
    assert [c.score for c in chosen] == sorted((c.score for c in chosen), reverse=True)


def test_what_a_class_lacks_goes_to_the_general_channel():
    # Three are wanted of each class and two general ones; class 1 has one. What class 2 has beyond
    # its share scores better than all general ones, and still is not its to give.
    found = [
        Candidate(Patch(f"{channel}_{i}", (0, 0, 0), (1, 1, 1)), best - i / 100, channel)
        for channel, best, many in ((0, 0.5, 6), (1, 0.2, 1), (2, 0.9, 6))
        for i in range(many)
    ]
    spare = Candidate(Patch("spare", (0, 0, 0), (1, 1, 1)), 0.99, spare=True)
    composition = compose(Stages("predictive_entropy", stratify=ByClass(r=0.75)))

    def chosen(patches):
        engine = Engine(composition, make_request(patches), 2, make_streams())
        return {c.patch.case for c in engine.select(ordered([spare, *found]), NO_FEATURES)}

    assert chosen(8) == {"1_0", "2_0", "2_1", "2_2", "0_0", "0_1", "0_2", "0_3"}
    # Where the general channel falls short in its turn, whatever is left is chosen, best first.
    assert chosen(16) - chosen(8) == {"spare", "2_3", "2_4", "2_5", "0_4", "0_5"}


def test_class_strata_bring_a_rare_class_into_the_query():
    # Entropy is highest in a region of class 1; a fainter one predicts class 2.
    probs = torch.zeros(3, 24, 12, 12)
    probs[0] = 1.0
    probs[:, :12] = torch.tensor([0.5, 0.5, 0.0]).reshape(3, 1, 1, 1)
    probs[:, 18:] = torch.tensor([0.1, 0.0, 0.9]).reshape(3, 1, 1, 1)
    volume = np.zeros((24, 12, 12), dtype=np.uint8)
    pool = ArrayPool({"a": volume}, {"a": Prediction(probs)})
    request = make_request(6, SIZE, strides=(6, 6, 6))

    def on_rare(name):
        return sum(c.patch.start[0] >= 18 for c in ask(name, pool, request))

    assert on_rare("predictive_entropy") == 0
    assert on_rare("clas_pe") >= 1


def test_region_labels_are_strata_each():
    shape = (18, 12, 12)
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(2, *shape, generator=generator)
    volume = np.zeros(shape, dtype=np.uint8)
    pool = ArrayPool({"a": volume}, {"a": Prediction(probs, regions=True)})
    found = ask("clasp_pe", pool, make_request(6, SIZE, strides=(6, 6, 6)))
    assert len({c.patch for c in found}) == 6
    entropy = predictive_entropy(Prediction(probs, regions=True))
    best = ask("predictive_entropy", pool, make_request(1, SIZE, strides=(6, 6, 6)))[0]
    assert best.score == pytest.approx(entropy[best.patch.slices].mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["predictive_entropy", "margin", "clas_pe", "kmeans_bald"])
def test_a_constant_map_is_queried_in_order_of_start_then_case(name):
    shape = (12, 12, 12)
    prediction = make_prediction(shape)
    flat = torch.tensor([0.55, 0.31, 0.14]).reshape(3, 1, 1, 1).expand(3, *shape)
    level = replace(prediction, mean_probs=flat, mean_entropy=torch.full(shape, 0.3))
    level = replace(level, embedding=replace(level.embedding, features=torch.ones(2, 3, 3, 3)))
    references = {case: np.zeros(shape, dtype=np.uint8) for case in "ba"}
    pool = ArrayPool(references, dict.fromkeys(references, level))
    found = ask(name, pool, make_request(4, SIZE, strides=(6, 6, 6)))
    places = [(c.patch.start, c.patch.case) for c in found]
    if name == "clas_pe":
        # Every stratum goes by start, and earlier strata of the case come first.
        assert sorted(places)[0] == ((0, 0, 0), "a")
        assert all(start in {(0, 0, 0), (0, 0, 6), (0, 6, 0)} for start, _ in places)
    else:
        corner, beside = (0, 0, 0), (0, 0, 6)
        assert places == [(corner, "a"), (corner, "b"), (beside, "a"), (beside, "b")]


def test_certain_predictions_have_no_entropy_and_are_still_queried_under_power_noise():
    shape = (12, 12, 12)
    probs = torch.zeros(3, *shape)
    probs[0] = 1.0
    pool = ArrayPool({"a": np.zeros(shape, np.uint8)}, {"a": Prediction(probs)})
    for name in ("power_pe", "clasp_pe"):
        found = ask(name, pool, make_request(3, SIZE))
        assert [c.score for c in found] == [-np.inf] * 3
        assert [c.patch.start for c in found] == [(0, 0, 0), (0, 0, 6), (0, 6, 0)]


def test_an_image_smaller_than_the_patch_is_queried_whole():
    pool = make_pool(2, (4, 5, 3))
    for name in ("predictive_entropy", "clasp_pe", "kmeans_bald", "expected_dice"):
        found = ask(name, pool, make_request(2, (64, 64, 64)))
        assert {(c.patch.case, c.patch.start, c.patch.size) for c in found} == {
            (case, (0, 0, 0), (4, 5, 3)) for case in ("case_0", "case_1")
        }


@pytest.mark.parametrize("name", ["predictive_entropy", "clasp_pe", "softrank_bald", "kmeans_bald"])
def test_an_exhausted_pool_gives_what_fits(name):
    taken = [Patch("case_0", (0, 0, 0), (12, 12, 12)), Patch("case_1", (0, 0, 0), (6, 12, 12))]
    pool = make_pool(2, (12, 12, 12), taken=taken)
    found = ask(name, pool, make_request(20, (6, 12, 12), strides=(6, 1, 1)))
    assert [(c.patch.case, c.patch.start) for c in found] == [("case_1", (6, 0, 0))]


def test_allowed_overlap_is_measured_against_all_channels_together():
    pool, request = make_pool(2, (12, 12, 12)), make_request(14, SIZE, overlap=0.4)
    patches = [c.patch for c in ask("clasp_pe", pool, request)]
    assert len(patches) == 14
    for case in pool.cases:
        covered = np.zeros(case.shape, dtype=int)
        own = [p for p in patches if p.case == case.case]
        for patch in own:
            covered[box_slices(patch.start, patch.size)] += 1
        assert covered.sum() > 0
        # Each was at most 40 % covered when it was chosen, so the union holds at least the rest.
        assert (covered > 0).sum() >= 0.6 * 216 * len(own) - 1e-9


def test_the_label_entropy_filter_keeps_patches_of_many_classes():
    shape = (24, 6, 6)
    probs = torch.full((3, *shape), 0.1)
    probs[0] = 0.8
    probs[:, 12:15] = torch.tensor([0.1, 0.8, 0.1]).reshape(3, 1, 1, 1)
    probs[:, 15:18] = torch.tensor([0.1, 0.1, 0.8]).reshape(3, 1, 1, 1)
    probs[:, 0:6] = torch.tensor([0.3, 0.4, 0.3]).reshape(3, 1, 1, 1)
    pool = ArrayPool({"a": np.zeros(shape, np.uint8)}, {"a": Prediction(probs)})
    request = make_request(1, SIZE, strides=(6, 6, 6), per_case=4)
    plain = Composed(Stages(map="predictive_entropy"))
    filtered = make_strategy(
        {
            "stages": {
                "map": "predictive_entropy",
                "filter": {"name": "label_entropy", "keep_factor": 1},
            }
        }
    )
    assert ask(plain, pool, request)[0].patch.start == (0, 0, 0)
    # Classes 1 and 2 share that patch evenly; the others hold one class or none.
    assert ask(filtered, pool, request)[0].patch.start == (12, 0, 0)


class WatchedPool(ArrayPool):
    """Counts the predictions that are alive when the next one is made."""

    def predictions(self):
        self.alive, references = [], []
        for index, case in enumerate(self.cases):
            prediction = make_prediction(case.shape, seed=index)
            references.append(weakref.ref(prediction.mean_probs))
            yield case, prediction
            del prediction
            self.alive.append(sum(r() is not None for r in references))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["clasp_pe", "kmeans_bald", "expected_dice"])
def test_nothing_per_voxel_outlives_its_case(name, workers):
    pool = WatchedPool({f"c{i}": np.zeros((12, 12, 12), np.uint8) for i in range(8)})
    pool.workers = workers
    ask(name, pool, make_request(4, SIZE, strides=(3, 3, 3)))
    assert max(pool.alive) <= workers


def test_two_processes_with_one_seed_draw_alike_and_two_seeds_do_not():
    pool, request = make_pool(3), make_request(6, SIZE)
    assert ask("power_pe", pool, request, 1) == ask("power_pe", make_pool(3), request, 1)
    assert ask("power_pe", pool, request, 1) != ask("power_pe", pool, request, 2)


def test_windows_know_their_grid():
    windows = Windows((10, 4, 4), (4, 9, 2), (4, 1, 3))
    assert windows.grid == [[0, 4, 6], [0], [0, 2]]
    assert windows.size == (4, 4, 2)
    assert windows.voxels == 32


def test_no_generator_is_made_for_stages_that_draw_nothing():
    asked = []

    def streams(*key):
        asked.append(key[0])
        return stream(0, *key)

    pool, request = make_pool(2), make_request(3, SIZE, strides=(2, 2, 2))
    make_strategy("predictive_entropy").query(pool, request, streams)
    assert asked == []
    make_strategy("clasp_pe").query(pool, request, streams)
    assert set(asked) == {"noise", "channels", "shares"}
