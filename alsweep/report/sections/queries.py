"""What was annotated: patches, voxels, foreground."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.backgrounds import backgrounds, queried_share
from alsweep.report.captions import over_seeds, seed_counts, span
from alsweep.report.figures import axis, layout, marker, panels, plain
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Look, Study
from alsweep.report.tables import NamedTable, last_rows, mean_and_std, per_setting
from alsweep.report.told import told_caption

_CURVES = "Curves: share of foreground among the voxels that each loop added"
_TABLE = (
    "Table: what had been annotated at the last training. Patch sizes are clipped to the case; "
    "voxels are counted once where patches overlap. Nothing but background: patches without "
    "foreground whose mean intensity is, in every channel, below the threshold (Otsu's) of their "
    "case, where that has air at its border; queries alone, without the starting budget."
)


def _blocks(material: Material) -> Iterator[Block]:
    shares = material.once(_shares)
    yield Figures(panels(material.study, lambda study, name: _foreground(study, name, shares)))
    yield Tables(_tables(material.study))
    mean = span(seed_counts(material.study), "seed")
    told = told_caption(material.study)
    yield Caption(f"{_CURVES}, mean over {mean}. {_TABLE}{told} {over_seeds(material.study)}")


def _shares(study: Study) -> pd.DataFrame:
    """Share of foreground among the voxels that each loop added, mean over seeds."""
    rows = study.done.sort_values(["trajectory", "loop"])
    counts = rows.groupby("trajectory")[["foreground_voxels", "annotated_voxels"]]
    # Loop 0 has no predecessor: what it added is what it has.
    added = counts.diff().fillna(rows[["foreground_voxels", "annotated_voxels"]])
    share = added["foreground_voxels"] / added["annotated_voxels"].where(lambda v: v > 0)
    grouped = rows.assign(share=share).groupby(["setting", "strategy", "loop"], sort=False)
    return grouped["share"].agg(foreground_share="mean", seeds="count").reset_index()


def _foreground(study: Study, setting: str, shares: pd.DataFrame) -> Figure:
    """Lines of a setting's strategies over loops, per cent."""
    here = shares[shares["setting"] == setting]
    data = []
    for look in study.looks:
        mine = here[here["strategy"] == look.strategy].set_index("loop").sort_index()
        if len(mine):
            data.append(_line(look, 100 * mine["foreground_share"].dropna()))
    across = axis("loop (0 = starting budget)", dtick=1)
    down = axis("foreground in the new patches [%]", rangemode="tozero")
    return {"data": data, "layout": layout(xaxis=across, yaxis=down, height=340)}


def _line(look: Look, shares: "pd.Series[float]") -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain(look.name),
        "x": shares.index.tolist(),
        "y": shares.round(4).tolist(),
        "line": {"color": look.colour, "width": 2.5, "dash": "dash" if look.baseline else "solid"},
        "marker": marker(look),
        "hovertemplate": f"{plain(look.name)}<br>loop %{{x}}: %{{y:.2f}} %<extra></extra>",
    }


def _tables(study: Study) -> tuple[NamedTable, ...]:
    """What had been annotated by the last training, mean over seeds."""
    columns = (
        "Strategy",
        "Patches",
        "Voxels",
        "Foreground voxels",
        "Foreground in patches [%]",
        "Share of the pool's foreground [%]",
        "Cases",
        "Queried patches with nothing but background [%]",
    )
    background = {key: queried_share(loops) for key, loops in backgrounds(study).items()}

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        means = mine[["annotated_patches", "annotated_voxels", "foreground_voxels"]].mean()
        share = mine["foreground_voxels"] / mine["annotated_voxels"]
        nothing = background.get((mine["setting"].iloc[0], mine["strategy"].iloc[0]))
        return (
            *(f"{value:,.0f}" for value in means),
            mean_and_std(share),
            mean_and_std(mine["foreground_fraction"]),
            f"{mine['annotated_cases'].mean():.1f}",
            "—" if nothing is None else f"{100 * nothing:.1f}",
        )

    return per_setting(study, last_rows(study.done), columns, cells)


SECTION = Section(
    id="queries",
    title="Queries",
    place=70,
    blocks=_blocks,
    files={"queries.csv": lambda material: material.once(_shares).to_csv(index=False).encode()},
    still="queries",
)
