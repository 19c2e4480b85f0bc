"""What a run's sweep.yaml asks of its report, and of its schedule."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML

from alsweep.config.base import STORED, Frozen
from alsweep.config.report import ReportConfig
from alsweep.config.schedule import ScheduleConfig
from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import RecordError
from alsweep.layout import space_path

T = TypeVar("T", bound=Frozen)


def declared(run: Path) -> ReportConfig:
    """Return the section ``report`` of RUN/sweep.yaml, which has been read as YAML before.

    Raises:
        RecordError: It is not as alsweep writes it.
    """
    return _section(run, "report", ReportConfig)


def declared_schedule(run: Path) -> ScheduleConfig:
    """Return the section ``schedule`` of RUN/sweep.yaml, as :func:`declared` does ``report``."""
    return _section(run, "schedule", ScheduleConfig)


def hour_price(run: Path) -> float | None:
    """Price of an hour of a worker, from ``resources``; one without a GPU counts as one GPU."""
    resources = _section(run, "resources", ResourcesConfig)
    if resources.price_per_gpu_hour is None:
        return None
    return resources.price_per_gpu_hour * (resources.gpus or 1)


def _section(run: Path, name: str, kind: type[T]) -> T:
    path = space_path(run)
    raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    try:
        return kind.model_validate(raw.get(name, {}), context=STORED)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, (name, *first["loc"])))
        raise RecordError(
            f"{path}: {place}: {first['msg']}; run the search space again, which writes the file"
        ) from None
