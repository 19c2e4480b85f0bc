"""One loop's files: its record, and the query that its training is based on."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from alsweep.config.base import STORED, Frozen, Name
from alsweep.errors import RecordError
from alsweep.files import read_json, write_bytes, write_json
from alsweep.geometry import Patch, QueriedPatch, Triple
from alsweep.layout import record_path

Model = TypeVar("Model", bound=BaseModel)

_MEND = "restore the file, or move it elsewhere and resume the run, which makes it again"


class SurfaceScores(Frozen):
    """How far predicted surfaces are from the reference's; None where undefined.

    Means are over the cases in which a value is defined, then over foreground classes.

    Attributes:
        surface_dice: Normalised surface Dice, in 0..1; 0 in a case where the class is in one of the
            two label maps alone.
        hd95: 95th percentile of the distances, mm; undefined in a case unless both have the class.
        class_surface_dice: By foreground class name.
        class_hd95: By foreground class name.
        case_surface_dice: By case, then class.
        case_hd95: By case, then class.
    """

    surface_dice: float | None
    hd95: float | None
    class_surface_dice: dict[str, float | None]
    class_hd95: dict[str, float | None]
    case_surface_dice: dict[str, dict[str, float | None]]
    case_hd95: dict[str, dict[str, float | None]]


class PartScores(Frozen):
    """How an ensemble did on one part of a dataset; see the fields of :class:`LoopRecord`."""

    mean_dice: float | None
    dice: dict[str, float | None]
    case_dice: dict[str, dict[str, float | None]]
    surface: SurfaceScores | None = None


class HumanEffort(Frozen):
    """What labelling took people, as far as it is known: sums over the annotated patches.

    Attributes:
        minutes: Of all who labelled.
        prompts: To interactive tools.
        corrections: Voxels that differ from the prediction that was shown.
        timed_patches: Patches of which the minutes are known.
    """

    minutes: float
    prompts: int
    corrections: int
    timed_patches: int


class LoopRecord(Frozen):
    """What one loop did: counts cumulative at its training, fractions in 0..1, times in seconds.

    Attributes:
        loop: From 0.
        dataset: Name of the Dataset.
        setting: Hash of everything but strategy and seed.
        start_hash: First 12 hex digits of the hash of the starting budget.
        foreground_fraction: Annotated share of all foreground voxels in the pool; None where a case
            of the pool has no reference labels.
        background_patches: How many of the annotated patches hold no foreground and are as dark as
            what is round the body; see ``trajectory.background``. None in older records.
        mean_dice: Mean over the foreground classes that the validation cases have; None where
            undefined.
        dice: Foreground class name to its mean over validation cases; None where undefined.
        case_dice: Validation case to class name to Dice; None where a class is absent from both
            label maps.
        agreement: Mean Dice between members on pool cases, where nobody validates: a proxy that
            says how sure an ensemble is, not how right. None elsewhere.
        effort: What the labels took people; None where nobody was asked.
        pool_cases: Cases of the pool, which a query looks at; None in older records.
        train_seconds: Summed over members, those trained side by side and tries that were killed
            included.
        surface: On the validation cases, where ``evaluation.surface`` asks for it.
        test: On the test cases; None where there are none. Nothing is ever decided by it.
        cached_members: Members that were found stored, so that no time was spent on them; all, with
            0 seconds throughout, where a loop was taken over from a trajectory with another number
            of loops, whose record has what it took. Which of
            several trajectories finds one that they share, and which makes it, is a matter of
            timing, like the seconds: a repeated sweep may count otherwise.
        threads: Of torch, for predicting.
        training_threads: Of torch, for each member's training; None in older records.
        members: Keys of the members in the run's models folder.
        version: Of the alsweep that made the loop; None where it was before records told.
        numerics: Its :data:`~alsweep.trajectory.numerics.NUMERICS`; None likewise.
        pretraining: Names what the members began with; None where that was random. All trajectories
            that share it name it alike.
        pretrain_seconds: What it took, once, whoever made it; no part of ``train_seconds``.
    """

    schema_version: Literal[1] = 1
    loop: int
    dataset: str
    setting: str
    start_hash: str
    annotated_patches: int
    annotated_voxels: int
    foreground_voxels: int
    foreground_fraction: float | None
    annotated_cases: int
    background_patches: int | None = None
    pool_cases: int | None = None
    mean_dice: float | None
    dice: dict[str, float | None]
    case_dice: dict[str, dict[str, float | None]]
    surface: SurfaceScores | None = None
    test: PartScores | None = None
    agreement: float | None = None
    effort: HumanEffort | None = None
    train_seconds: float
    evaluate_seconds: float
    query_seconds: float
    cached_members: int
    threads: int
    training_threads: int | None = None
    device: str
    precision: str
    members: tuple[Name, ...]
    version: str | None = None
    numerics: int | None = None
    pretraining: str | None = None
    pretrain_seconds: float | None = None

    @property
    def taken_over(self) -> bool:
        """Whether a trajectory with another number of loops made it: nothing was done for it."""
        return self.train_seconds + self.evaluate_seconds + self.query_seconds == 0.0

    @property
    def query_seconds_per_case(self) -> float | None:
        """Of a query for each case of the pool; None without a query, and in older records."""
        if not self.pool_cases or not self.query_seconds:
            return None
        return self.query_seconds / self.pool_cases

    def write(self, folder: Path) -> Path:
        """Write the record into a trajectory folder, atomically; returns its path."""
        path = record_path(folder, self.loop)
        write_json(path, self.plain())
        return path

    @classmethod
    def read(cls, path: Path) -> "LoopRecord":
        """Read one record.

        Raises:
            RecordError: The file is missing or not a LoopRecord of this version.
        """
        return read_model(cls, path)


class _PatchEntry(Frozen):
    case: str
    start: Triple
    size: Triple
    score: float | None = None


class _QueryFile(Frozen):
    loop: int
    patches: tuple[_PatchEntry, ...]


def write_query(path: Path, loop: int, patches: Iterable[QueriedPatch]) -> None:
    """Write a query file, atomically, one patch a line, so that equal queries are equal bytes.

    Args:
        path: See :func:`alsweep.layout.query_path`.
        loop: The training before which the patches are annotated.
        patches: In the order in which they were queried.
    """
    lines = [json.dumps(_entry(p).plain(), ensure_ascii=False, allow_nan=False) for p in patches]
    body = "\n  " + ",\n  ".join(lines) + "\n" if lines else ""
    write_bytes(path, f'{{"loop": {loop}, "patches": [{body}]}}\n'.encode())


def _entry(queried: QueriedPatch) -> _PatchEntry:
    patch = queried.patch
    return _PatchEntry(case=patch.case, start=patch.start, size=patch.size, score=queried.score)


def read_query(path: Path) -> list[QueriedPatch]:
    """Return the patches of a query file, in the order in which they were queried.

    Raises:
        RecordError: The file is missing or not a query file.
    """
    entries = read_model(_QueryFile, path).patches
    return [QueriedPatch(Patch(e.case, e.start, e.size), e.score) for e in entries]


def read_model(model: type[Model], path: Path, mend: str = _MEND) -> Model:
    """Read a JSON file into ``model``; every way to fail becomes one line that names the file.

    Args:
        model: What alsweep wrote.
        path: The file.
        mend: What helps where it is missing or broken.
    """
    try:
        return model.model_validate(read_json(path), context=STORED)
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file; {mend}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise RecordError(
                f"{path}: {place}: unknown to this alsweep, so that a newer one wrote the file; "
                "upgrade alsweep"
            ) from None
        raise RecordError(f"{path}: {place}: {first['msg']}; {mend}") from None
    except ValueError as error:
        raise RecordError(f"{path}: not valid JSON ({error}); {mend}") from None
