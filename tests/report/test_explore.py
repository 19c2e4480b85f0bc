"""Which queries are shown in space, and that a point of a curve leads to its own."""

import pytest

from alsweep.errors import RunFolderError
from alsweep.geometry import Patch
from alsweep.layout import query_path
from alsweep.report import write_report
from alsweep.report.explore import AFTER, BEFORE, REFERENCE, Chosen, explored
from alsweep.report.study import read_study
from alsweep.results.records import read_query
from tests.report.pages import curves, figures, resolve, visible


def test_each_query_is_shown_in_the_case_that_holds_most_of_it(asked):
    _, shown = asked
    assert [one.loop for one in shown] == [0, 1, 2]
    for one in shown:
        queried = read_query(query_path(one.trajectory.folder, one.loop))
        cases = [patch.patch.case for patch in queried]
        assert cases.count(one.case) == max(map(cases.count, cases)) == len(one.patches)
        assert one.elsewhere == len(queried) - len(one.patches)
        lines = one.boxes[0]
        corners = sum(x is None for x in lines["x"])
        assert corners == 6 * len(one.patches)
        low = min(p.patch.start[0] for p in one.patches) - 0.5
        assert min(z for z in lines["z"] if z is not None) == low


def test_before_and_after_are_the_networks_of_the_loops_beside_the_query(asked):
    _, shown = asked
    assert set(shown[0].meshes) == {REFERENCE, AFTER}
    assert "before the starting budget" in shown[0].missing
    names = {
        one.loop: {layer: [m["name"] for m in one.meshes[layer]] for layer in one.meshes}
        for one in shown
    }
    classes = ["organ", "lesion"]
    for loop in (1, 2):
        assert names[loop][BEFORE] == [classes[loop % 2]]
        assert names[loop][AFTER] == [classes[(loop + 1) % 2]]
    assert all(set(one.planes) == set(one.meshes) for one in shown)


def test_networks_that_are_gone_are_told(phantom_run):
    def gone(query):
        raise RunFolderError("gone")

    shown = explored(read_study([phantom_run]), Chosen(("predictive_entropy-p8x8x8-s0",), gone))
    assert all(set(one.meshes) == {REFERENCE} for one in shown)
    assert "not stored any more" in shown[1].missing


def test_a_trajectory_that_is_not_there_is_a_users_error(phantom_run):
    with pytest.raises(RunFolderError, match="near ones"):
        explored(read_study([phantom_run]), Chosen(("predictive_entrapy",)))


def test_a_point_of_a_curve_leads_to_the_query_that_made_it(phantom_run, tmp_path):
    page = write_report([phantom_run], tmp_path / "out")
    line = curves(page)["predictive_entropy"]
    study = read_study([phantom_run])
    first = next(t for t in study.trajectories if "entropy" in t.id)
    assert [one["value"] for one in line["meta"]["go"]] == [f"{first.id}/{k}" for k in range(3)]
    ((_, figure),) = figures(page, "explore")
    drawn = resolve(figure, shown=f"{first.id}/1")["data"]
    assert {trace["type"] for trace in drawn} == {"scatter3d", "mesh3d"}
    assert "predictions are shown of trajectories that are named by --explore" in visible(page)


def test_boxes_lie_round_the_voxels_of_their_patches():
    from alsweep.report.explore import _boxes

    trace = _boxes([Patch("a", (2, 0, 4), (4, 2, 8))], (2.0, 1.0, 0.5))
    for name, ends in (("z", (3.0, 11.0)), ("y", (-0.5, 1.5)), ("x", (1.75, 5.75))):
        known = [value for value in trace[name] if value is not None]
        assert (min(known), max(known)) == ends
