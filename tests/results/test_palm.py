import numpy as np
import pytest
from scipy.optimize import least_squares

from alsweep.results.palm import Points, fit
from alsweep.rng import stream


def palm(b: np.ndarray, a_max: float, delta: float, alpha: float, beta: float) -> np.ndarray:
    return a_max * (1 - (1 - delta) ** ((b / b[0] - 1 + alpha) ** beta))


def points(b: np.ndarray, *means: np.ndarray) -> Points:
    return Points(b, np.array(means), np.full((len(means), len(b)), 4.0))


def test_eight_budgets_give_all_four_parameters():
    b = np.arange(20.0, 180, 20)
    true = (0.85, 0.3, 1.4, 0.8)
    found = fit(points(b, palm(b, *true)), 0.9)
    assert found.loss[0] < 1e-9
    assert found.at(np.array([240.0]))[0, 0] == pytest.approx(
        palm(np.append(b, 240.0), *true)[-1], abs=2e-3
    )


def test_five_budgets_give_two_and_the_curve_begins_at_the_start():
    b = np.arange(20.0, 120, 20)
    found = fit(points(b, palm(b, 0.8, 0.5, 1.0, 0.6)), 0.9)
    assert found.parameters[0] == pytest.approx([0.8, 0.5, 1.0, 0.6], rel=2e-2)
    assert found.at(b)[0] == pytest.approx(palm(b, 0.8, 0.5, 1.0, 0.6), abs=1e-4)


def test_two_parameter_fits_are_least_squares():
    b = np.arange(30.0, 180, 30)
    rng = stream(0, "palm")
    means = [palm(b, 0.82, 0.55, 1, 0.5) + rng.normal(0, 0.01, size=5) for _ in range(6)]
    found = fit(points(b, *means), 0.95)
    for place, y in enumerate(means):

        def residuals(p: np.ndarray, y: np.ndarray = y) -> np.ndarray:
            return 2 * (palm(b, p[0], y[0] / p[0], 1.0, p[1]) - y)

        tries = [
            least_squares(residuals, [a, s], bounds=([y[0], 0], [0.95, 8])).cost * 2
            for a in (y[0] + 0.05, 0.9)
            for s in (0.3, 1.0)
        ]
        assert found.loss[place] == pytest.approx(min(tries), rel=1e-3, abs=1e-9)


def test_a_ceiling_is_never_exceeded_and_a_flat_curve_stays_flat():
    b = np.arange(20.0, 120, 20)
    rising, flat = np.array([0.3, 0.5, 0.65, 0.78, 0.9]), np.full(5, 0.5)
    found = fit(points(b, rising, flat), 0.91)
    assert (found.parameters[:, 0] <= 0.91).all()
    assert found.at(np.array([400.0]))[1, 0] == pytest.approx(0.5, abs=0.01)


def test_reach_is_the_inverse_of_the_curve():
    b = np.arange(20.0, 120, 20)
    found = fit(points(b, palm(b, 0.8, 0.5, 1.0, 0.6)), 0.9)
    for target in (0.5, 0.6, 0.7):
        patches = found.reach(target)
        assert found.at(patches)[0, 0] == pytest.approx(target, abs=1e-6)
    assert found.reach(0.2)[0] == 20
    assert found.reach(0.95)[0] == np.inf
