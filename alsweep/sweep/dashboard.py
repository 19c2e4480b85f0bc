"""What optuna-dashboard shows of a search beside its own: notes and figures, kept in its study."""

from __future__ import annotations

import logging
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import Trial, TrialState

from alsweep.report.sections.search import front_figure, progress_figure
from alsweep.results.searched import read_search
from alsweep.sweep.stops import held
from alsweep.sweep.study import ERROR_OF, TRAJECTORIES, WHY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from alsweep.results.searched import Searched
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Plan, Planned

logger = logging.getLogger(__name__)

_PACKAGE = "optuna_dashboard"
_GROWTH = 1.1
"""By how much a search has grown before its figures are kept anew: storages keep every version."""


class Dashboard:
    """Keeps notes and figures up to date; without the package it does nothing.

    Where that fails it is said once, and the search goes on without.

    Args:
        storage: Of the study.
        name: Of the study.
    """

    def __init__(self, storage: BaseStorage, name: str) -> None:
        self._storage, self._name = storage, name
        self._works = find_spec(_PACKAGE) is not None
        self._notes: dict[int | None, str] = {}
        self._drawn = 0

    def update(self, job: Job) -> None:
        """Bring all of it up to date.

        Args:
            job: With what was added so far.
        """
        if not self._works:
            return
        try:
            self._update(job)
        except Exception as error:
            self._works = False
            logger.warning(
                "warning: optuna-dashboard gets no further notes and figures: %s: %s",
                type(error).__name__,
                error,
            )

    def _update(self, job: Job) -> None:
        study = optuna.load_study(study_name=self._name, storage=self._storage)
        self._note(study, None, study_note(job.run, job.plan))
        known = {one.id: one for one in job.plan.trajectories}
        trials = study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state.is_finished():
                ids = trial.user_attrs.get(TRAJECTORIES, ())
                made = [known[id_] for id_ in ids if id_ in known]
                self._note(study, trial, trial_note(trial, made, _objectives(job.plan)))
        told = sum(trial.state == TrialState.COMPLETE for trial in trials)
        if told > self._drawn and (told >= _GROWTH * self._drawn or told == _wanted(job.plan)):
            self._draw(study, job)
            self._drawn = told

    def _note(self, study: optuna.Study, trial: FrozenTrial | None, text: str) -> None:
        """Write a note where there is none, or a part that a crash left: people may edit them."""
        from optuna_dashboard import get_note, save_note

        number = None if trial is None else trial.number
        if self._notes.get(number) == text:
            return
        whose = study if trial is None else Trial(study, trial._trial_id)
        found = get_note(whose)
        if found != text and text.startswith(found):
            with held():
                save_note(whose, text)
        self._notes[number] = text

    def _draw(self, study: optuna.Study, job: Job) -> None:
        from optuna_dashboard import save_plotly_graph_object
        from plotly.graph_objects import Figure

        found = read_search(job.run)
        for name, figure in {} if found is None else dict(_figures(found)).items():
            drawn = Figure(figure)
            with held():
                save_plotly_graph_object(study, drawn, graph_object_id=name)


def _objectives(plan: Plan) -> list[str]:
    return [] if plan.sweep.search is None else [*plan.sweep.search.objectives]


def _wanted(plan: Plan) -> int:
    return 0 if plan.sweep.search is None else plan.sweep.search.configurations


def _figures(found: Searched) -> Iterator[tuple[str, dict[str, Any]]]:
    """With titles of their own, since the dashboard gives them none."""
    yield "alsweep-progress", _titled(progress_figure(found), "Means over seeds ± standard error")
    if len(found.objectives) > 1:
        yield "alsweep-front", _titled(front_figure(found), "Front; white: beyond a constraint")


def _titled(figure: dict[str, Any], title: str) -> dict[str, Any]:
    """For a card of the dashboard, which says how high it is."""
    drawn = {key: value for key, value in figure["layout"].items() if key != "height"}
    drawn["title"] = {"text": title, "font": {"size": 15}}
    drawn["margin"] = drawn["margin"] | {"t": 48}
    return {**figure, "layout": drawn}


def study_note(run: Path, plan: Plan) -> str:
    """Sweep, data and objectives, and how the values are to be read; Markdown.

    Args:
        run: The run folder.
        plan: Of the search.
    """
    sweep, search = plan.sweep, plan.sweep.search
    assert search is not None
    data = {
        one.setting: f"{one.dataset_name} (`{one.dataset_fingerprint[:12]}`)"
        for one in plan.examples
    }
    on = [text if name is None else f"setting {name} on {text}" for name, text in data.items()]
    told = [f"{name} ({way})" for name, way in search.objectives.items()]
    limits = [f"{name} at most {most:g}" for name, most in search.constraints.items()]
    seeds = ", ".join(map(str, sweep.seeds))
    return "\n".join(
        [
            f"## Search of the sweep {sweep.name}",
            "",
            f"- Data: {'; '.join(on)}",
            f"- Objectives: {', '.join(told)}",
            *([f"- Constraints, over all seeds: {', '.join(limits)}"] if limits else []),
            f"- Seeds: {seeds}",
            f"- Run folder, when the search began: `{run}`",
            "",
            "A trial is a configuration, run on all seeds in every setting. Its value is the mean "
            "over them on the validation part, `standard_error` what seeds make of it; "
            "`trajectories` names what it was made of, in the run folder. The best trial was "
            "chosen for its value, which is therefore too good: run `search/best.yaml` on other "
            "seeds. Intervals and importances: `alsweep report RUN`.",
        ]
    )


def trial_note(trial: FrozenTrial, made: Sequence[Planned], objectives: Sequence[str]) -> str:
    """Strategy, values and trajectories of a trial that has ended; Markdown.

    Args:
        trial: Of the study.
        made: Its trajectories, as far as they are known.
        objectives: Names, in the order of the values.
    """
    lines = [f"## {made[0].label if made else 'no trajectories'}", "", *_values(trial, objectives)]
    lines += ["", *_table(made)] if made else []
    return "\n".join(lines)


def _table(made: Sequence[Planned]) -> Iterator[str]:
    """The trajectories; settings only where they have names."""
    named = any(one.setting is not None for one in made)
    yield "| trajectory | setting | seed |" if named else "| trajectory | seed |"
    yield "| --- | --- | --- |" if named else "| --- | --- |"
    for one in made:
        setting = f" {one.setting} |" if named else ""
        yield f"| `{one.id}` |{setting} {one.config.seed} |"


def _values(trial: FrozenTrial, objectives: Sequence[str]) -> Iterator[str]:
    """What it was told with, or why with nothing."""
    if trial.state != TrialState.COMPLETE:
        why = trial.user_attrs.get(WHY)
        yield f"- {trial.state.name.lower()}, without a value" + (f": {why}" if why else "")
        return
    errors = trial.user_attrs.get(ERROR_OF)
    each = errors if isinstance(errors, list) else [errors]
    for name, value, error in zip(objectives, trial.values, each, strict=True):
        known = error is not None and not math.isnan(error)
        yield f"- {name}: {value:.6g}" + (f" ± {error:.2g} (standard error)" if known else "")
    if any(over > 0 for over in trial.constraints.values()):
        over = ", ".join(name for name, by in trial.constraints.items() if by > 0)
        yield f"- beyond the constraints on {over}"
