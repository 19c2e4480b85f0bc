"""What made a curve rise: the patches of a query, in three planes and in space."""

from collections.abc import Iterator, Sequence

from alsweep.report.captions import count
from alsweep.report.explore import AFTER, BEFORE, LAYERS, Shown
from alsweep.report.figures import layout
from alsweep.report.section import (
    Block,
    Caption,
    Controls,
    Figure,
    Figures,
    Frame,
    Frames,
    Material,
    Section,
    Switch,
    switched,
)
from alsweep.report.slices import INK, PAPER

SHOWN, LAYER = "shown", "layer"


def _blocks(material: Material) -> Iterator[Block]:
    shown = material.explored
    layers = [layer for layer in LAYERS if any(layer in one.meshes for one in shown)]
    queries = tuple((one.value, _name(one)) for one in shown)
    switches = [Switch(SHOWN, "Query", queries, menu=True)]
    if len(layers) > 1:
        switches.append(Switch(LAYER, "Labels", tuple((one, LAYERS[one]) for one in layers)))
    yield Controls(tuple(switches))
    yield Figures((("", _figure(shown, layers)),))
    yield Frames(tuple(_frames(shown, layers)))
    yield Caption(_caption(shown, layers))


def _name(one: Shown) -> str:
    assert one.trajectory.config is not None
    config = one.trajectory.config
    what = "starting budget" if one.loop == 0 else f"query {one.loop}"
    return f"{config.strategy.shown}, seed {config.seed}: {what}"


def _figure(shown: Sequence[Shown], layers: Sequence[str]) -> Figure:
    data = {one.value: _traces(one, layers) for one in shown}
    axes = {
        f"{name}axis": {
            "title": {"text": f"{name} [mm]"},
            "color": INK,
            "gridcolor": "#2b3440",
            "showbackground": False,
        }
        for name in "xyz"
    }
    scene = {"aspectmode": "data", "bgcolor": PAPER, **axes}
    legend = {"font": {"color": INK}, "bgcolor": "rgba(13,17,23,0.6)", "x": 0, "y": 1}
    return {
        "data": switched(SHOWN, data),
        "layout": layout(
            scene=scene,
            height=520,
            showlegend=True,
            legend=legend,
            margin={"l": 0, "r": 0, "t": 0, "b": 0},
            paper_bgcolor=PAPER,
            # The view stays where it was turned to while the query changes.
            uirevision="kept",
        ),
    }


def _traces(one: Shown, layers: Sequence[str]) -> object:
    if len(layers) < 2:
        return [*one.boxes, *one.meshes[layers[0]]]
    each = {layer: [*one.boxes, *one.meshes.get(layer, [])] for layer in layers}
    return switched(LAYER, each)


def _frames(shown: Sequence[Shown], layers: Sequence[str]) -> Iterator[Frame]:
    for one in shown:
        for layer in layers:
            if layer in one.planes:
                when = {SHOWN: one.value} | ({LAYER: layer} if len(layers) > 1 else {})
                yield Frame(f"{_name(one)}, {LAYERS[layer].lower()}", one.planes[layer], when)


def _caption(shown: Sequence[Shown], layers: Sequence[str]) -> str:
    missing = dict.fromkeys(one.missing for one in shown if one.missing)
    predicted = (
        " Predictions: of the networks that chose the patches (before), and of those trained with "
        "them (after); dashed in the slices, with the score of each voxel below."
        if {BEFORE, AFTER} & set(layers)
        else ""
    )
    without = f" Not shown: {'; '.join(missing)}." if missing else ""
    return (
        "Choose a query here, or click its point in a learning curve: the patches annotated just "
        "before that training. Yellow boxes: the patches in the case that holds most of them, "
        "among the surfaces of its classes; drag to turn. Below: slices through the first of them; "
        f"bold contours are the labels that the next training sees.{predicted}{without} "
        f"{count(len({one.trajectory.id for one in shown}), 'trajectory', 'trajectories')} shown; "
        "'alsweep report --explore ID' takes others."
    )


SECTION = Section(
    id="explore",
    title="What made a curve rise",
    place=12,
    blocks=_blocks,
    applies=lambda material: bool(material.explored),
)
