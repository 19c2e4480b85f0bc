"""``--set PATH=VALUE``: changes of raw YAML, and refusals of those that would do nothing."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from alsweep.config.expansion import sections
from alsweep.errors import ConfigError

ENDLESS = "nested too deeply, or an alias (*name) stands inside what it names; write it out flat"
"""What to say of YAML that has no end."""


@dataclass(frozen=True)
class Override:
    """One ``PATH=VALUE``.

    Attributes:
        written: As the user wrote it.
        path: Dotted, from the YAML root.
        text: The value as written.
        value: The value, parsed as YAML.
    """

    written: str
    path: str
    text: str
    value: Any

    @classmethod
    def parse(cls, written: str) -> "Override":
        """Read one.

        Raises:
            ConfigError: There is no ``=``, the path has a list's index, or the value is no YAML.
        """
        path, equals, text = written.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {written}: write PATH=VALUE, e.g. base.training.epochs=2")
        whole = _before_index(path)
        if whole != path:
            mend = shlex.quote(f"{whole}=[...]")
            raise ConfigError(f"--set {written}: a list is set as a whole; write --set {mend}")
        try:
            value = YAML(typ="safe", pure=True).load(text)
        except YAMLError:
            raise ConfigError(f"--set {written}: the value is not valid YAML; quote it") from None
        except RecursionError:
            raise ConfigError(f"--set {path}: {ENDLESS}") from None
        return cls(written, path, text, value)

    @property
    def keys(self) -> list[str]:
        """The path split at its dots; below ``grid`` the rest is one key, being dotted itself."""
        first, _, rest = self.path.partition(".")
        return [first, rest] if first == "grid" and rest else self.path.split(".")

    def apply(self, raw: dict[str, Any]) -> None:
        """Set the key.

        Raises:
            ConfigError: The path runs through something that is no mapping, or names a setting
                that is not there.
        """
        if self.path.startswith("settings."):
            self._apply_to_setting(raw)
            return
        *parents, last = self.keys
        target = raw
        for index, parent in enumerate(parents):
            inner = target.get(parent)
            if inner is None:
                inner = target[parent] = {}
            if not isinstance(inner, dict):
                raise self._no_mapping(parents[: index + 1], inner)
            target = inner
        target[last] = self.value

    def _apply_to_setting(self, raw: dict[str, Any]) -> None:
        """``settings.NAME.KEY``: settings are a list, but each has a name, which may have dots."""
        rest, named = self.path.removeprefix("settings."), named_settings(raw)
        name = max((n for n in named if rest.startswith(f"{n}.")), key=len, default=None)
        if name is None:
            known = ", ".join(named) or "none"
            raise ConfigError(
                f"--set {self.written}: there is no such setting; write settings.NAME.KEY=VALUE, "
                f"NAME one of: {known}"
            )
        key = rest.removeprefix(f"{name}.")
        section, _, inner = key.partition(".")
        if inner and isinstance(named[name].get(section), dict):
            named[name][section][inner] = self.value
        else:
            named[name][key] = self.value

    def _no_mapping(self, parents: Sequence[str], found: object) -> ConfigError:
        """A strategy is often a bare name, so that its parameters have nowhere to go."""
        whole = f"{{name: {found}, {self.keys[-1]}: {self.text}}}"
        if parents[-1] != "strategy" or not isinstance(found, str):
            whole = "[...]" if isinstance(found, list) else "{...}"
        mend = shlex.quote(f"{'.'.join(parents)}={whole}")
        return ConfigError(
            f"--set {self.written}: '{parents[-1]}' is not a mapping; write --set {mend}"
        )


def named_settings(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of raw YAML by name, as far as they have one."""
    listed = raw.get("settings")
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {str(one["name"]): one for one in found if "name" in one}


def _before_index(path: str) -> str:
    """The path up to the first part that is a number; below settings there are names."""
    parts = path.split(".")
    if parts[0] == "settings" and len(parts) > 2:
        return path
    first = next((i for i, part in enumerate(parts) if part.isdigit()), len(parts))
    return ".".join(parts[:first])


def apply_overrides(raw: dict[str, Any], written: Sequence[str]) -> None:
    """Change raw YAML by all overrides in turn.

    Raises:
        ConfigError: One cannot be set, or would do nothing: a later one replaces it, or it sets in
            base what grid, settings, points or sample set for every trajectory; or alsweep wrote
            the YAML, and has written out what would have to follow from it.
    """
    overrides = [Override.parse(one) for one in written]
    for override in overrides:
        before = _presets(raw)
        override.apply(raw)
        _refuse_recorded(override, raw, before)
    for index, override in enumerate(overrides):
        _refuse_replaced(override, overrides[index + 1 :])
        _refuse_idle(override, raw)


def _refuse_replaced(override: Override, later: Sequence[Override]) -> None:
    for other in later:
        if override.path.startswith(f"{other.path}."):
            raise ConfigError(
                f"--set {override.written}: does nothing, since --set {other.written} after it "
                f"replaces the whole of {other.path}; write it first"
            )


def _refuse_idle(override: Override, raw: Mapping[str, Any]) -> None:
    first, _, key = override.path.partition(".")
    if first != "base":
        return
    for axis, (who, mend) in _set_for_all(raw).items():
        for text in _hidden(key, override, axis):
            written = shlex.quote(mend.format(axis=axis, text=text))
            raise ConfigError(
                f"--set {override.written}: does nothing, since {who} {axis} for every "
                f"trajectory; write --set {written}"
            )


def _refuse_recorded(
    override: Override, raw: Mapping[str, Any], before: tuple[set[str], set[str]]
) -> None:
    """Refuse what a resolved sweep says in words alone: what it means is written out in full."""
    origin = raw.get("provenance")
    if not isinstance(origin, Mapping):
        return
    (base, crossed), (old_base, old_crossed) = _presets(raw), before
    first, _, key = override.path.partition(".")
    implied = [one.get("base", {}) for one in origin.get("implied") or ()]
    if first == "sample" and origin.get("draws") and key != "n":
        why = "the draws that the run was begun with are written down"
    elif base != old_base or crossed - old_crossed:
        why = "all that the preset of before means is written down beside its name"
    elif first == "base" and any([*_hidden(key, override, k)] for one in implied for k in one):
        why = "what each point of the grid implies is written down, and goes before base"
    else:
        return
    raise ConfigError(
        f"--set {override.written}: does not mean here what it says, since {why}; write it into "
        "your own search space and run that with --out RUN"
    )


def _presets(raw: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Training presets that base names, and those of settings, grid and points."""
    grid, sample, points = raw.get("grid"), raw.get("sample"), raw.get("points")
    over = sample.get("over") if isinstance(sample, Mapping) else None
    crossed = [*named_settings(raw).values(), *(points if isinstance(points, list) else ())]
    for axes in (grid, over):
        for key, values in axes.items() if isinstance(axes, Mapping) else ():
            listed = values.get("choices") if isinstance(values, Mapping) else values
            crossed += [{key: value} for value in listed] if isinstance(listed, list) else []
    return _named_presets([raw.get("base")]), _named_presets(crossed)


def _named_presets(partials: Sequence[object]) -> set[str]:
    flats = [dict(sections(one)) for one in partials if isinstance(one, Mapping)]
    return {str(flat["training.preset"]) for flat in flats if "training.preset" in flat}


def _set_for_all(raw: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Dotted key to who sets it for every trajectory, and what to write in place of base."""
    grid, sample = raw.get("grid"), raw.get("sample")
    over = sample.get("over") if isinstance(sample, Mapping) else None
    points = () if grid else raw.get("points")
    found: dict[str, tuple[str, str]] = {}
    for keys, who, mend in (
        (grid if isinstance(grid, Mapping) else (), "the grid sets", "grid.{axis}=[{text}]"),
        (
            _in_all([*named_settings(raw).values()]),
            "all settings set",
            "settings.NAME.{axis}={text}",
        ),
        (_in_all(points), "all points set", "points=[...]"),
        (over if isinstance(over, Mapping) else (), "the sample sets", "sample.over={{...}}"),
    ):
        found |= {str(key): (who, mend) for key in keys}
    return found


def _in_all(partials: object) -> list[str]:
    """Keys that each of several partial configs sets."""
    listed = partials if isinstance(partials, list) else []
    flats = [dict(sections(one)) if isinstance(one, Mapping) else {} for one in listed]
    return [key for key in flats[0] if all(key in flat for flat in flats)] if flats else []


def _hidden(key: str, override: Override, axis: str) -> Iterator[str]:
    """What of an override of ``base.key`` a grid axis overrides in turn, as the axis' one value."""
    if key == axis:
        yield override.text
    elif key.startswith(f"{axis}."):
        yield "..."
    elif not key or axis.startswith(f"{key}."):
        value = override.value
        for part in axis.removeprefix(f"{key}.").split("."):
            if not isinstance(value, Mapping) or part not in value:
                return
            value = value[part]
        yield str(value) if isinstance(value, (str, int, float)) else "..."
