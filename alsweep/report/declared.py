"""What a run's sweep.yaml asks of its report."""

from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML

from alsweep.config.base import STORED
from alsweep.config.report import ReportConfig
from alsweep.errors import RecordError
from alsweep.layout import space_path


def declared(run: Path) -> ReportConfig:
    """Return the section ``report`` of RUN/sweep.yaml, which has been read as YAML before.

    Raises:
        RecordError: It is not as alsweep writes it.
    """
    path = space_path(run)
    raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    try:
        return ReportConfig.model_validate(raw.get("report", {}), context=STORED)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("report", *first["loc"])))
        raise RecordError(
            f"{path}: {place}: {first['msg']}; run the search space again, which writes the file"
        ) from None
