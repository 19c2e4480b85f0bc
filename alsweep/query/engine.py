"""How a composition queries: case by case to candidates, then once over all of them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from alsweep.geometry import Patch, QueriedPatch
from alsweep.query.candidates import (
    GENERAL,
    Annotated,
    Candidate,
    CaseLimit,
    Known,
    ordered,
)
from alsweep.query.maps import VoxelMap, WindowMap
from alsweep.query.measures import Rows, measured
from alsweep.query.pool import Pool, PoolCase, Prediction, Request, Streams
from alsweep.query.room import space_of
from alsweep.query.stage import Stage
from alsweep.query.stages import Composition
from alsweep.query.voxels import VoxelScores
from alsweep.query.windows import Windows


@dataclass(frozen=True)
class _CaseResult:
    """All that outlives a case.

    Attributes:
        candidates: Not overlapping each other nor what is annotated.
        annotated: What was measured of the annotated patches, by field of a candidate.
    """

    candidates: list[Candidate]
    annotated: Rows


@dataclass(frozen=True)
class Engine:
    """One query of one composition.

    Attributes:
        composition: The stages.
        request: How many patches of which size.
        foreground: Number of foreground classes.
        rng: Generators by name; those of a case are drawn from in that case alone.
    """

    composition: Composition
    request: Request
    foreground: int
    rng: Streams

    def query(self, pool: Pool) -> list[QueriedPatch]:
        """Choose patches, best first; fewer than asked for where nothing more fits."""
        results = list(_each_case(pool, self.case_result))
        rows = [result.annotated for result in results]
        features, volumes, probs = (_joined(rows, key) for key in ("features", "volumes", "probs"))
        annotated = Annotated(features, self._classes(pool), volumes, probs)
        candidates = ordered(c for result in results for c in result.candidates)
        chosen = self.select(candidates, annotated)
        return [QueriedPatch(candidate.patch, candidate.score) for candidate in chosen]

    def _classes(self, pool: Pool) -> np.ndarray:
        """Voxels of each label in each annotated patch; none where no stage needs them."""
        if "annotated_labels" not in self.composition.needs:
            return np.zeros((0, 0), dtype=np.int64)
        patches = [patch for case in pool.cases for patch in case.taken]
        counts = [pool.annotated_classes(patch) for patch in patches]
        return np.array(counts, dtype=np.int64).reshape(-1, len(pool.classes))

    def case_result(self, case: PoolCase, prediction: Prediction) -> _CaseResult:
        """Reduce one case to its candidates; safe to run beside other cases."""
        candidates = self._candidates(case, prediction)
        patches = [candidate.patch for candidate in candidates]
        worth = self.composition.filter.measure(prediction, patches)
        candidates = [replace(c, worth=float(w)) for c, w in zip(candidates, worth, strict=True)]
        rows = measured(self.composition.needs, prediction, [*patches, *case.taken])
        held = [
            replace(c, **{field: values[i] for field, values in rows.items()})
            for i, c in enumerate(candidates)
        ]
        return _CaseResult(held, {field: values[len(held) :] for field, values in rows.items()})

    def _candidates(self, case: PoolCase, prediction: Prediction) -> list[Candidate]:
        """Let each channel take its share of the case, in turn, none overlapping."""
        strata, space = self.composition.stratify, space_of(case, self.request)
        scores = self._noised(case.case, self.patch_scores(prediction, space.windows))
        per_case = self.request.per_case * self.composition.candidates_factor
        draws = self._draws(strata, "channels", case.case)
        shares = strata.case_shares(per_case, self.foreground, draws)
        propose = self.composition.candidates
        windows = self._draws(propose, "candidates", case.case)
        found: list[Candidate] = []

        def best(channel: int, n: int) -> list[Candidate]:
            taken = (*case.taken, *(candidate.patch for candidate in found))
            free = replace(space, taken=taken)
            boxes = propose(scores[channel], free, n, windows) if n > 0 else []
            return [Candidate(Patch(case.case, b.start, b.size), b.score, channel) for b in boxes]

        for channel, share in shares:
            found += best(channel, share)
        if not strata.by_class:
            return found
        # What the shares leave over is of use only where the whole pool falls short.
        left = per_case - len(found)
        return found + [replace(spare, spare=True) for spare in best(GENERAL, left)]

    def patch_scores(self, prediction: Prediction, windows: Windows) -> np.ndarray:
        """Score all windows of a case, ``(channel, z_start, y_start, x_start)``, without noise."""
        score_map = self.composition.map
        if isinstance(score_map, VoxelMap):
            voxels = VoxelScores(prediction, score_map, self.composition.stratify.by_class)
            return np.asarray(self.composition.aggregate(voxels, windows).cpu().numpy())
        assert isinstance(score_map, WindowMap), "a map scores voxels or windows"
        return np.asarray(score_map.windows(prediction, windows)[None].cpu().numpy())

    def _noised(self, case: str, scores: np.ndarray) -> list[np.ndarray]:
        noise = self.composition.noise
        draws = self._draws(noise, "noise", case)
        return [noise.on_windows(channel, self.request, draws) for channel in scores]

    def select(self, candidates: list[Candidate], annotated: Annotated) -> list[Candidate]:
        """Choose among the candidates of all cases, which come best first."""
        ranked = self._ranked(candidates)
        kept = self.composition.filter.keep(ranked, self.request, annotated)
        known = Known(annotated, ranked)
        limit = CaseLimit(self.request.per_case * self.composition.case_limit)
        draws = self._draws(self.composition.select, "select")
        strata = self.composition.stratify
        shares = strata.query_shares(self.request, self.foreground, self._draws(strata, "shares"))
        chosen: list[Candidate] = []
        owed = 0
        for channel, share in shares.items():
            own = [c for c in kept if c.channel == channel and not c.spare]
            wanted = share + (owed if channel == GENERAL else 0)
            taken = self.composition.select(own, wanted, known, limit, draws)
            owed += share - len(taken)
            chosen += taken
        # What the strata, and then the filter, left over: a query is short only if the pool is.
        for left in (kept, ranked):
            picked = {candidate.patch for candidate in chosen}
            rest = [c for c in left if c.patch not in picked]
            missing = self.request.patches - len(chosen)
            chosen += self.composition.select(rest, missing, known, limit, draws)
        return chosen if len(shares) == 1 else ordered(chosen)

    def _draws(self, stage: Stage, *key: str) -> np.random.Generator:
        """A stage's generator, if it draws: to make one takes longer than a small choice."""
        return self.rng(*key) if stage.draws else cast("np.random.Generator", None)

    def _ranked(self, candidates: list[Candidate]) -> list[Candidate]:
        noise = self.composition.noise
        draws = self._draws(noise, "noise")
        noised: list[Candidate] = []
        for channel in sorted({candidate.channel for candidate in candidates}):
            own = [candidate for candidate in candidates if candidate.channel == channel]
            # Stable: what was kept beyond the shares must not push a share's own down the ranks.
            own.sort(key=lambda candidate: candidate.spare)
            scores = np.array([candidate.score for candidate in own])
            disturbed = noise.on_candidates(scores, self.request, draws)
            noised += [replace(c, score=float(s)) for c, s in zip(own, disturbed, strict=True)]
        return ordered(noised)


def _joined(results: Sequence[Rows], field: str) -> np.ndarray:
    """What was measured of the annotated patches of all cases, a row each."""
    return np.array([row for rows in results for row in rows.get(field, ())])


def _each_case(
    pool: Pool, work: Callable[[PoolCase, Prediction], _CaseResult]
) -> Iterator[_CaseResult]:
    """Apply ``work`` to every case; results come in the order of cases, whatever the workers.

    Prediction stays in this thread; at most ``workers`` cases wait beside it, so that memory stays
    bounded. A case that the device cannot hold is predicted while it is scored, and nothing beside
    it.
    """
    if pool.workers <= 1:
        for case, prediction in pool.predictions():
            result = work(case, prediction)
            # Or the next case would be predicted beside it.
            del prediction
            yield result
        return
    waiting: deque[Future[_CaseResult]] = deque()
    with ThreadPoolExecutor(pool.workers) as threads:
        for case, prediction in pool.predictions():
            alone = len(prediction.slabs) > 1
            while alone and waiting:
                yield waiting.popleft().result()
            if alone:
                result = work(case, prediction)
                del prediction
                yield result
                continue
            waiting.append(threads.submit(work, case, prediction))
            del prediction
            while len(waiting) >= pool.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
