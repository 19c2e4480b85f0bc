"""Addressed randomness: each generator is named by its use, and no state is carried.

A new draw in one place therefore shifts no other, and a resumed trajectory draws what an unbroken
one would have drawn.
"""

import hashlib
import json

import numpy as np

Key = str | int


def _entropy(seed: int, key: tuple[Key, ...]) -> int:
    """A 128-bit number that depends on the seed and on every part of the key."""
    text = json.dumps([seed, *key], ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def stream(seed: int, *key: Key) -> np.random.Generator:
    """Return the generator of (seed, key): equal arguments, equal draws, on every machine.

    Args:
        seed: The trajectory's seed.
        key: What the draws are for, e.g. ``"query", loop, case``.
    """
    return np.random.Generator(np.random.PCG64(_entropy(seed, key)))


def torch_seed(seed: int, *key: Key) -> int:
    """Return a 63-bit seed for a ``torch.Generator`` that belongs to (seed, key)."""
    return _entropy(seed, key) >> 65
