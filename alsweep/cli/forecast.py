"""What a dry run says beside its table: all that the run would warn of or refuse."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig, SweepConfig


def foretell(run: Path, sweep: "SweepConfig", *, private: bool, busy: bool) -> None:
    """Warn of what the run would warn of; ``busy`` says that there is anything to do.

    Raises:
        ConfigError: Ray could never give a worker what it needs, or W&B does not know the user.
    """
    from alsweep.sweep.environment import refuse_too_many_cpus
    from alsweep.sweep.run_folder import active_driver

    if busy and private:
        refuse_too_many_cpus(sweep.resources)
        _warn_of_idle_cards(sweep.resources)
    driver = active_driver(run)
    if driver is not None:
        _warn(f"another alsweep ({driver}) is at work in {run}; a run is refused until it ends")


def check_wandb(sweep: "SweepConfig") -> None:
    """Check the mode, and the login where nobody could be asked for it; tell what is not heeded.

    Raises:
        ConfigError: There is no such mode, or it needs a login that is not there.
    """
    from alsweep.cli.run import unset_which_run, wandb_settings

    wandb_settings(sweep.wandb, ask=sys.stdin is None or not sys.stdin.isatty())
    unset_which_run()


def _warn_of_idle_cards(resources: "ResourcesConfig") -> None:
    # Torch is slow to import, and most machines without a card have no such file.
    if resources.gpus or not any(Path("/dev").glob("nvidia[0-9]*")):
        return
    import torch

    from alsweep.sweep.environment import unused_cards

    idle = unused_cards(resources, torch.cuda.device_count())
    if idle is not None:
        _warn(idle)


def _warn(text: str) -> None:
    typer.echo(f"warning: {text}", err=True)
