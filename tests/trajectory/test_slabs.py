"""A loop with so little memory that each case is cut in slabs, against one with all there is."""

from dataclasses import replace

from alsweep.config.sweep import ResourcesConfig
from alsweep.model import ensemble_mean
from alsweep.model.cut import CutPrediction
from alsweep.model.memory import GIB
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.steps import Steps
from tests.trajectory.conftest import make_config

LITTLE = 0.9e6 / GIB


def test_a_loop_in_slabs_asks_and_judges_as_one_without(phantom, tmp_path, monkeypatch):
    # Else what is made in between would be more than the case.
    monkeypatch.setattr(ensemble_mean, "_CACHED_VALUES", 1 << 14)
    mirrored = {"tta": True, "step": 0.75}
    changes = {"inference": mirrored, "evaluation": mirrored, "training": {"mirror_axes": ["z"]}}
    config = resolve(make_config(phantom, strategy="clasp_pe", **changes), phantom)

    def steps(**resources):
        models = tmp_path / "models"
        return Steps.make(config, phantom, models, ResourcesConfig(**resources), "me", None)

    whole, cut = steps(), steps(gpu_memory_gib=LITTLE)
    taken = sorted(one.patch for one in draw_start(config, phantom))
    members = whole.train(0, taken, ())
    for case in phantom.validation:
        assert isinstance(cut.predict(members, case, config.inference), CutPrediction)
    assert cut.query(0, members, taken) == whole.query(0, members, taken)
    judged = [one._evaluate(0, members) for one in (whole, cut)]
    assert judged[0]["validation"]["mean_dice"] is not None
    assert {**judged[0], "seconds": 0} == {**judged[1], "seconds": 0}
    # A strategy may need all of a case, and says so.
    needs = ("probs", "members")
    assert len(cut.predict(members, phantom.pool[0], config.inference, needs).members) > 1
    assert replace(cut.compute, allowed=None) == whole.compute
