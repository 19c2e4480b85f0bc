"""What readers need of RUN/sweep.yaml: name, datasets and trajectories; the rest is the sweep's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RunFolderError
from alsweep.layout import space_path

if TYPE_CHECKING:
    from alsweep.config.provenance import Provenance
    from alsweep.config.sweep import SweepConfig


@dataclass(frozen=True)
class Ground:
    """What trajectories stand on: a dataset, and the named setting that is on it.

    Attributes:
        setting: Name; None where the sweep names no settings.
        key: Where the dataset stands in sweep.yaml.
        dataset: Where that lies now; a trajectory's config may still name an earlier place.
        dataset_fingerprint: Of its content.
        trajectories: Ids; those that were added while the sweep ran are not among them.
    """

    setting: str | None
    key: str
    dataset: Path
    dataset_fingerprint: str
    trajectories: frozenset[str]

    def bears(self, id_: str, config: TrajectoryConfig | None) -> bool:
        """Whether a trajectory is one of these, or of the same dataset."""
        if id_ in self.trajectories:
            return True
        return config is not None and config.trajectory_id(self.dataset_fingerprint) == id_


@dataclass(frozen=True)
class Begun:
    """A sweep as it was begun.

    Attributes:
        name: Of the sweep.
        ids: Of its trajectories, in order.
        grounds: One for each setting, in order; one without a name where there are none.
        varied: Dotted keys that grid, points, sample and search set.
        added: Id to the name of its setting, of what was added while the sweep ran.
    """

    name: str
    ids: tuple[str, ...]
    grounds: tuple[Ground, ...]
    varied: tuple[str, ...] = ()
    added: Mapping[str, str] = field(default_factory=dict)

    def ground(self, id_: str, config: TrajectoryConfig | None) -> Ground:
        """What a trajectory stands on; what was added is told by its setting, or its config."""
        told_of = self.added.get(id_)
        listed = (
            one
            for one in self.grounds
            if id_ in one.trajectories or (told_of is not None and told_of == one.setting)
        )
        told = (one for one in self.grounds if one.bears(id_, config))
        return next(listed, None) or next(told, self.grounds[0])


def read_begun(run: Path) -> Begun:
    """Read what a sweep was begun as.

    Raises:
        RunFolderError: ``run`` is no run folder, or its sweep.yaml was not written by alsweep.
    """
    path = space_path(run)
    raw = _read(path)
    try:
        begun = raw["provenance"]
        ids = tuple(str(id_) for id_ in begun["trajectories"])
        return Begun(str(raw["name"]), ids, _grounds(raw, begun, ids), _varied(raw))
    except (AttributeError, KeyError, TypeError):
        raise RunFolderError(
            f"{path}: no 'name', 'dataset', 'provenance.dataset_fingerprint' and "
            "'provenance.trajectories' in it; make the run again with 'alsweep run'"
        ) from None


def begun_as(sweep: SweepConfig, origin: Provenance) -> Begun:
    """The same as :func:`read_begun`, for who has read and validated the sweep.yaml already.

    Args:
        sweep: Of a run folder.
        origin: Its provenance.
    """
    keys = [*sweep.grid, *(key for point in sweep.points or () for key in point)]
    keys += [key for part in (sweep.sample, sweep.search) if part for key in part.over]
    return Begun(sweep.name, origin.trajectories, _grounds_of(sweep, origin), _once(keys))


def _grounds_of(sweep: SweepConfig, origin: Provenance) -> tuple[Ground, ...]:
    own = {one.name for one in sweep.settings or () if one.dataset is not None}
    named = tuple(
        Ground(
            setting=one.name,
            key=f"settings.{one.name}.dataset" if one.name in own else "dataset",
            dataset=sweep.dataset_of(one.name),
            dataset_fingerprint=one.dataset_fingerprint,
            trajectories=frozenset(one.trajectories),
        )
        for one in origin.settings
    )
    print_, ids = origin.dataset_fingerprint or "", frozenset(origin.trajectories)
    return named or (Ground(None, "dataset", sweep.dataset_of(None), print_, ids),)


def _once(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(str, dict.fromkeys(keys)))


def _read(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunFolderError(
            f"{path.parent}: no sweep.yaml in it; name a run folder that 'alsweep run' wrote"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path}: cannot be read as text ({error}); restore it, or make the run again with "
            "'alsweep run'"
        ) from None
    except YAMLError as error:
        raise RunFolderError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None


def _varied(raw: Mapping[str, Any]) -> tuple[str, ...]:
    points = [key for point in raw.get("points") or () for key in point]
    over = [key for part in ("sample", "search") for key in (raw.get(part) or {}).get("over") or ()]
    return _once([*(raw.get("grid") or ()), *points, *over])


def _grounds(
    raw: Mapping[str, Any], begun: Mapping[str, Any], ids: tuple[str, ...]
) -> tuple[Ground, ...]:
    recorded = begun.get("settings") or ()
    if not recorded:
        print_ = str(begun["dataset_fingerprint"])
        return (Ground(None, "dataset", Path(raw["dataset"]), print_, frozenset(ids)),)
    written = {str(setting["name"]): setting for setting in raw["settings"]}
    return tuple(_ground(raw, one, written[str(one["name"])]) for one in recorded)


def _ground(
    raw: Mapping[str, Any], recorded: Mapping[str, Any], written: Mapping[str, Any]
) -> Ground:
    name, own = str(recorded["name"]), "dataset" in written
    return Ground(
        setting=name,
        key=f"settings.{name}.dataset" if own else "dataset",
        dataset=Path(written["dataset"] if own else raw["dataset"]),
        dataset_fingerprint=str(recorded["dataset_fingerprint"]),
        trajectories=frozenset(map(str, recorded["trajectories"])),
    )
