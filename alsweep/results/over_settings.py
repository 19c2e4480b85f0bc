"""Every strategy against each control over settings: the test by mean ranks, and the balance."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from alsweep.results.comparing import checked_controls, meetings
from alsweep.results.cube import DONE, Floats
from alsweep.results.paired import holm
from alsweep.results.pairwise import Correction, setting_wins
from alsweep.results.rank_tests import LEAST_SETTINGS, average_ranks, rank_error
from alsweep.results.scores import Measure, blocks


def compare_over_settings(
    table: pd.DataFrame,
    controls: Sequence[str],
    metric: Measure = "aubc",
    alpha: float = 0.05,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Compare every strategy with each control by their mean ranks over settings.

    The normal approximation is that of the source, which asks for more than ten settings and five
    strategies; settings on one dataset are not independent, and count as if they were.

    Args:
        table: The tidy table.
        controls: Labels of strategies.
        metric: ``aubc`` or ``final``; higher is better.
        alpha: Level held over all rows together.
        statuses: Which trajectories enter.

    Returns:
        One row a control and other strategy, by control as declared, then by strategy; two controls
        meet once. Columns: ``control``, ``strategy``, ``settings``; ``mean_difference``, strategy -
        control, mean over settings; ``wins``, ``ties`` and ``losses``, settings in which the
        strategy's mean is higher, equal, lower; ``rank_gain``, by how much its mean rank is better;
        ``z``, ``p``, ``p_adjusted`` (Holm over all rows) and ``verdict``, ``better``, ``worse`` or
        ``undecided``. NaN for fewer than two settings. ``attrs`` holds ``settings`` and what is
        left out, so that every strategy has a score in every setting.

    Raises:
        RecordError: A column is missing, a loop is there twice, the metric is unknown, or no row
            bears a control's label.

    Source: Demsar 2006, JMLR 7, section 3.2.2; Holm 1979.
    """
    wanted = checked_controls(table, controls)
    found = blocks(table, metric, statuses)
    scores = found.scores
    who = meetings(wanted, list(scores.columns))
    against, strategies = zip(*who, strict=True) if who else ((), ())
    differences = _columns(scores, strategies) - _columns(scores, against)
    ranks = average_ranks(scores)
    gain = ranks[list(against)].to_numpy() - ranks[list(strategies)].to_numpy()
    z, p = _test(gain, scores)
    adjusted = holm(p)
    verdict = np.where(adjusted < alpha, np.where(z > 0, "better", "worse"), "undecided")
    columns = {
        "control": pd.array(list(against), dtype="str"),
        "strategy": pd.array(list(strategies), dtype="str"),
        "settings": len(scores),
        "mean_difference": differences.mean(axis=0) if len(scores) else np.nan,
        "wins": (differences > 0).sum(axis=0),
        "ties": (differences == 0).sum(axis=0),
        "losses": (differences < 0).sum(axis=0),
        "rank_gain": gain,
        "z": z,
        "p": p,
        "p_adjusted": adjusted,
        "verdict": pd.array(verdict.tolist(), dtype="str"),
    }
    frame = pd.DataFrame(columns, index=range(len(who)))
    frame.attrs = found.attrs
    return frame


def _columns(scores: pd.DataFrame, names: Sequence[str]) -> Floats:
    columns: Floats = scores[list(names)].to_numpy(dtype=np.float64)
    return columns


def _test(gain: Floats, scores: pd.DataFrame) -> tuple[Floats, Floats]:
    settings, strategies = scores.shape
    if settings < LEAST_SETTINGS or strategies < 2:
        return np.full(len(gain), np.nan), np.full(len(gain), np.nan)
    z = gain / rank_error(strategies, settings)
    p: Floats = 2 * norm.sf(np.abs(z))
    return z, p


def win_balance(
    table: pd.DataFrame,
    controls: Sequence[str],
    metric: str = "mean_dice",
    alpha: float = 0.05,
    correction: Correction = None,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """How often each strategy beats a control and is beaten by it, in each setting and over all.

    Args:
        table: The tidy table.
        controls: Labels of strategies.
        metric: Column to compare; higher is better.
        alpha: Level of each test.
        correction: As in :func:`alsweep.results.win_matrix`.
        statuses: Which trajectories enter.

    Returns:
        One row a setting, control and other strategy, sorted so, and then those of all settings
        together, whose ``setting`` is null; ``win`` and ``loss``, shares of budgets in 0..1,
        ``balance``, win - loss, and ``settings``, how many have a test. Pairs that are never tested
        have no row.

    Raises:
        RecordError: A column is missing, a loop is there twice, the correction is unknown, or no
            row bears a control's label.
    """
    wanted = checked_controls(table, controls)
    wins = setting_wins(table, metric, alpha, correction, statuses=statuses)
    names = wins.strategies
    found = [
        {
            "setting": setting,
            "control": control,
            "strategy": strategy,
            "win": share[names.index(strategy), names.index(control)],
            "loss": share[names.index(control), names.index(strategy)],
            "settings": 1,
        }
        for setting, share in zip(wins.settings, wins.share, strict=True)
        for control, strategy in meetings(wanted, names)
    ]
    columns = ["setting", "control", "strategy", "win", "loss", "settings"]
    each = pd.DataFrame(found, columns=columns).dropna(subset="win")
    joint = each.groupby(["control", "strategy"], sort=False, as_index=False)
    every = joint.agg({"win": "mean", "loss": "mean", "settings": "sum"})
    order = {pair: place for place, pair in enumerate(meetings(wanted, names))}
    places = [order[pair] for pair in zip(every["control"], every["strategy"], strict=True)]
    every = every.iloc[np.argsort(places, kind="stable")].assign(setting=None)
    frame = pd.concat([each, every], ignore_index=True) if len(every) else each
    frame.insert(5, "balance", frame["win"] - frame["loss"])
    return frame.astype({"setting": "str"})
