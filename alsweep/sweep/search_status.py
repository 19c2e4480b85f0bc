"""How far a search is, read from its folder and its storage."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from alsweep.config.sweep import SweepConfig
from alsweep.errors import ConfigError


@dataclass(frozen=True)
class SearchStatus:
    """How far a search is.

    Attributes:
        configurations: That are to be told with a value.
        told: Of them, until now; None where the storage cannot be read.
        failed: Trials without a value.
        under_way: Trials that are being run, or go on with a resume.
        error: Why the storage cannot be read.
        pruned: Trials that were given up before all seeds were run.
        stopped: Whether it ended by itself, before all were told.
        to_promote: Configurations that are still to be run at the high rung.
        to_confirm: Configurations that are still to be run on fresh seeds.
    """

    configurations: int
    told: int | None = None
    failed: int = 0
    under_way: int = 0
    error: str | None = None
    pruned: int = 0
    stopped: bool = False
    to_promote: int = 0
    to_confirm: int = 0

    @property
    def over(self) -> bool:
        """Whether all are told, and the best confirmed."""
        told = self.told is not None and (self.stopped or self.told >= self.configurations)
        return told and not self.under_way + self.to_promote + self.to_confirm

    def __str__(self) -> str:
        if self.told is None:
            return f"search: {self.configurations} configurations; {self.error}"
        more = {
            "under way": self.under_way,
            "without a value": self.failed,
            "given up": self.pruned,
            "to run at the high rung": self.to_promote,
            "to confirm": self.to_confirm,
        }
        told = "".join(f", {count} {what}" for what, count in more.items() if count)
        ended = ", ended since the best rises no more" if self.stopped else ""
        return f"search: {self.told} of {self.configurations} configurations told{ended}{told}"


def read_search(run: Path, sweep: SweepConfig) -> SearchStatus | None:
    """How far the search of a run is; None where nothing is searched.

    Args:
        run: The run folder.
        sweep: As it was stored there.
    """
    study = None if sweep.provenance is None else sweep.provenance.study
    if sweep.search is None or study is None:
        return None
    # Optuna comes along with it; most sweeps search nothing.
    from alsweep.results.searched import searched_in
    from alsweep.results.studies import read_memory

    n = sweep.search.configurations
    try:
        memory = read_memory(run, sweep.search.storage, study)
    except ConfigError as error:
        return SearchStatus(n, error=str(error))
    states = Counter(trial.state.name for trial in memory.trials)
    searched = searched_in(sweep.name, sweep.search.plain(), memory)
    found = SearchStatus(
        configurations=n,
        told=states["COMPLETE"],
        failed=states["FAIL"],
        under_way=states["RUNNING"] + states["WAITING"],
        pruned=states["PRUNED"],
        stopped=searched.stopped is not None,
    )
    if not found.over:
        return found
    promote, confirm = len(searched.unpromoted()), len(searched.unconfirmed())
    return replace(found, to_promote=promote, to_confirm=0 if promote else confirm)
