"""``alsweep resume``: continue a run after a stop or a crash."""

from pathlib import Path
from typing import Annotated

import typer

from alsweep.cli.options import Address
from alsweep.storage.rooms import to_work_in
from alsweep.sweep.order import ORDER_HELP, Order
from alsweep.sweep.retry import RETRY_HELP, Retry


def resume(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    address: Address = None,
    order: Annotated[Order, typer.Option(help=ORDER_HELP)] = Order.seeds,
    retry: Annotated[Retry, typer.Option(help=RETRY_HELP)] = Retry.failed,
    mix_numerics: Annotated[
        bool,
        typer.Option(
            "--mix-numerics", help="Go on with loops of an alsweep whose numbers are others."
        ),
    ] = False,
) -> int:
    """Continue a run after a stop or a crash: make what is missing of it.

    Example: alsweep resume runs/hippocampus-low
    """
    from alsweep.cli.run import make, tell
    from alsweep.sweep.planning import stored_plan

    with to_work_in(run) as folder:
        plan = stored_plan(folder, tell)
        return make(plan, folder, address, order, mix_numerics=mix_numerics, retry=retry)
