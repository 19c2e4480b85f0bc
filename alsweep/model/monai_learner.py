"""alsweep's own learner: nnU-Net's recipe on MONAI."""

from torch import nn

from alsweep.data.patches import PatchSampler
from alsweep.model.augment import Augmentation
from alsweep.model.learner import Checkpoint, Lesson, OnEpoch, Setup
from alsweep.model.loading import Batches
from alsweep.model.network import build_network
from alsweep.model.trainer import fit
from alsweep.rng import torch_seed


class MonaiLearner:
    """DynUNet, trained on patches round annotated voxels.

    Source: Isensee et al. 2021 (nnU-Net).
    """

    def network(self, setup: Setup, member: int) -> nn.Module:
        """See :class:`alsweep.model.learner.Learner`."""
        seed = torch_seed(setup.seed, "init", member)
        channels = len(setup.dataset.channels)
        network = build_network(setup.training, setup.topology, channels, setup.outputs, seed)
        return network.to(setup.compute.device)

    def fit(
        self,
        network: nn.Module,
        setup: Setup,
        lesson: Lesson,
        on_epoch: OnEpoch,
        checkpoint: Checkpoint,
    ) -> float:
        """See :class:`alsweep.model.learner.Learner`."""
        training = setup.training
        augmentation = Augmentation(training.augmentation, setup.topology.window, setup.axes)
        sampler = PatchSampler(
            setup.dataset,
            lesson.labels,
            lesson.cases,
            setup.topology.window,
            training.foreground_share,
            case_sampling=training.case_sampling,
            margin=augmentation.margin,
        )
        batches = Batches(sampler, augmentation, setup, lesson.member)
        return fit(network, batches, setup, on_epoch, checkpoint)
