"""Hyper-parameters: declared once, read by YAML validation, CLI, documentation and search."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, field, fields
from difflib import get_close_matches
from typing import Any

from alsweep.errors import StrategyError

Value = float | int | str | bool

_NEUTRAL = "neutral"


def searchable(
    default: Value,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: tuple[Any, ...] | None = None,
    former: tuple[Any, ...] = (),
    help: str,
    neutral: Any = None,
) -> Any:
    """A hyper-parameter field: default, range and help in one place for all who ask.

    Args:
        default: Its type is the type of the parameter; whole numbers do for a float.
        low: Smallest value.
        high: Largest value.
        log: Whether a search should draw on a logarithmic scale.
        choices: All legal values, where they are few.
        former: Values that were choices once: they are read, and offered no more.
        help: One line, with unit.
        neutral: Of a parameter that came after its strategy or stage: the value at which all is as
            it was before. It never changes; ids leave the parameter out at it, and what was stored
            before then means it.
    """
    metadata = {"low": low, "high": high, "log": log, "choices": choices, "help": help}
    later = {} if neutral is None else {_NEUTRAL: neutral}
    told = {**metadata, **later, "former": former, "type": type(default)}
    return field(default=default, metadata=told)


def required(kind: type, *, help: str) -> Any:
    """A parameter that has no sensible default."""
    return field(metadata={"type": kind, "help": help})


def text(*, help: str) -> Any:
    """A parameter of words that may be left out, added at any time: then all is as without it."""
    return field(default="", metadata={"type": str, "help": help, _NEUTRAL: ""})


def same_as(owner: type, name: str, default: Value | None = None) -> Any:
    """The parameter that another class declares, so that range and help are written once.

    Args:
        owner: A dataclass, such as the stage that the parameter is handed to.
        name: Its field.
        default: Another default, where it differs.
    """
    declared = next(f for f in fields(owner) if f.name == name)
    value = declared.default if default is None else default
    return field(default=value, metadata=declared.metadata)


def neutral_values(owner: type) -> dict[str, Any]:
    """What parameters that came later mean where something stored does not name them."""
    return {f.name: f.metadata[_NEUTRAL] for f in fields(owner) if _NEUTRAL in f.metadata}


def telling(made: Any) -> dict[str, Any]:
    """All parameters of a dataclass but those that came later and are neutral."""
    neutral = neutral_values(type(made))
    values = {f.name: getattr(made, f.name) for f in fields(made)}
    return {k: v for k, v in values.items() if k not in neutral or v != neutral[k]}


def checked(owner: type, given: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the given parameters of a dataclass, whole numbers made float where that is the type.

    Args:
        owner: The dataclass that declares them.
        given: Names and values.
        place: What the message begins with.

    Raises:
        StrategyError: A name is unknown or missing, or a value has the wrong type or range.
    """
    known = {f.name: f for f in fields(owner)}
    for name in given:
        if name not in known:
            raise StrategyError(f"{place}: {_unknown(name, list(known))}")
    for name, declared in known.items():
        if name not in given and declared.default is MISSING:
            raise StrategyError(
                f"{place}: parameter '{name}' is missing: {declared.metadata['help']}"
            )
    return {name: _checked_value(place, known[name], value) for name, value in given.items()}


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return f"unknown parameter '{name}'; it takes none"
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"unknown parameter '{name}'; {hint}"


def _checked_value(place: str, declared: "Field[Any]", value: Any) -> Any:
    place = f"{place}: parameter '{declared.name}'"
    expected = _type(declared)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if expected is float and whole:
        # One spelling of a value, one identity of a trajectory.
        value = float(value)
    elif not isinstance(value, expected) or (expected is int and not whole):
        raise StrategyError(f"{place} must be of type {expected.__name__}, got {value!r}")
    choices, low, high = (declared.metadata.get(key) for key in ("choices", "low", "high"))
    former = declared.metadata.get("former", ())
    if choices is not None and value not in choices and value not in former:
        raise StrategyError(f"{place} must be one of {', '.join(map(str, choices))}, got {value!r}")
    if isinstance(value, int | float) and not _inside(value, low, high):
        raise StrategyError(f"{place} must lie in [{low}, {high}], got {value!r}")
    return value


def _inside(value: float, low: float | None, high: float | None) -> bool:
    # Written so that NaN is outside of every range.
    return value == value and not (
        (low is not None and value < low) or (high is not None and value > high)
    )


def _type(declared: "Field[Any]") -> type:
    found = declared.metadata.get("type", type(declared.default))
    assert isinstance(found, type)
    return found


NEEDS = (
    "probs",
    "mean_entropy",
    "embedding",
    "members",
    "gradient",
    "soft_gradient",
    "class_volumes",
    "class_probs",
    "annotated_labels",
    "images",
    "pretrained",
)
"""What a strategy or a stage can read; see :attr:`Strategy.needs`."""

_UNPREDICTED = {"annotated_labels", "images", "pretrained"}


def reads_predictions(needs: Collection[str]) -> bool:
    """Whether something is needed that only a trained network can give."""
    return bool(set(needs) - _UNPREDICTED)


def check_needs(needs: object, place: str) -> None:
    """Refuse needs that nobody could meet.

    Raises:
        StrategyError: They are no tuple, or name what there is not.
    """
    if not isinstance(needs, tuple):
        raise StrategyError(f"{place}: needs must be a tuple such as ('probs',), got {needs!r}")
    for need in needs:
        if need not in NEEDS:
            near = get_close_matches(str(need), NEEDS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(NEEDS)}"
            raise StrategyError(f"{place}: needs name '{need}'; {hint}")


def check_declared(
    owner: type[Any], base: type[Any], place: str, reserved: Collection[str] = ()
) -> None:
    """Refuse a plug-in whose declaration would fail later, and elsewhere.

    Args:
        owner: The plug-in.
        base: What it is one of; its attributes are no parameters.
        place: What the message begins with.
        reserved: More names that are no parameters.

    Raises:
        StrategyError: It is no dataclass, a parameter has a name that is taken or neither default
            nor type, or it needs what there is not.
    """
    if "__dataclass_fields__" not in vars(owner):
        raise StrategyError(f"{place}: put @dataclass(frozen=True) right above its class")
    for declared in fields(owner):
        if declared.name in reserved or hasattr(base, declared.name):
            raise StrategyError(
                f"{place}: '{declared.name}' cannot be the name of a parameter, since it means "
                "something else; rename it"
            )
        if declared.default is MISSING and "type" not in declared.metadata:
            raise StrategyError(
                f"{place}: parameter '{declared.name}' has no default; give it one, or declare it "
                "with required(...)"
            )
    if not isinstance(owner.needs, property):
        check_needs(owner.needs, place)


def described(owner: type) -> list[dict[str, Any]]:
    """All parameters of a dataclass as JSON values."""
    return [_described(declared) for declared in fields(owner)]


def _described(declared: "Field[Any]") -> dict[str, Any]:
    choices = declared.metadata.get("choices")
    return {
        "name": declared.name,
        "type": _type(declared).__name__,
        "default": None if declared.default in (MISSING, "") else declared.default,
        **{key: declared.metadata.get(key) for key in ("low", "high")},
        "log": bool(declared.metadata.get("log", False)),
        "choices": None if choices is None else list(choices),
        "help": declared.metadata.get("help", ""),
    }


def off_default(made: Any) -> str:
    """The parameters off their default as ``beta=5,kind=b``; empty where there are none."""
    values = {f.name: (getattr(made, f.name), f.default) for f in fields(made)}
    return ",".join(f"{name}={_short(v)}" for name, (v, default) in values.items() if v != default)


def _short(value: Value) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def adaptation(owner: type) -> str:
    """What stands behind ``Adapted:`` in a class's docstring: how it departs from its source."""
    text = " ".join((owner.__doc__ or "").split())
    return text.partition("Adapted:")[2].partition("Source:")[0].strip()


def doc_parts(owner: type) -> tuple[str, str]:
    """First line of a class's docstring, and what stands behind ``Source:`` in it."""
    lines = (owner.__doc__ or "").strip().splitlines()
    text = " ".join(line.strip() for line in lines[1:])
    return (lines[0] if lines else ""), text.partition("Source:")[2].strip()
