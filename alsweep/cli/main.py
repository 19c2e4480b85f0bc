"""The entry point: registers the verbs and turns errors into one line and an exit code."""

import logging
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from alsweep import __version__
from alsweep.cli.terminal import LogLines, print_everywhere
from alsweep.disk import full_disk_told
from alsweep.errors import AlsweepError

if TYPE_CHECKING:
    import click

VERBS = (
    "demo",
    "ingest",
    "phantom",
    "inspect",
    "run",
    "resume",
    "suggest",
    "ingest-labels",
    "skip",
    "predict",
    "submit",
    "worker",
    "fulldata",
    "noise",
    "status",
    "report",
    "queries",
    "try",
    "export",
    "import",
    "import-results",
    "strategies",
    "doctor",
    "gc",
    "sync",
    "wandb-workspace",
    "debug-dump",
)
INTERRUPTED = 130

# typer may bring a click of its own, whose errors are not those of the package named click.
_UsageError: "type[click.ClickException]" = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


class _Verbs(TyperGroup):
    """The verbs; typer would turn Ctrl-C into an exit code without a word."""

    def invoke(self, ctx: Any) -> Any:  # its type lies in what typer keeps to itself
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _complain("interrupted; what was finished is saved")
            return INTERRUPTED


app = typer.Typer(
    cls=_Verbs,
    help="Sweeps for active learning in 3D biomedical segmentation.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="--debug, after any verb, shows tracebacks and the log. Start with: alsweep demo",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alsweep {__version__}")
        raise typer.Exit


@app.callback()
def _alsweep(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


# What no module and no function can be called.
_MODULES = {
    "try": "try_strategy",
    "import": "import_loops",
    "import-results": "import_results",
    "debug-dump": "debug_dump",
    "ingest-labels": "ingest_labels",
    "wandb-workspace": "wandb_workspace",
}

for _verb in VERBS:
    _module = _MODULES.get(_verb, _verb)
    app.command(_verb)(getattr(import_module(f"alsweep.cli.{_module}"), _module))


def main() -> None:
    """Run the command line; exit 0 done, 1 failed, 2 misused, 3 partly, 130 interrupted."""
    print_everywhere()
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    handler = logging.StreamHandler()
    verbose = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler.setFormatter(verbose if debug else LogLines())
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    # Where a log cannot be written, for want of room or a terminal, no traceback is to say so.
    logging.raiseExceptions = debug
    logging.getLogger("alsweep").setLevel(logging.DEBUG if debug else logging.INFO)
    sys.exit(_exit_code(arguments, debug))


def _exit_code(arguments: list[str], debug: bool) -> int:
    try:
        with full_disk_told(*map(Path, arguments), Path.cwd()):
            result = app(arguments, standalone_mode=False)
    except KeyboardInterrupt:
        _complain("interrupted; what was finished is saved")
        return INTERRUPTED
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort as stop:
        return _bug(stop.__cause__ or stop, debug)  # so typer calls an EOFError
    except _UsageError as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away (alsweep ... | head); not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except AlsweepError as error:
        return _failed(error, str(error), error.exit_code, debug)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        mend = "; choose another place or mend its permissions" if error.filename else ""
        return _failed(error, f"{place}{error.strerror or error}{mend}", 2, debug)
    except Exception as error:  # the last line of defence
        return _bug(error, debug)
    return result if isinstance(result, int) else 0


def _bug(error: BaseException, debug: bool) -> int:
    text = f"{type(error).__name__}: {error}; run again with --debug and report the traceback"
    return _failed(error, text, 1, debug)


def _failed(error: BaseException, message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    _complain(" ".join(message.split()))
    return code


def _complain(message: str) -> None:
    typer.echo(f"alsweep: error: {message}", err=True)
