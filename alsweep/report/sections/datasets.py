"""Each dataset by itself, where there are several: who leads on one may not on another."""

from collections.abc import Iterator, Sequence

import pandas as pd

from alsweep.report.captions import count, not_ranked, same_seeds, span
from alsweep.report.section import Block, Caption, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import Table, mean_and_std, own_seeds
from alsweep.results import aubc, final, ranking

_KEYS = ["setting", "strategy", "seed"]


def datasets_of(study: Study) -> dict[str, list[str]]:
    """Name of each dataset to its settings, in the order of the runs; told apart by content."""
    settings: dict[tuple[str, str], dict[str, None]] = {}
    for run in study.runs:
        for trajectory in run.trajectories:
            for record in trajectory.records[:1]:
                key = record.dataset, run.ground(trajectory).dataset_fingerprint
                settings.setdefault(key, {})[record.setting] = None
    names = [name for name, _ in settings]
    return {
        name if names.count(name) == 1 else f"{name} (fingerprint {content[:6]})": list(found)
        for (name, content), found in settings.items()
    }


def _blocks(material: Material) -> Iterator[Block]:
    study = material.study
    ranked = {name: _ranks(study, settings) for name, settings in datasets_of(study).items()}
    tables = (
        (f"{name}, {count(len(settings), 'setting')}", _table(study, settings, ranked[name]))
        for name, settings in datasets_of(study).items()
    )
    yield Tables(tuple(tables))
    lacking = "" if same_seeds(study) else ", each strategy's own"
    why = "".join(f" {name}:{text}" for name, r in ranked.items() if (text := not_ranked(study, r)))
    yield Caption(
        "Ranks by AUBC within the settings of one dataset alone, over the seeds that all ranked "
        f"ones share, best first; Dice and AUBC are means over its settings and seeds{lacking} ± "
        f"their standard deviation.{why} Ranking and win matrix are over all datasets, each "
        "setting counting once; a Dice of one class is never averaged over datasets."
    )


def _ranks(study: Study, settings: Sequence[str]) -> pd.DataFrame:
    return ranking(study.done[study.done["setting"].isin(settings)])


def _table(study: Study, settings: Sequence[str], ranks: pd.DataFrame) -> Table:
    """Ranked strategies, best first, then the others."""
    rows = study.done[study.done["setting"].isin(settings)]
    found = final(rows).merge(aubc(rows), on=_KEYS)
    looks = [look for look in study.looks if look.strategy in set(found["strategy"])]
    places = {strategy: place for place, strategy in enumerate(ranks.index)}
    looks.sort(key=lambda look: places.get(look.strategy, len(places)))
    lines = tuple((look.name, *_cells(look.strategy, ranks, found)) for look in looks)
    headings = ("Strategy", "Mean rank", "Final Dice [%]", "AUBC [%]", "Seeds", "Settings")
    return Table(headings, lines)


def _cells(strategy: str, ranks: pd.DataFrame, found: pd.DataFrame) -> tuple[str, ...]:
    mine = found[found["strategy"] == strategy]
    rank = f"{ranks['mean_rank'].loc[strategy]:.2f}" if strategy in ranks.index else "—"
    scores = (mean_and_std(mine[name]) for name in ("final", "aubc"))
    return (rank, *scores, _seeds(mine), str(mine["setting"].nunique()))


def _seeds(mine: pd.DataFrame) -> str:
    """A strategy's seeds: which, or how many a setting where these differ."""
    each = {tuple(sorted(seeds)) for _, seeds in mine.groupby("setting")["seed"]}
    return (
        own_seeds(each.pop(), same=False) if len(each) == 1 else f"{span(map(len, each))} a setting"
    )


def _csv(material: Material) -> bytes:
    """Ranking of each dataset, one below the other."""
    study = material.study
    each = {name: _ranks(study, settings) for name, settings in datasets_of(study).items()}
    return pd.concat(each, names=["dataset"]).to_csv().encode()


def _several(material: Material) -> bool:
    return len(datasets_of(material.study)) > 1


SECTION = Section(
    id="datasets",
    title="Each dataset",
    place=55,
    blocks=_blocks,
    files={"ranking_by_dataset.csv": _csv},
    applies=_several,
)
