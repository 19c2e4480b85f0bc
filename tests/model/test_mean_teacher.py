from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from alsweep.model.monai_learner import MonaiLearner
from alsweep.rng import stream
from alsweep.testing import learner_contract
from alsweep.testing.learner_contract import CHECKS, make_bench
from tests.model.mean_teacher import MeanTeacher


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    # Without augmentation, which is ours and not what is looked at here, a step is quicker.
    return make_bench(tmp_path_factory.mktemp("learner"), augmentation="none")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_semi_supervised_learner_keeps_the_contract(check, bench):
    check(MeanTeacher(consistency_weight=10.0), bench)


def trained(learner, setup):
    return learner_contract._trained(learner, setup, learner_contract._training_data(setup))


def test_unlabelled_windows_change_what_is_learnt_by_their_weight(bench):
    supervised = trained(MonaiLearner(), bench.setup)
    assert torch.equal(trained(MeanTeacher(consistency_weight=0.0), bench.setup), supervised)
    assert not torch.equal(trained(MeanTeacher(consistency_weight=10.0), bench.setup), supervised)


def test_unlabelled_windows_come_from_loaders_as_well(bench):
    learner = MeanTeacher(consistency_weight=10.0)
    beside = replace(bench.setup, compute=replace(bench.setup.compute, loaders=2))
    assert torch.equal(trained(learner, beside), trained(learner, bench.setup))


class AllOver(MeanTeacher):
    """Looks at images outside the pool."""

    def unlabelled(self, setup):
        dataset = setup.dataset
        everywhere = SimpleNamespace(
            pool=tuple(dataset.cases),
            cases=dataset.cases,
            channels=dataset.channels,
            image=dataset.image,
        )
        return super().unlabelled(replace(setup, dataset=everywhere))


def test_a_learner_that_sees_images_outside_the_pool_breaks_the_contract(bench):
    with pytest.raises(AssertionError, match="or images outside the pool, were used"):
        learner_contract.sees_only_annotated_patches_and_images_of_the_pool(AllOver(), bench)


class Deaf(MonaiLearner):
    """Says that it heeds what it does not."""

    def fit(self, network, setup, *others):
        training = setup.training.model_copy(update={"gradient_clip": 12.0})
        return super().fit(network, replace(setup, training=training), *others)


def test_a_learner_that_does_not_heed_what_it_says_breaks_the_contract(bench):
    with pytest.raises(AssertionError, match=r"training.gradient_clip changes nothing"):
        learner_contract.heeds_what_it_says(Deaf(), bench)


def test_unlabelled_windows_are_images_of_the_pool(bench):
    dataset = bench.setup.dataset
    (windows,) = MeanTeacher(windows=3).unlabelled(bench.setup)
    for window in windows.draw(stream(0, "windows")):
        images = [dataset.image(case) for case in dataset.pool]
        corner = window[:, :4, :4, :4]
        assert any(
            (image[:, z : z + 4, y : y + 4, x : x + 4] == corner).all()
            for image in images
            for z in range(9)
            for y in range(9)
            for x in range(9)
        )
