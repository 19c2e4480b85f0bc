"""From settings, grid, points and sample to cells: each is a trajectory but for its seed.

A setting is crossed with every point of the space: the product of the grid, and the points that are
written out, each with every draw of the sample. What is set in two of these places at once is
refused, so that no value is overruled without a word.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

from pydantic import (
    NonNegativeInt,
    PositiveInt,
    field_validator,
    model_serializer,
    model_validator,
)

from alsweep.config.base import Frozen
from alsweep.config.distributions import Range, distribution, draw, is_distribution
from alsweep.errors import ConfigError
from alsweep.files import canonical_json
from alsweep.storage.place import spelled

STRATEGY_KEYS = ("strategy", "starting_budget.strategy")
"""Keys whose values are whole strategies."""

SEARCHED = "search.over"
"""Where the keys stand that a search sets."""

_TRIES = (1000, 20)
"""Draws without a new one before a space counts as exhausted: this many, or so many times those
that were found, so that the last of a thousand is not missed but once in 10^8."""

Partial = Mapping[str, Any]
"""Dotted key to value."""


@dataclass(frozen=True)
class Cell:
    """A point of a search space in one of its settings.

    Attributes:
        values: Dotted key to value, as it was written.
        places: Dotted key to where that stands in the YAML.
        setting: Name; None where the search space names no settings.
        dataset: Of the setting; None where that is the search space's.
    """

    values: Partial
    places: Mapping[str, str]
    setting: str | None = None
    dataset: Path | None = None

    @property
    def where(self) -> dict[str, Any]:
        """Values less what is the strategy's or a search's: no other value follows from that."""
        named = {} if self.setting is None else {"setting": self.setting}
        keys = {
            k: v
            for k, v in self.values.items()
            if k.split(".")[0] != "strategy" and not self._searched(k)
        }
        return named | keys

    @property
    def searched(self) -> bool:
        """Whether a search may suggest it."""
        return any(map(self._searched, self.values))

    def _searched(self, key: str) -> bool:
        return self.places.get(key, key).startswith(f"{SEARCHED}.")

    def __str__(self) -> str:
        text = ", ".join(f"{key}={value}" for key, value in self.values.items()) or "base"
        return text if self.setting is None else f"{text} in setting '{self.setting}'"


class SettingConfig(Frozen):
    """A named partial config, written flat: ``{name: amos-low, query.patches: 40}``.

    Attributes:
        values: Dotted key to value; sections may be written as mappings, too.
    """

    name: str
    dataset: Path | None = None
    values: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        own = {key: value[key] for key in ("name", "dataset") if key in value}
        others = {key: inner for key, inner in value.items() if key not in own}
        return own | {"values": partial(others)}

    @field_validator("name")
    @classmethod
    def _name_is_a_line(cls, name: str) -> str:
        if not 0 < len(name) <= 64 or name != name.strip() or not name.isprintable():
            raise ValueError("write 1 to 64 characters that can be printed on one line")
        return name

    @model_serializer
    def _to_flat(self) -> dict[str, Any]:
        own = {} if self.dataset is None else {"dataset": spelled(self.dataset)}
        return {"name": self.name} | own | self.values


class SampleConfig(Frozen):
    """Random search: values that are drawn, the same ones for every setting, point and seed.

    Draw k depends on ``seed``, on its own key and on k alone, before repeats of whole draws are
    left out: a larger ``n`` keeps the first ones.

    Attributes:
        n: How many draws.
        seed: Of the draws; not of trajectories.
        over: Dotted key to a distribution, see :mod:`alsweep.config.distributions`; ``strategy`` is
            a list of strategies, whose parameters may be distributions.
    """

    n: PositiveInt
    seed: NonNegativeInt = 0
    over: dict[str, Any]

    @field_validator("over")
    @classmethod
    def _can_be_drawn(cls, over: dict[str, Any]) -> dict[str, Any]:
        if not over:
            raise ValueError("is empty; write at least one key and what is drawn for it")
        flat = partial(over)
        for key, value in flat.items():
            _check_drawn(key, value)
        return flat

    def draws(self, known: Sequence[Partial] = ()) -> list[Partial]:
        """``n`` draws, of which no two are alike.

        Args:
            known: The first ones as they were written down; drawn again, they would be the same,
                but for what defaults of strategies they leave out.

        Raises:
            ConfigError: There are fewer.
        """
        found: dict[str, Partial] = {}
        index = last = 0
        while len(found) < self.n:
            drawn = {key: draw(value, self.seed, (key,), index) for key, value in self.over.items()}
            if found.setdefault(canonical_json(drawn), drawn) is drawn:
                last = index
            if index - last > max(_TRIES[0], _TRIES[1] * len(found)):
                mend = next(_listed(self.over), f"write n: {len(found)}")
                raise ConfigError(
                    f"sample.n: {self.n} different draws were asked for, but sample.over has only "
                    f"{len(found)}; {mend}"
                )
            index += 1
        return [*known[: self.n], *list(found.values())[len(known) :]]


def _check_drawn(key: str, value: Any) -> None:
    """Refuse what cannot be drawn; ``strategy`` is a list of strategies, or choices of them."""
    try:
        if key not in STRATEGY_KEYS:
            distribution(value)
            return
        found = distribution({"choices": value} if isinstance(value, list | tuple) else value)
        if isinstance(found, Range):
            raise ValueError("write a list of strategies")
        for entry in found.choices:
            _check_entry(entry)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _check_entry(entry: object) -> None:
    """Refuse a distribution within the entry of a strategy that nothing can be drawn from."""
    for key, value in entry.items() if isinstance(entry, Mapping) else ():
        if is_distribution(value):
            try:
                distribution(value)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        else:
            _check_entry(value)


def _listed(over: Partial) -> Iterator[str]:
    """What to write for lists in entries of strategies, where people look for choices."""
    for key in STRATEGY_KEYS:
        value = over.get(key, ())
        for entry in value["choices"] if isinstance(value, Mapping) else value:
            for name, one in entry.items() if isinstance(entry, Mapping) else ():
                if isinstance(one, list | tuple) and name != "plugins":
                    shown = f"{name}: {{choices: [{', '.join(map(str, one))}]}}"
                    yield f"nothing is drawn from a list in {key}, so write {shown}"


def partial(written: Mapping[Any, Any]) -> dict[str, Any]:
    """A partial config as dotted keys: sections may be written as mappings.

    Raises:
        ValueError: A key is written twice, belongs elsewhere, or is a part of a strategy.
    """
    found: dict[str, Any] = {}
    for key, value in sections(written):
        _refuse_elsewhere(key)
        twin = next((other for other in found if overlap(key, other)), None)
        if twin is not None:
            both = f"{key} is written twice" if twin == key else f"{twin} and {key} set one value"
            raise ValueError(f"{both}; leave one of them out")
        found[key] = value
    return found


def sections(written: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of a partial config whose sections may be written as mappings."""
    for key, value in written.items():
        section = isinstance(value, Mapping) and key != "strategy" and not is_distribution(value)
        if section and "." not in str(key):
            yield from ((f"{key}.{inner}", one) for inner, one in value.items())
        else:
            yield str(key), value


def _refuse_elsewhere(key: str) -> None:
    if key in ("seed", "seeds"):
        raise ValueError(f"'{key}' belongs to the top level, as 'seeds'")
    if key == "dataset":
        raise ValueError("'dataset' belongs to the top level, or into a setting")
    for whole in STRATEGY_KEYS:
        if key.startswith(f"{whole}."):
            name = key.removeprefix(f"{whole}.")
            raise ValueError(
                f"{key}: parameters of a strategy stand in its own entry; write "
                f"{whole}: {{name: ..., {name}: ...}}"
            )


def overlap(one: str, other: str) -> bool:
    """Whether two dotted keys set the same value, or one sets a part of the other's."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def refuse_two_ways(homes: Mapping[str, Iterable[str]]) -> None:
    """Refuse one key in two places, of which one would be overruled.

    Args:
        homes: Place in the YAML to the dotted keys that it sets for every trajectory it is crossed
            with; those of the same kind, such as two settings, are never crossed.

    Raises:
        ValueError: There is such a key; names both places.
    """
    for (home, keys), (other, more) in combinations(homes.items(), 2):
        if _kind(home) == _kind(other) or {_kind(home), _kind(other)} == {"grid", "points"}:
            continue
        for key, twin in product(keys, more):
            if overlap(key, twin):
                raise ValueError(
                    f"{home}.{key} and {other}.{twin} both set "
                    f"{min(key, twin, key=len)}; leave one of them out"
                )


def _kind(home: str) -> str:
    return home.split(".")[0]


def expand(
    settings: Sequence[SettingConfig],
    grid: Mapping[str, Sequence[Any]],
    points: Sequence[Partial],
    draws: Sequence[Partial],
    home: str = "sample.over",
) -> Iterator[Cell]:
    """Each setting with each point and each draw, in this order, the last innermost.

    Args:
        settings: None where it is empty: then there is one without a name.
        grid: Dotted key to values; the product of an empty one is a single point, unless there
            are ``points``.
        points: Further points.
        draws: Of the sample; none where it is empty.
        home: Where the keys of the draws stand in the YAML.
    """
    spots = [*_spots(grid, points)]
    drawn = [*_placed(draws, home)] or [({}, {})]
    for setting in settings or (None,):
        named = () if setting is None else _placed([setting.values], f"settings.{setting.name}")
        for parts in product([*named] or [({}, {})], spots, drawn):
            values = {key: value for keys, _ in parts for key, value in keys.items()}
            places = {key: place for _, keys in parts for key, place in keys.items()}
            name, dataset = (None, None) if setting is None else (setting.name, setting.dataset)
            yield Cell(values, places, name, dataset)


_Spot = tuple[Partial, Mapping[str, str]]
"""Keys with their values, and with their places."""


def _spots(grid: Mapping[str, Sequence[Any]], points: Sequence[Partial]) -> Iterator[_Spot]:
    if grid or not points:
        crossed = (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))
        yield from _placed(crossed, "grid")
    for index, point in enumerate(points):
        yield from _placed([point], f"points.{index}")


def _placed(partials: Iterable[Partial], home: str) -> Iterator[_Spot]:
    for one in partials:
        yield one, {key: f"{home}.{key}" for key in one}


def where_it_stands(message: str, cell: Cell) -> str:
    """Name the place of a faulty key that does not stand in base, and the setting at fault."""
    for key, place in cell.places.items():
        if message.startswith((f"base.{key}:", f"base.{key}.")):
            message = place + message.removeprefix(f"base.{key}")
    if cell.setting is None or message.startswith(f"settings.{cell.setting}."):
        return message
    return f"{message} (in setting '{cell.setting}')"
