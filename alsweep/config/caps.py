"""What a sweep may use before it stops; never part of a result's identity."""

from pydantic import PositiveFloat

from alsweep.config.base import Frozen, added

CAPS = ("gpu_hours", "hours", "disk_gib", "money")
"""In the order in which they are looked at."""


class CapsConfig(Frozen):
    """Each is a bound at which the sweep ends with its next loops; None is no bound.

    Attributes:
        gpu_hours: Time of workers times their GPUs, in all calls on the run folder. Without GPUs
            (``resources.gpus: 0``) each worker counts as one.
        hours: Of this call.
        disk_gib: What the run folder takes up.
        money: ``gpu_hours`` at ``resources.price_per_gpu_hour``, in whatever currency that is.
    """

    gpu_hours: PositiveFloat | None = added(None, neutral=None)
    hours: PositiveFloat | None = added(None, neutral=None)
    disk_gib: PositiveFloat | None = added(None, neutral=None)
    money: PositiveFloat | None = added(None, neutral=None)

    @property
    def bounds(self) -> dict[str, float]:
        """The caps that there are, by name."""
        values = {name: getattr(self, name) for name in CAPS}
        return {name: value for name, value in values.items() if value is not None}
