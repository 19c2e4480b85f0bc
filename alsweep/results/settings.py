"""Names of settings for people: unique, and never what rows are grouped by."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.files import canonical_json
from alsweep.results.begun import Ground
from alsweep.results.records import RunFolder

TIMES = "\u00d7"

_ALWAYS = ("query.patch_size", "query.patches")
"""What the name of a setting says that has none of its own, whether it varies or not."""


@dataclass(frozen=True)
class Setting:
    """A setting and what may stand in its name.

    Attributes:
        hash: What tables call it, and group by.
        dataset: Name of the Dataset.
        values: Dotted key to value of all that makes it up, dataset apart.
        varied: Dotted keys that its search space varies; their values come into names first.
        name: What its search space calls it, or None.
        fingerprint: Of the Dataset; tells two of one name apart.
    """

    hash: str
    dataset: str
    values: Mapping[str, Any]
    varied: Collection[str] = ()
    name: str | None = None
    fingerprint: str = ""


def setting_names(settings: Iterable[Setting]) -> dict[str, str]:
    """Name settings: as their search space does, else by dataset and by what the grid varies.

    Where that gives two of them one name, all that differs between these is added; where nothing
    does that a config knows of, a part of the hash.

    Returns:
        Hash to name, in the order given; the first word on a hash counts. No two names are equal.
    """
    known: dict[str, Setting] = {}
    for setting in settings:
        known.setdefault(setting.hash, setting)
    shown = _datasets_told_apart(list(known.values()))
    families: dict[str | None, list[Setting]] = defaultdict(list)
    for setting in shown:
        families[setting.name].append(setting)
    names = {s.hash: _name(s, family) for family in families.values() for s in family}
    for alike in _sharing(names):
        members = [s for s in shown if s.hash in alike]
        names |= {s.hash: _longer_name(names[s.hash], s, members) for s in members}
    return told_apart({hash_: names[hash_] for hash_ in known})


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Add a part of the hash to names that several settings bear, so that no two are equal.

    Args:
        names: Hash of each setting to its name.
    """
    apart = dict(names)
    length = 6
    while shared := _sharing(apart):
        for alike in shared:
            apart |= {hash_: f"{apart[hash_]} ({hash_[-length:]})" for hash_ in alike}
        length += max(map(len, names))
    return apart


def named_settings(runs: Iterable[RunFolder]) -> dict[str, str]:
    """Name the settings that the records of runs tell of, in the order of the runs.

    Returns:
        What records call a setting to its name; see :func:`setting_names`.
    """
    found: dict[str, Setting] = {}
    for run in runs:
        begun = {one.id: one for one in run.trajectories if one.records}
        settings = settings_of(run, {i: one.config for i, one in begun.items() if one.config})
        for id_, setting in settings.items():
            for record in begun[id_].records:
                found.setdefault(record.setting, setting)
    names = setting_names(found.values())
    return told_apart({told: names[setting.hash] for told, setting in found.items()})


def settings_of(run: RunFolder, configs: Mapping[str, TrajectoryConfig]) -> dict[str, Setting]:
    """The settings of trajectories, called by the hash that a config has on the run's dataset.

    Args:
        run: Has the trajectories.
        configs: Of trajectories, by id; they need not have begun.

    Returns:
        By id, in the order of the run.
    """
    names = _dataset_names(run)
    # What differs in strategy or seed alone is of one setting, of which a sweep has few.
    known: dict[tuple[str, str, Ground], Setting] = {}
    found: dict[str, Setting] = {}
    for one in run.trajectories:
        if (config := configs.get(one.id)) is None:
            continue
        ground = run.ground(one)
        name = one.records[0].dataset if one.records else names[ground.dataset_fingerprint]
        plain = config.model_dump(mode="json", exclude={"strategy", "seed", "dataset"})
        key = canonical_json(plain), name, ground
        if key not in known:
            known[key] = _setting(run, config, name, ground)
        found[one.id] = known[key]
    return found


def _dataset_names(run: RunFolder) -> dict[str, str]:
    """Fingerprint to name; where nothing is finished, the folder is all that is known of it."""
    names: dict[str, str] = {}
    for one in run.trajectories:
        if one.records:
            names.setdefault(run.ground(one).dataset_fingerprint, one.records[0].dataset)
    for one in run.trajectories:
        ground = run.ground(one)
        names.setdefault(ground.dataset_fingerprint, ground.dataset.name)
    return names


def _setting(run: RunFolder, config: TrajectoryConfig, dataset: str, ground: Ground) -> Setting:
    plain = config.model_dump(mode="json", exclude={"strategy", "seed", "dataset"})
    return Setting(
        hash=config.setting_hash(ground.dataset_fingerprint),
        dataset=dataset,
        values=dict(_flat(plain)),
        varied=run.begun.varied,
        name=ground.setting,
        fingerprint=ground.dataset_fingerprint,
    )


def phrase(key: str, value: Any) -> str:
    """A dotted key and its value in words."""
    text = TIMES.join(map(str, value)) if isinstance(value, list) else str(value)
    if key == "query.patch_size":
        return f"{text} voxels"
    return f"{text} patches a query" if key == "query.patches" else f"{key} {text}"


def joined(parts: Iterable[str]) -> str:
    """One name of several parts."""
    return " · ".join(parts)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _datasets_told_apart(settings: Sequence[Setting]) -> list[Setting]:
    """The same settings; datasets of one name and unlike content bear a part of it."""
    contents: dict[str, set[str]] = defaultdict(set)
    for setting in settings:
        contents[setting.dataset].add(setting.fingerprint)
    return [
        replace(s, dataset=f"{s.dataset} (fingerprint {s.fingerprint[:6]})")
        if len(contents[s.dataset]) > 1
        else s
        for s in settings
    ]


def _name(setting: Setting, family: Sequence[Setting]) -> str:
    """The name that a setting has for what the grids of its family vary."""
    varied = {key for one in family for key in one.varied}
    asked = [k for k in _differing(family) if any(k == g or k.startswith(f"{g}.") for g in varied)]
    always = () if setting.name is not None else _ALWAYS
    keys = [*always, *(key for key in asked if key not in always)]
    return joined([setting.name or setting.dataset, *_phrases(setting, keys)])


def _longer_name(name: str, setting: Setting, alike: Sequence[Setting]) -> str:
    """The name with all that differs between the settings that bear it."""
    several = len({one.dataset for one in alike}) > 1
    parts = [name, setting.dataset] if several else [name]
    return joined([*parts, *_phrases(setting, _differing(alike))])


def _phrases(setting: Setting, keys: Iterable[str]) -> list[str]:
    # A part that one setting leaves out, such as evaluation.surface, has no keys below it there.
    return [phrase(key, setting.values[key]) for key in keys if key in setting.values]


def _differing(settings: Sequence[Setting]) -> list[str]:
    """Keys of which not all settings have the same value, in the order of the configs."""
    every = dict.fromkeys(key for setting in settings for key in setting.values)
    return [k for k in every if len({str(s.values.get(k)) for s in settings}) > 1]


def _sharing(names: Mapping[str, str]) -> list[list[str]]:
    """Hashes that bear one name with others."""
    bearers: dict[str, list[str]] = defaultdict(list)
    for hash_, name in names.items():
        bearers[name].append(hash_)
    return [hashes for hashes in bearers.values() if len(hashes) > 1]
