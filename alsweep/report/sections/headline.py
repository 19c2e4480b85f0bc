"""What the study shows, in a sentence that can be quoted, and what would change it."""

from collections.abc import Iterator

from alsweep.report.captions import ALPHA, alone, controls_of, count, span
from alsweep.report.compared import compared, compared_over_settings
from alsweep.report.headline import Compared, headline, over_settings, what_would_change
from alsweep.report.section import Block, Caption, Lead, Material, Section
from alsweep.report.study import Study


def _blocks(material: Material) -> Iterator[Block]:
    sentences = _sentences(material)
    yield from (Lead(text) for text in sentences)
    of = _of(material)
    if of is not None and of.places:
        yield Caption(_caption(of))


def _sentences(material: Material) -> list[str]:
    """The headline, the test over settings, what would change them, what is left out."""
    study, of = material.study, _of(material)
    if of is None:
        said = [_nothing(study)]
    elif not of.places:
        said = [_no_test(of)]
    else:
        said = [headline(of), over_settings(of), what_would_change(of)]
    return [text for text in (*said, _left_out(study)) if text]


def _of(material: Material) -> Compared | None:
    """What is held against the first control that meets anybody; None where none does."""
    study, rows = material.study, material.once(compared)
    control = next((c for c in controls_of(study) if c in set(rows["control"])), None)
    if control is None:
        return None
    over = material.once(compared_over_settings)
    return Compared(
        control,
        {look.strategy: look.name for look in study.looks},
        study.settings,
        rows[rows["control"] == control],
        over[over["control"] == control],
        study.asked.rope,
        ALPHA,
    )


def _nothing(study: Study) -> str:
    if study.done.empty:
        return "No trajectory is finished yet, so there is nothing to say."
    if alone(study):
        return f"{alone(study)}, so that it is compared with nothing."
    if not controls_of(study):
        return (
            "No strategy is declared a control, so that none is held against another: name "
            "strategies of the sweep under report.controls in the search space."
        )
    return "No control shares a setting with another strategy, so that nothing is compared."


def _no_test(of: Compared) -> str:
    return (
        f"Nothing can be shown yet: no strategy has two seeds in common with {of.against}, and a "
        "single one cannot tell a difference from chance. A second seed makes a test possible, "
        "four or more a useful one."
    )


def _left_out(study: Study) -> str:
    """Trajectories that are not finished in any run."""
    done = {t.id for t in study.trajectories if t.status == "done"}
    each = {t.id: t.status for run in study.runs for t in run.trajectories if t.id not in done}
    told = [
        f"{number} {text}"
        for status, text in (
            ("failed", "that failed"),
            ("truncated", "stopped before the last loop"),
            ("running", "not finished"),
        )
        if (number := sum(one == status for one in each.values()))
    ]
    if not told:
        return ""
    return f"Not in it: {count(len(each), 'trajectory', 'trajectories')} ({', '.join(told)})."


def _caption(of: Compared) -> str:
    tested = of.tested
    return (
        "Dice is the overlap of prediction and truth, in points of 100. Strategies are compared by "
        "their AUBC, the mean Dice along the curve from the first budget to the last, with "
        f"{span(tested['n'], 'common seed')}; brackets: {1 - of.alpha:.0%} interval. “Shown” "
        f"means: in a paired t-test, corrected by Holm for the tests of a setting, at "
        f"{of.alpha:.0%}. What is not shown may still be so."
    )


SECTION = Section(
    id="headline",
    title="What it shows",
    place=1,
    blocks=_blocks,
    files={
        "headline.txt": lambda material: ("\n".join(_sentences(material)) + "\n").encode(),
    },
)
