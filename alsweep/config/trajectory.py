"""One trajectory: what is annotated, by which strategy, and how the members are trained and run."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from alsweep.config.annotator import AnnotatorConfig
from alsweep.config.augmentation import AUGMENTATIONS, AugmentationConfig
from alsweep.config.base import Frozen, Place, added, fingerprint, is_stored
from alsweep.config.learner import LearnerSpec
from alsweep.config.strategy import StrategySpec
from alsweep.geometry import Triple

SCHEMA = 1
"""Part of every identity: raised when equal configs no longer mean equal results."""

Voxels = tuple[PositiveInt, PositiveInt, PositiveInt]
CaseSampling = Literal["uniform", "annotated_volume"]
DiceOver = Literal["present", "all"]
ForegroundSampling = Literal["case_first", "class_first"]
ForegroundPlace = Literal["centre", "anywhere"]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
"""A seed that a table's column of 64-bit integers can hold; ``true`` and ``1.0`` are no seeds."""
TileStep = Annotated[float, Field(gt=0, le=1)]

_WHOLE = (1 << 20, 1 << 20, 1 << 20)


class StartingBudgetConfig(Frozen):
    """The patches annotated before the first training; independent of the strategy."""

    strategy: StrategySpec = StrategySpec(name="random_fg33_all_classes")
    patches: NonNegativeInt | None = Field(
        None, description="as many as query.patches if left out; 0 where whole cases are enough"
    )
    whole_cases: NonNegativeInt = added(
        0, neutral=0, description="cases annotated whole besides; each counts as one patch"
    )
    free_label_share: float | None = added(
        None, neutral=0.4, ge=0, le=1, description="as query.free_label_share if left out"
    )

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.patches == 0 and self.whole_cases == 0:
            raise ValueError("a start of 0 patches needs whole_cases; write at least 1 of either")
        return self


class QueryConfig(Frozen):
    """How much is annotated, and in which units."""

    patches: PositiveInt = Field(description="patches per query (the query size)")
    patch_size: Voxels | Literal["whole"] = Field(description="voxels (z, y, x), or 'whole' cases")
    loops: PositiveInt = Field(5, description="trainings; the last is followed by no query")
    stride: PositiveInt | Voxels = Field(1, description="voxels between candidate starts")
    overlap: float = Field(0.0, ge=0, lt=1, description="share of a patch that may be annotated")
    free_label_share: float = Field(0.4, ge=0, le=1)
    per_case: PositiveInt | None = Field(None, description="most patches per case and query")
    on_shortfall: Literal["error", "take_all", "fill_random"] = "error"

    @property
    def box(self) -> Triple:
        """Patch size in voxels before it is clipped to a case."""
        return _WHOLE if self.patch_size == "whole" else self.patch_size

    @property
    def strides(self) -> Triple:
        """Stride per axis."""
        return (self.stride,) * 3 if isinstance(self.stride, int) else self.stride

    @property
    def patch_size_text(self) -> str:
        """The patch size as tables write it: ``20x20x20``."""
        return "whole" if self.patch_size == "whole" else "x".join(map(str, self.patch_size))


FIRST_PRESETS: dict[str, dict[str, Any]] = {
    "small": {
        "iterations_per_epoch": 50,
        "patch_size": (32, 32, 32),
        "features": (8, 16, 32),
        "optimizer": "adamw_onecycle",
        "learning_rate": 5e-3,
        "weight_decay": 1e-4,
        "deep_supervision": False,
        "foreground_share": 0.5,
        "augmentation": "none",
    },
    "nnunet": {
        "iterations_per_epoch": 250,
        "patch_size": "plan",
        "features": (32, 64, 128, 256, 320, 320),
        "optimizer": "sgd_poly",
        "learning_rate": 1e-2,
        "weight_decay": 3e-5,
        "deep_supervision": True,
        "foreground_share": 0.33,
        "augmentation": "nnunet",
    },
}
FIRST_PRESETS["onecycle"] = FIRST_PRESETS["nnunet"] | {
    "optimizer": "adamw_onecycle",
    "weight_decay": 1e-4,
    "augmentation": "none",
}
"""The presets of schema 1, for ever: a stored sweep of then that sweeps presets relies on them."""

JUDGED_BY_PRESET: dict[str, dict[str, Any]] = {"nnunet": {"tta": True, "grid": "original"}}
"""What a user's file means by the preset of its training, where it says nothing of evaluation."""

PRESETS = FIRST_PRESETS | {
    "small": FIRST_PRESETS["small"]
    | {
        "patch_size": (28, 28, 28),
        "batch_size": 3,
        "learning_rate": 2e-2,
        "foreground_sampling": "class_first",
        "foreground_place": "anywhere",
    },
    "nnunet": FIRST_PRESETS["nnunet"] | {"dice_over": "all", "batch_dice": "plan"},
    "onecycle": FIRST_PRESETS["onecycle"] | {"batch_dice": "plan"},
}
"""Training presets, the same on every device; a key that the user writes wins.

They may improve: what alsweep wrote has their values written out. ``onecycle`` is nnU-Net's
network and sampling with another optimiser, without its augmentations, and with Dice over the
classes in a window, as it was measured: ahead of ``nnunet`` up to 4,000 iterations, see
docs/training.md.
"""


class TrainingConfig(Frozen):
    """How members are trained. A preset fills in what is not written."""

    preset: Literal["small", "nnunet", "onecycle"] = "small"
    epochs: PositiveInt = 4
    iterations_per_epoch: PositiveInt
    learner: LearnerSpec = Field(
        LearnerSpec(name="monai"), description="what trains: monai, or another that is installed"
    )
    members: PositiveInt = 5
    ensemble: Literal["folds", "seeds", "snapshots"] = Field(
        "folds",
        description="members differ in the cases they see, in their seeds, or are one training's "
        "successive snapshots",
    )
    folds: Annotated[
        int, Field(description="of ensemble: folds; each member does without one of them")
    ] = 5
    mirror_axes: Literal["auto"] | tuple[Literal["z", "y", "x"], ...] = "auto"
    patch_size: Voxels | Literal["plan"]
    batch_size: Annotated[
        int, Field(ge=2, description="one would starve instance norm and oneDNN")
    ] = 2
    features: tuple[PositiveInt, ...]
    blocks: Literal["plain", "residual"] = "plain"
    optimizer: Literal["adamw_onecycle", "sgd_poly"]
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    momentum: float = Field(0.99, ge=0, lt=1, description="of sgd_poly, after Nesterov")
    deep_supervision: bool
    dice_over: DiceOver = added(
        "present",
        neutral="present",
        description="classes that the loss takes the mean Dice over: those in a window, or all of "
        "the dataset as in nnU-Net, which makes Dice count the less the fewer a window holds",
    )
    batch_dice: bool | Literal["plan"] = added(
        False,
        neutral=False,
        description="the loss takes Dice over the batch, not over each window; plan: as nnU-Net "
        "plans it, where the plan's patch is small for the cases",
    )
    foreground_share: float = Field(ge=0, le=1, description="samples centred on foreground")
    case_sampling: CaseSampling = Field(
        "uniform", description="cases equally often, or each in proportion to its annotated voxels"
    )
    foreground_sampling: ForegroundSampling = added(
        "case_first",
        neutral="case_first",
        description="what is drawn first for a sample centred on foreground: its case, as nnU-Net "
        "does, or its class, so that one that is annotated in few cases is seen as often as others",
    )
    foreground_place: ForegroundPlace = added(
        "centre",
        neutral="centre",
        description="where such a sample holds its foreground voxel: in its middle, as with "
        "nnU-Net, or anywhere, so that the network also learns what lies at a window's border",
    )
    augmentation: AugmentationConfig
    gradient_clip: PositiveFloat = 12.0
    warm_start: bool = Field(False, description="start from the previous loop's members")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: bool = Field(
        False,
        description="let torch.compile fuse a training's steps; the first takes a minute or so",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        presets = FIRST_PRESETS if is_stored(info) else PRESETS
        preset = value.get("preset", "small")
        # A misspelt preset is filled from "small", so that it is the only error that the user sees.
        filled = presets[preset if isinstance(preset, str) and preset in presets else "small"]
        augmentation = value.get("augmentation")
        if is_stored(info) and isinstance(augmentation, dict):
            # A sweep of schema 1 over presets says only what they have in common.
            value = value | {"augmentation": AUGMENTATIONS[filled["augmentation"]] | augmentation}
        return filled | value

    @field_validator("folds")
    @classmethod
    def _at_least_two_folds(cls, folds: int) -> int:
        if folds < 2:
            raise ValueError(
                "a fold is held out, so there must be two; write ensemble: seeds to train every "
                "member on all annotated cases"
            )
        return folds

    @field_validator("features")
    @classmethod
    def _at_least_three_levels(cls, features: tuple[int, ...]) -> tuple[int, ...]:
        if len(features) < 3:
            raise ValueError("a U-Net needs features for at least three levels")
        return features

    @model_validator(mode="after")
    def _an_epoch_for_each_snapshot(self) -> Self:
        if self.ensemble == "snapshots" and self.epochs < self.members:
            raise ValueError(
                f"{self.epochs} epochs are too few for {self.members} snapshots, each of which "
                f"takes one at least; raise epochs or lower members"
            )
        return self

    def member_epochs(self, member: int) -> int:
        """Epochs of a member's own training.

        Snapshots share the epochs out evenly, the first of them taking what is left over: 7 epochs
        are 3, 2 and 2. Members of the other ensembles take all epochs each.
        """
        if self.ensemble != "snapshots":
            return self.epochs
        even, over = divmod(self.epochs, self.members)
        return even + (member < over)

    @property
    def all_epochs(self) -> int:
        """Epochs of all members together."""
        return sum(self.member_epochs(member) for member in range(self.members))

    def identity_in(self, plain: Any) -> dict[str, Any]:
        """All fields that change results: those of choices not made are left out."""
        idle = {
            "folds": self.ensemble != "folds",
            "momentum": self.optimizer != "sgd_poly",
        }
        found = super().identity_in(plain)
        return {key: value for key, value in found.items() if not idle.get(key)}


class InferenceConfig(Frozen):
    """How the pool is predicted for a query."""

    tta: bool = Field(False, description="average over mirrored inputs")
    step: TileStep = Field(0.75, description="tile step as a share of the window")
    gaussian: bool = added(
        True,
        neutral=True,
        description="weight overlapping windows by a Gaussian, not evenly (nnU-Net: use_gaussian)",
    )


class SurfaceConfig(Frozen):
    """Surface Dice and the 95 % Hausdorff distance beside Dice."""

    tolerance_mm: PositiveFloat = Field(
        1.0, description="distances up to this count as none for the surface Dice"
    )


class EvaluationConfig(Frozen):
    """How labelled cases are predicted and judged; one protocol for all compute options."""

    tta: bool = Field(False, description="average over mirrored inputs; preset nnunet: true")
    step: TileStep = 0.5
    grid: Literal["resampled", "original"] = added(
        "resampled",
        neutral="resampled",
        description="where predictions are held against labels; preset nnunet: original",
    )
    surface: SurfaceConfig | None = Field(None, description="also judge surfaces, in mm")
    test: bool = Field(True, description="judge the test part too, where the dataset has one")


class TrajectoryConfig(Frozen):
    """One strategy in one setting with one seed, from starting budget to last loop."""

    dataset: Place
    strategy: StrategySpec = StrategySpec(name="predictive_entropy")
    starting_budget: StartingBudgetConfig = StartingBudgetConfig()
    query: QueryConfig
    training: TrainingConfig = Field(default_factory=lambda: TrainingConfig.model_validate({}))
    inference: InferenceConfig = InferenceConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    annotator: AnnotatorConfig = added(AnnotatorConfig(), neutral=AnnotatorConfig())
    seed: Seed = 0

    @model_validator(mode="before")
    @classmethod
    def _judge_as_the_preset_does(cls, value: Any, info: ValidationInfo) -> Any:
        """What alsweep wrote has all values written out, or means what it did before."""
        if is_stored(info) or not isinstance(value, dict):
            return value
        training, written = value.get("training"), value.get("evaluation", {})
        preset = training.get("preset") if isinstance(training, dict) else None
        if isinstance(training, TrainingConfig):
            preset = training.preset
        if not isinstance(preset, str) or not isinstance(written, dict):
            return value
        return value | {"evaluation": JUDGED_BY_PRESET.get(preset, {}) | written}

    @property
    def start(self) -> StartingBudgetConfig:
        """The starting budget with what it takes from the query written out."""
        start, query = self.starting_budget, self.query
        patches, share = start.patches, start.free_label_share
        return start.model_copy(
            update={
                "patches": query.patches if patches is None else patches,
                "free_label_share": query.free_label_share if share is None else share,
            }
        )

    @property
    def starting_patches(self) -> int:
        """Patches annotated before the first training, whole cases included."""
        return (self.start.patches or 0) + self.starting_budget.whole_cases

    def patches_at(self, loop: int) -> int:
        """Patches annotated when training ``loop`` begins."""
        return self.starting_patches + loop * self.query.patches

    def identity_on(self, dataset_fingerprint: str) -> dict[str, Any]:
        """What the results follow from; the dataset enters by fingerprint, the label not."""
        identity = self.model_copy(update={"starting_budget": self.start}).identity()
        if self.annotator.kind == "human":
            # People go on as long as they like.
            identity["query"] = {k: v for k, v in identity["query"].items() if k != "loops"}
        return {**identity, "schema": SCHEMA, "dataset": dataset_fingerprint}

    def setting_hash(self, dataset_fingerprint: str) -> str:
        """Hash of everything but strategy and seed: trajectories that may be compared share it."""
        identity = self.identity_on(dataset_fingerprint)
        return fingerprint({k: v for k, v in identity.items() if k not in ("strategy", "seed")})

    def trajectory_id(self, dataset_fingerprint: str) -> str:
        """Folder name: at most 60 of ``[a-z0-9._-]``, ending in 8 hex digits of the hash."""
        digest = fingerprint(self.identity_on(dataset_fingerprint))[:8]
        readable = f"{_safe(self.strategy.name)[:32]}-p{self.query.patch_size_text}-s{self.seed}"
        return f"{readable[:51]}-{digest}"


def _safe(text: str) -> str:
    """Lower-case letters, digits and ``._-`` only."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in text.lower())
