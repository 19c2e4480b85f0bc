"""``alsweep submit``: run a search space on a Ray cluster, as a job."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alsweep.cli.options import Overrides, Plugins, Space

if TYPE_CHECKING:
    from alsweep.sweep.job_server import JobServer
    from alsweep.sweep.submitting import Submission

INTERRUPTED = 130


def submit(
    space: Space,
    address: Annotated[
        str, typer.Option(help="The cluster's job server, as http://HEAD:8265.", show_default=False)
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", help="Run folder, as all nodes see it; default: runs/NAME."),
    ] = None,
    set_: Overrides = None,
    plugin: Plugins = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME[=VALUE]",
            help="Variable of the job; NAME alone has its value here. May be repeated.",
        ),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return once the job is handed in.")
    ] = False,
) -> int:
    """Run a search space on a Ray cluster; the submission id is all that stdout gets.

    Search space and plug-ins are uploaded, and this alsweep where the cluster has another; data
    and results are not: their paths are the cluster's. Waiting ends with the job's exit code.

    Example: alsweep submit search_spaces/hippocampus-low.yaml --address http://localhost:8265
    """
    from alsweep.cli.run import tell
    from alsweep.sweep.job_server import connect

    submission = _submission(space, out, set_ or [], plugin or [], env or [])
    server = connect(address)
    server.submit(submission)
    typer.echo(submission.id)
    follow, stop = server.how_to(submission.id)
    if no_wait:
        _tell_where(submission, follow, stop)
        return 0
    try:
        return _followed(server, submission)
    except KeyboardInterrupt:
        tell("the job goes on.")
        _tell_where(submission, follow, stop)
        return INTERRUPTED


def _followed(server: "JobServer", submission: "Submission") -> int:
    from alsweep.sweep.stops import stops_raise

    with stops_raise():
        return server.follow(submission.id, lambda text: typer.echo(text, nl=False, err=True))


def _submission(
    space: Path, out: str | None, overrides: list[str], plugins: list[Path], env: list[str]
) -> "Submission":
    from alsweep.config.load import load_sweep
    from alsweep.query.plugin_files import load_files
    from alsweep.sweep.environment import variables
    from alsweep.sweep.submitting import Submission, parsed_environment, place_there

    sweep = load_sweep(space, overrides, plugins)
    load_files(sweep.plugins)  # what is wrong with them is better known here
    return Submission(
        space=space,
        sweep=sweep,
        out=place_there(out or Path("runs") / sweep.name),
        overrides=overrides,
        environment=parsed_environment(env, variables()),
    )


def _tell_where(submission: "Submission", follow: str, stop: str) -> None:
    from alsweep.cli.run import tell

    run = shlex.quote(submission.out)
    tell(f"follow: {follow}")
    tell(f"stop:   {stop}")
    tell(
        f"fetch:  alsweep report {run}, where that folder is seen; from a cluster of 'ray up': "
        f"ray rsync-down CLUSTER.yaml {run}/ RUN/"
    )
