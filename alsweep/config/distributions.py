"""What values are drawn from: a range or choices, also within the entry of a strategy."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import exp, floor, isfinite, log, log10
from typing import Any, TypeAlias

_DIGITS = 4
"""Of a drawn number, of itself and of its range: as tables and labels show it, so it is."""


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, both included; whole numbers where both ends are.

    Attributes:
        low: The lower end.
        high: The upper end.
        log: Equally often in each decade; ``low`` is positive then.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, share: float) -> float:
        """The number below which ``share`` (0 to 1) of the range lies."""
        # Each whole number takes the same room, the ends too.
        margin = 0.5 if self.whole else 0.0
        low, high = self.low - margin, self.high + margin
        value = exp(log(low) + share * log(high / low)) if self.log else low + share * (high - low)
        return self.rounded(value)

    def rounded(self, value: float) -> float:
        """The number that stands for all that tables show alike."""
        value = round(value) if self.whole else _rounded(value, self.high - self.low)
        return min(max(value, self.low), self.high)


def _rounded(value: float, span: float) -> float:
    scale = min(abs(value) or span, span)
    return round(value, _DIGITS - 1 - floor(log10(scale))) if scale else value


@dataclass(frozen=True)
class Choices:
    """One of several values, each as likely.

    Attributes:
        choices: At least one.
    """

    choices: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value below which ``share`` (0 to 1) of them lie."""
        return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]


Distribution: TypeAlias = Range | Choices


def distribution(value: object) -> Distribution:
    """Read ``{low, high}`` with or without ``log``, or ``{choices}``.

    Raises:
        ValueError: It is neither, or nothing lies in it; says what to write.
    """
    if not isinstance(value, Mapping) or not value:
        raise ValueError("write {low: ..., high: ...}, {low, high, log: true} or {choices: [...]}")
    if "choices" in value:
        _refuse_others(value, ("choices",))
        return _choices(value["choices"])
    _refuse_others(value, ("low", "high", "log"))
    return _range(value)


def is_distribution(value: object) -> bool:
    """Whether a value inside the entry of a strategy is drawn."""
    return isinstance(value, Mapping) and bool({"low", "high", "choices"} & set(value))


def _refuse_others(value: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for key in value:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
            raise ValueError(f"{key}: unknown key; {hint}")


def _choices(values: object) -> Choices:
    if not isinstance(values, list | tuple) or not values:
        raise ValueError("choices: write a list of at least one value")
    return Choices(tuple(values))


def _range(value: Mapping[Any, Any]) -> Range:
    for end in ("low", "high"):
        if end not in value:
            raise ValueError(f"{end}: is required beside {', '.join(map(str, value))}")
        number = isinstance(value[end], int | float) and not isinstance(value[end], bool)
        if not number or not isfinite(value[end]):
            raise ValueError(f"{end}: expected a finite number, got {value[end]!r}")
    low, high, logarithmic = value["low"], value["high"], value.get("log", False)
    if not isinstance(logarithmic, bool):
        raise ValueError(f"log: write true or false, got {logarithmic!r}")
    if not low < high:
        raise ValueError(f"low: {low!r} is not below high: {high!r}; a single value goes into base")
    if logarithmic and low <= 0:
        raise ValueError(f"low: {low!r} has no logarithm; write a positive number, or log: false")
    return Range(low, high, logarithmic)


def draw(value: object, seed: int, path: tuple[str, ...], index: int) -> Any:
    """One value of a distribution, of a list of strategies, or of a strategy's entry.

    Each has a stream of its own, named by where it stands: what is drawn beside it shifts nothing.

    Args:
        value: What stands in the YAML, checked.
        seed: Of the sample.
        path: Where ``value`` stands.
        index: Which draw, from 0.
    """
    # Numpy comes along with it; most search spaces have no sample.
    from alsweep.rng import stream

    if isinstance(value, list | tuple):
        value = {"choices": value}
    if is_distribution(value):
        share = float(stream(seed, "sample", *path, index).random())
        chosen = distribution(value).at(share)
        return draw_within(chosen, seed, path, index) if path == ("strategy",) else chosen
    return draw_within(value, seed, path, index)


def draw_within(entry: object, seed: int, path: tuple[str, ...], index: int) -> Any:
    """The entry of a strategy with its distributions replaced by what is drawn from them."""
    if not isinstance(entry, Mapping):
        return entry
    inside = (*path, str(entry["name"])) if "name" in entry else path
    return {
        key: draw(value, seed, (*inside, str(key)), index) if isinstance(value, Mapping) else value
        for key, value in entry.items()
    }
