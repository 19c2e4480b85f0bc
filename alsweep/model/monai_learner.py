"""alsweep's own learner: nnU-Net's recipe on MONAI."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar

from alsweep.data.patches import PatchSampler
from alsweep.model.learner import Checkpoint, Learner, OnEpoch, Setup, TrainingData
from alsweep.rng import torch_seed

if TYPE_CHECKING:
    # Torch and MONAI come when there is something to train, not to read what is heeded.
    from torch import nn

    from alsweep.model.loading import Batches, Unlabelled
    from alsweep.model.objective import Objective


class MonaiLearner(Learner):
    """DynUNet, trained on patches round annotated voxels.

    Other methods on the same network, batches and schedule override :meth:`objective`, and
    :meth:`unlabelled` for images without labels.

    Source: Isensee et al. 2021 (nnU-Net).
    """

    heeds: ClassVar[Collection[str]] = (
        "iterations_per_epoch",
        "batch_size",
        "features",
        "blocks",
        "optimizer",
        "learning_rate",
        "weight_decay",
        "momentum",
        "deep_supervision",
        "dice_over",
        "batch_dice",
        "foreground_share",
        "case_sampling",
        "foreground_sampling",
        "foreground_place",
        "augmentation",
        "gradient_clip",
        "precision",
        "compile",
    )

    heeds_boxes = True

    def network(self, setup: Setup, member: int) -> "nn.Module":
        """See :class:`alsweep.model.learner.Learner`."""
        from alsweep.model.network import build_network

        seed = torch_seed(setup.seed, "init", member)
        channels = len(setup.dataset.channels)
        network = build_network(setup.training, setup.topology, channels, setup.outputs, seed)
        return network.to(setup.compute.device)

    def encoder(self, network: "nn.Module") -> "nn.Module":
        """The stage before the deepest.

        Source: Luth et al. 2025 (nnActive), KMeansBALD features.
        """
        stage: nn.Module = network.downsamples[-1]  # type: ignore[index, assignment]
        return stage

    def head(self, network: "nn.Module") -> "nn.Module":
        """The block that makes logits of full resolution."""
        block: nn.Module = network.output_block  # type: ignore[assignment]
        return block

    def objective(self, setup: Setup, network: "nn.Module") -> "Objective":
        """What is minimised.

        Args:
            setup: Of the training.
            network: With the weights that the training starts from.
        """
        from alsweep.model.objective import Objective

        return Objective(setup)

    def unlabelled(self, setup: Setup) -> "Sequence[Unlabelled]":
        """What each batch holds beside annotated patches, for :meth:`objective`.

        Such as :class:`alsweep.data.patches.UnlabelledWindows`.
        """
        return ()

    def fit(
        self,
        network: "nn.Module",
        setup: Setup,
        training_data: TrainingData,
        on_epoch: OnEpoch,
        checkpoint: Checkpoint,
    ) -> float:
        """See :class:`alsweep.model.learner.Learner`."""
        from alsweep.model.trainer import fit

        objective = self.objective(setup, network)
        return fit(network, self._batches(setup, training_data), objective, on_epoch, checkpoint)

    def _batches(self, setup: Setup, training_data: TrainingData) -> "Batches":
        from alsweep.model.augment import Augmentation
        from alsweep.model.loading import Batches

        training = setup.training
        augmentation = Augmentation(training.augmentation, setup.topology.window, setup.axes)
        sampler = PatchSampler(
            setup.dataset,
            training_data.labels,
            training_data.cases,
            setup.topology.window,
            training.foreground_share,
            case_sampling=training.case_sampling,
            foreground_sampling=training.foreground_sampling,
            foreground_place=training.foreground_place,
            margin=augmentation.margin,
        )
        return Batches(sampler, augmentation, setup, training_data.member, self.unlabelled(setup))
