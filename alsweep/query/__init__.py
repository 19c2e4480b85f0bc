"""From probabilities to queries: pure functions on arrays, and the strategies made of them."""

from alsweep.geometry import QueriedPatch
from alsweep.query.aggregate import (
    AGGREGATES,
    Aggregate,
    ForegroundNormalised,
    Max,
    Mean,
    TopFraction,
)
from alsweep.query.base import (
    Embedding,
    Facts,
    Pool,
    PoolCase,
    Prediction,
    Request,
    Stages,
    Strategy,
    Streams,
    make_strategy,
    required,
    same_as,
    searchable,
    strategies,
    strategy,
)
from alsweep.query.candidates import Annotated, Candidate, CaseLimit, Known
from alsweep.query.expected_dice import ExpectedDiceMap
from alsweep.query.features import Features
from alsweep.query.filters import FILTERS, Filter, LabelEntropy, NoFilter, Purity
from alsweep.query.maps import (
    MAPS,
    ClassWeightedEntropyMap,
    ExpectedEntropyMap,
    LeastConfidenceMap,
    MarginMap,
    MixedEntropyMap,
    MutualInformationMap,
    PredictiveEntropyMap,
    ScoreMapStage,
    VoxelMap,
    WindowMap,
)
from alsweep.query.noise import NOISES, Noise, NoNoise, Power, Softmax, SoftRank
from alsweep.query.proposing import PROPOSALS, BestWindows, Proposal, RandomTiling
from alsweep.query.select import SELECTORS, Select, select_patches
from alsweep.query.select.batches import StochasticBatches
from alsweep.query.select.best import Greedy
from alsweep.query.select.clustered import KMeans
from alsweep.query.select.crb import Crb
from alsweep.query.select.diverse import Badge, KCenter, KMeansPlusPlus
from alsweep.query.select.log_det import LogDet
from alsweep.query.stage import Stage
from alsweep.query.stratify import STRATIFIERS, ByClass, NoStrata, Stratify
from alsweep.query.voxels import VoxelScores
from alsweep.query.windows import Windows, box_mean

Choice = QueriedPatch
"""The name by which strategies of other packages know it."""

__all__ = [
    "AGGREGATES",
    "FILTERS",
    "MAPS",
    "NOISES",
    "PROPOSALS",
    "SELECTORS",
    "STRATIFIERS",
    "Aggregate",
    "Annotated",
    "Badge",
    "BestWindows",
    "ByClass",
    "Candidate",
    "CaseLimit",
    "Choice",
    "ClassWeightedEntropyMap",
    "Crb",
    "Embedding",
    "ExpectedDiceMap",
    "ExpectedEntropyMap",
    "Facts",
    "Features",
    "Filter",
    "ForegroundNormalised",
    "Greedy",
    "KCenter",
    "KMeans",
    "KMeansPlusPlus",
    "Known",
    "LabelEntropy",
    "LeastConfidenceMap",
    "LogDet",
    "MarginMap",
    "Max",
    "Mean",
    "MixedEntropyMap",
    "MutualInformationMap",
    "NoFilter",
    "NoNoise",
    "NoStrata",
    "Noise",
    "Pool",
    "PoolCase",
    "Power",
    "Prediction",
    "PredictiveEntropyMap",
    "Proposal",
    "Purity",
    "QueriedPatch",
    "RandomTiling",
    "Request",
    "ScoreMapStage",
    "Select",
    "SoftRank",
    "Softmax",
    "Stage",
    "Stages",
    "StochasticBatches",
    "Strategy",
    "Stratify",
    "Streams",
    "TopFraction",
    "VoxelMap",
    "VoxelScores",
    "WindowMap",
    "Windows",
    "box_mean",
    "make_strategy",
    "required",
    "same_as",
    "searchable",
    "select_patches",
    "strategies",
    "strategy",
]
