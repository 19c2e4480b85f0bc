"""What the questions here share: run folders from the command line, and a figure at the end.

The sentence is printed, and written beside the figure as a text. ``--control`` names the strategy
that others are held against where a question has one; else it is the first that the runs declare.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alsweep.report.stills import png
from alsweep.report.study import Look, Study, read_study


def asked(question: str) -> tuple[Study, Path]:
    """Return the runs that the command line names, and where figure and text go.

    Args:
        question: The docstring of the file.
    """
    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        description=question, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, default=Path(f"{name}.png"), help="the figure")
    parser.add_argument("--control", metavar="STRATEGY", help="its label; default: as declared")
    given = parser.parse_args()
    study = read_study(given.runs)
    if given.control is not None:
        declared = study.asked.controls or ()
        # One of the declared stays in their family of tests; another has a family of its own.
        others = [c for c in declared if c != given.control] if given.control in declared else []
        asks = study.asked.model_copy(update={"controls": (given.control, *others)})
        study = replace(study, asked=asks)
    return study, given.out


def told(sentence: str, figure: Figure, out: Path) -> None:
    """Print what came out, and write it and the figure."""
    print(sentence)
    out.with_suffix(".txt").write_text(f"{sentence}\n", encoding="utf-8")
    out.write_bytes(png(figure))
    print(f"figure: {out}")


def nothing(why: str) -> None:
    """End where the runs cannot answer."""
    sys.exit(f"cannot be told from these runs: {why}")


def axes(rows: int = 1, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A figure with axes below each other."""
    figure = Figure(figsize=(7.2, height * rows), dpi=150, layout="constrained")
    found = [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
    for one in found:
        one.grid(color="#e5e8ec", linewidth=0.8)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
    return figure, found


def control_of(study: Study) -> str:
    """The first control of which something is finished."""
    done = set(study.done["strategy"])
    control = next((c for c in study.asked.controls or () if c in done), None)
    if control is None:
        nothing("no control is finished in them; name one under report.controls")
    assert control is not None
    return control


def look_of(study: Study, strategy: str) -> Look:
    """How a strategy is drawn."""
    return next(look for look in study.looks if look.strategy == strategy)


def mean_and_ends(values: "pd.Series[float]") -> str:
    """Points with a 95 % t interval, where there is one."""
    from scipy.stats import t as student

    known = 100 * values.dropna()
    if len(known) < 2:
        return f"{known.mean():+.1f}"
    reach = student.ppf(0.975, len(known) - 1) * known.std(ddof=1) / len(known) ** 0.5
    return f"{known.mean():+.1f} [{known.mean() - reach:+.1f}, {known.mean() + reach:+.1f}]"


def ends_of_deviation(deviation: float, degrees: int) -> tuple[float, float]:
    """The 95 % interval of a standard deviation of normal values."""
    from scipy.stats import chi2

    low, high = degrees / chi2.ppf([0.975, 0.025], degrees)
    return deviation * low**0.5, deviation * high**0.5
