"""Terminals and pipes that cannot show every character."""

import codecs
import io
import logging
import sys
from typing import TextIO

_ERRORS = "alsweep.plain"
_PLAIN = dict(zip("\u2026\u00d7\u00b7\u2013\u2014\u00b5\u2020\u00b1", ".x*--u+~", strict=True))
"""Dots, times, middle dot, dashes, micro, dagger, plus-minus: what stands for a sign
where there is only ASCII; of the same width, so that tables stay even."""


class LogLines(logging.Formatter):
    """Log lines for people: the level is named once, and not where it is only news."""

    def format(self, record: logging.LogRecord) -> str:
        """Return ``warning: text`` for a warning, and the text alone for what is no trouble."""
        text = super().format(record)
        level = f"{record.levelname.lower()}: "
        plain = record.levelno < logging.WARNING or text.startswith(level)
        return text if plain else level + text


def print_everywhere() -> None:
    """Let no character that stdout or stderr cannot take stop a command."""
    codecs.register_error(_ERRORS, _plainly)
    for stream in (sys.stdout, sys.stderr):
        _let_through(stream)


def _let_through(stream: TextIO) -> None:
    # Tests and notebooks put streams of their own here, which take everything.
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_ERRORS)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lost), error.end
