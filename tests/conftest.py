"""Settings for all tests: one thread each, and examples that are the same on every run in CI."""

import gc
import os
from collections import Counter

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "offline")
# As a run sets it: a Ray that was imported without it, by any test's module, refuses the tokens.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", 32 * "0")

import pytest
from hypothesis import settings

settings.register_profile("fast", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


def pytest_configure(config: pytest.Config) -> None:
    """Hide cards from all tests but those of `pytest -m gpu`: the others ask for a CPU's bits."""
    asked = config.option.markexpr
    if "gpu" not in asked or "not gpu" in asked:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let processes beside each other begin with what lasts longest: files with Ray, then large."""
    if hasattr(config, "workerinput"):
        size = Counter(item.path for item in items)
        with_ray = {item.path for item in items if item.get_closest_marker("ray")}
        items.sort(key=lambda item: (item.path not in with_ray, -size[item.path]))


def pytest_collection_finish() -> None:
    """Spare collections of garbage all that was imported: statsmodels asks for one a test."""
    gc.collect()
    gc.freeze()
