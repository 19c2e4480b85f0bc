"""What a search suggests from: names, ranges and choices, and configurations made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from alsweep.config.distributions import (
    Choices,
    Distribution,
    Range,
    distribution,
    is_distribution,
)
from alsweep.config.expansion import SEARCHED, STRATEGY_KEYS, Cell, expand
from alsweep.config.search import AUTO, keyed, strategy_entries
from alsweep.config.strategy import StrategySpec
from alsweep.errors import ConfigError, StrategyError
from alsweep.query import make_strategy, strategies
from alsweep.query.base import parameters

if TYPE_CHECKING:
    from alsweep.config.search import SearchConfig
    from alsweep.config.sweep import SweepConfig

Choose = Callable[[str, Distribution], Any]
"""Says which value the parameter of this name has; asked for those alone that there are then."""

Over = Mapping[str, Any]


def with_search_spelled_out(sweep: SweepConfig) -> SweepConfig:
    """A user's search space with all that its search leaves to strategies; a stored one has it.

    Raises:
        ConfigError: See :func:`spelled_out`.
    """
    if sweep.search is None or sweep.provenance is not None:
        return sweep
    return sweep.model_copy(update={"search": spelled_out(sweep.search)})


def spelled_out(search: SearchConfig) -> SearchConfig:
    """The search with all parameters of its strategies, and their ranges for ``auto``.

    Raises:
        ConfigError: None is declared, or a strategy or a parameter is unknown.
    """
    over = {
        key: [_spelled(entry, f"{SEARCHED}.{key}") for entry in strategy_entries(value)]
        if key in STRATEGY_KEYS
        else value
        for key, value in search.over.items()
    }
    return search.model_copy(update={"over": over})


def _spelled(entry: Any, place: str) -> Any:
    """A later alsweep may have other defaults: what has none is the same for all suggestions."""
    entry = _with_ranges(entry, place)
    try:
        spec = StrategySpec.model_validate(_inside(entry, "", lambda _, of: next(_ends(of))))
        full = parameters(make_strategy(spec).resolved())
    except StrategyError as error:
        raise ConfigError(f"{place}: {error}") from error
    if not isinstance(entry, Mapping):
        return {"name": spec.name, **full} if full else spec.name
    return {**{key: entry[key] for key in ("name", "label") if key in entry}, **_over(full, entry)}


def _over(full: Any, written: Any) -> Any:
    """What a value means in full, but for what is suggested in it."""
    if is_distribution(written) or not isinstance(full, Mapping):
        return written
    if not isinstance(written, Mapping):
        return full
    keys = [*full, *(key for key, v in written.items() if key not in full and _suggests(v))]
    return {k: _over(full.get(k), written[k]) if k in written else full[k] for k in keys}


def _suggests(value: Any) -> bool:
    inner = value.values() if isinstance(value, Mapping) else ()
    return is_distribution(value) or any(map(_suggests, inner))


def _with_ranges(entry: Any, place: str) -> Any:
    if not isinstance(entry, Mapping) or AUTO not in entry.values():
        return entry
    name = str(entry.get("name"))
    known = [one for one in strategies() if name in (one["name"], *one["aliases"])]
    if not known:
        return entry  # what is made of it says which there are
    declared = {one["name"]: one for found in known for one in found["parameters"]}
    return {
        parameter: _declared(declared.get(parameter), f"{place}: {name}.{parameter}")
        if value == AUTO and parameter not in ("name", "label")
        else value
        for parameter, value in entry.items()
    }


def _declared(declared: Mapping[str, Any] | None, place: str) -> dict[str, Any]:
    """The range of a parameter as the YAML would have it."""
    if declared is None:
        raise ConfigError(
            f"{place}: auto: the strategy has no such parameter; see 'alsweep strategies'"
        )
    if declared["choices"] is not None:
        return {"choices": list(declared["choices"])}
    if declared["type"] == "bool":
        return {"choices": [False, True]}
    if declared["low"] is None or declared["high"] is None:
        raise ConfigError(f"{place}: auto: no range is declared; write {{low: ..., high: ...}}")
    kind = int if declared["type"] == "int" else float
    ends = {end: kind(declared[end]) for end in ("low", "high")}
    return {**ends, "log": True} if declared["log"] and ends["low"] > 0 else ends


def configuration(over: Over, choose: Choose) -> dict[str, Any]:
    """One configuration: dotted key to value.

    Args:
        over: Of the search, with ranges.
        choose: Is asked for each parameter that the configuration has, in the order of ``over``: a
            strategy's parameters are named after it, and asked for where it has been chosen.
    """
    return {
        key: _strategy(key, value, choose)
        if key in STRATEGY_KEYS
        else choose(key, distribution(value))
        for key, value in over.items()
    }


def _strategy(key: str, value: Any, choose: Choose) -> Any:
    entries = keyed(value)
    name = choose(key, Choices(tuple(entries)))
    chosen: dict[str, Any] = {}

    def heard(parameter: str, found: Distribution) -> Any:
        chosen[parameter.removeprefix(f"{path}.")] = choose(parameter, found)
        return chosen[parameter.removeprefix(f"{path}.")]

    # The strategy itself is the most usual key, whose parameters are named without it.
    path = name if key == STRATEGY_KEYS[0] else f"{key}.{name}"
    entry = _inside(entries[name], path, heard)
    return _labelled(entry, chosen)


def _inside(value: Any, path: str, choose: Choose) -> Any:
    if is_distribution(value):
        return choose(path, distribution(value))
    if not isinstance(value, Mapping):
        return value
    return {key: _inside(one, f"{path}.{key}", choose) for key, one in value.items()}


def _labelled(entry: Any, chosen: Mapping[str, Any]) -> Any:
    """A label stands for one strategy with one set of parameters."""
    if not isinstance(entry, Mapping) or not chosen or entry.get("label") is None:
        return entry
    told = ",".join(f"{name}={value}" for name, value in chosen.items())
    return {**entry, "label": f"{entry['label']}[{told}]"}


def cells(sweep: SweepConfig, values: Mapping[str, Any]) -> list[Cell]:
    """A configuration in each of the settings, at the low rung where it names no other."""
    low = {} if sweep.search is None else sweep.search.low
    return list(expand(sweep.settings or (), {}, (), [{**low, **values}], SEARCHED))


def example_cells(sweep: SweepConfig) -> list[Cell]:
    """The examples of a sweep's search, each in all settings; none where nothing is searched."""
    found = [] if sweep.search is None else examples(sweep.search.over)
    return [cell for values in found for cell in cells(sweep, values)]


def high_cells(sweep: SweepConfig) -> list[Cell]:
    """The first example at the high rung in all settings; none where there is one rung."""
    if sweep.search is None or not sweep.search.fidelity:
        return []
    return cells(sweep, {**examples(sweep.search.over)[0], **sweep.search.high})


def size(over: Over) -> int | None:
    """How many different configurations there are; None where a range has no end of them.

    Args:
        over: Of the search, with ranges.
    """
    sizes = [
        _summed(map(_size_inside, keyed(value).values()))
        if key in STRATEGY_KEYS
        else _size_of(distribution(value))
        for key, value in over.items()
    ]
    return None if None in sizes else prod(one for one in sizes if one is not None)


def _summed(sizes: Iterable[int | None]) -> int | None:
    found = list(sizes)
    return None if None in found else sum(one for one in found if one is not None)


def _size_inside(value: Any) -> int | None:
    if is_distribution(value):
        return _size_of(distribution(value))
    sizes = [_size_inside(one) for one in value.values()] if isinstance(value, Mapping) else []
    return None if None in sizes else prod(one for one in sizes if one is not None)


def _size_of(of: Distribution) -> int | None:
    if isinstance(of, Choices):
        return len(of.choices)
    return int(of.high) - int(of.low) + 1 if of.whole else None


def examples(over: Over) -> list[dict[str, Any]]:
    """Configurations in which each end of a range and each choice is once, the others being first.

    What none of them makes impossible is possible, unless two values go badly together.
    """
    found: list[dict[str, Any]] = []
    asked: list[dict[str, Any]] = [{}]
    seen: set[tuple[str, str]] = set()
    while asked:
        wanted = asked.pop(0)

        def choose(name: str, of: Distribution, wanted: dict[str, Any] = wanted) -> Any:
            first, *others = _ends(of)
            for other in others:
                if (name, repr(other)) not in seen:
                    seen.add((name, repr(other)))
                    # Where it is one strategy's, that has to be chosen for it.
                    asked.append({**wanted, name: other})
            return wanted.get(name, first)

        found.append(configuration(over, choose))
    return found


def _ends(of: Distribution) -> Iterator[Any]:
    yield from (of.low, of.high) if isinstance(of, Range) else of.choices
