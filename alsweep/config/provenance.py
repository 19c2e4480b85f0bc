"""Where a resolved sweep comes from."""

from typing import Any

from pydantic import Field

from alsweep.config.base import Frozen, Name, added

SCHEMA_VERSION = 3
"""Of RUN/sweep.yaml; an older one means for ever what it meant. 2: what presets imply is written
out where the grid varies them. 3: settings, each on a dataset of its own, points and samples."""


class Implied(Frozen):
    """What a point of the grid means beyond its own keys, such as all that a preset sets.

    Attributes:
        where: The point, without the strategy: dotted key to value.
        base: Dotted key to value.
    """

    where: dict[str, Any]
    base: dict[str, Any]


class RecordedSetting(Frozen):
    """What a named setting was when it was resolved.

    Attributes:
        name: Of the setting.
        dataset_fingerprint: Of the dataset that it is on.
        trajectories: Ids, in the order of points and seeds.
    """

    name: str
    dataset_fingerprint: str
    trajectories: tuple[str, ...]


class Provenance(Frozen):
    """Where a resolved sweep comes from; written into RUN/sweep.yaml by alsweep alone.

    Attributes:
        dataset_fingerprint: Of the one dataset; None where settings are on several.
        settings: Where there are named ones; they hold all trajectories.
        draws: Of the sample, with all that they mean.
        study: Name of the search's study.
    """

    version: str
    schema_version: int = added(SCHEMA_VERSION, neutral=1)
    dataset_fingerprint: str | None
    trajectories: tuple[Name, ...] = Field(description="ids: settings, points, seeds innermost")
    implied: tuple[Implied, ...] = added((), neutral=())
    settings: tuple[RecordedSetting, ...] = added((), neutral=())
    draws: tuple[dict[str, Any], ...] = added((), neutral=())
    study: str | None = added(None, neutral=None)

    def fingerprint_of(self, setting: str | None) -> str | None:
        """Of the dataset that a setting is on; None where the setting was not there then."""
        if setting is None:
            return self.dataset_fingerprint
        named = (one.dataset_fingerprint for one in self.settings if one.name == setting)
        return next(named, None)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of all datasets, each once."""
        found = [self.dataset_fingerprint, *(one.dataset_fingerprint for one in self.settings)]
        return tuple(dict.fromkeys(print_ for print_ in found if print_ is not None))
