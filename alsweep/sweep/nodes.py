"""Whether all nodes of a cluster see the same places, asked before anything is trained."""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from alsweep import __version__
from alsweep.errors import ConfigError, DatasetError, RunFolderError
from alsweep.files import mirror_above, write_bytes
from alsweep.layout import probe_path
from alsweep.storage.place import is_remote
from alsweep.sweep.plan import Plan

_SECONDS_TO_LOOK = 120.0
"""Of the first worker on a node, which may have to fetch the package."""

_log = logging.getLogger(__name__)


def check_nodes(run: Path, plan: Plan) -> None:
    """See that every node has the run folder and the datasets that this process has.

    A node that does not answer is left to Ray; one that joins later finds out when it works. What
    lies in an object store is there for all who can reach it, and is not looked for.

    Args:
        run: The run folder; the caller holds its lock.
        plan: Names the datasets.

    Raises:
        RunFolderError: A node sees another folder at the run's place, or cannot write there.
        DatasetError: A node lacks a dataset, or has another one there.
        ConfigError: A node has another alsweep.
    """
    made = (*plan.trajectories, *plan.examples)
    every = {one.config.dataset: one.dataset_fingerprint for one in made}
    datasets = {place: value for place, value in every.items() if not is_remote(place)}
    if mirror_above(probe_path(run, "")) is not None:
        _refuse(run, dict(_asked(None, datasets)))
        return
    probe = probe_path(run, secrets.token_hex(8))
    write_bytes(probe, b"")
    try:
        _refuse(run, dict(_asked(probe, datasets)))
    finally:
        probe.unlink(missing_ok=True)


def _asked(probe: Path | None, datasets: Mapping[Path, str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Each node's address, and what :func:`look` says there."""
    alive = {one["NodeID"]: one["NodeManagerAddress"] for one in ray.nodes() if one["Alive"]}
    remote = ray.remote(num_cpus=0, max_retries=0)(look)
    asked = {}
    for id_, address in alive.items():
        there = NodeAffinitySchedulingStrategy(node_id=id_, soft=False)
        asked[remote.options(scheduling_strategy=there).remote(probe, datasets, __version__)] = (
            address
        )
    ready, silent = ray.wait(list(asked), num_returns=len(asked), timeout=_SECONDS_TO_LOOK)
    for one in ready:
        yield asked[one], _answer(one)
    for one in silent:
        ray.cancel(one, force=True)
        _log.warning("warning: node %s has not said what it sees; going on", asked[one])


def _answer(ready: Any) -> Sequence[str]:
    try:
        found: Sequence[str] = ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        # Unpickling alone fails where this module is not known.
        return ("alsweep", str(error).splitlines()[-1])
    except ray.exceptions.RayError:
        return ()  # a node that was lost meanwhile
    return found


def look(probe: Path | None, datasets: Mapping[Path, str], version: str) -> Sequence[str]:
    """What is wrong on this node: with ``run``, ``dataset`` or ``alsweep``, and words.

    Args:
        probe: A file that the asking process has just made in the run folder, if nodes share one.
        datasets: Place to fingerprint.
        version: Of alsweep, where it was asked.
    """
    if version != __version__:
        return ("alsweep", f"has alsweep {__version__}, not {version}")
    wrong = None if probe is None else _wrong_with_run(probe)
    if wrong is not None:
        return ("run", wrong)
    for place, fingerprint in datasets.items():
        wrong = _wrong_with_dataset(place, fingerprint)
        if wrong is not None:
            return ("dataset", wrong)
    return ()


def _wrong_with_run(probe: Path) -> str | None:
    try:
        probe.stat()
        with tempfile.TemporaryFile(dir=probe.parent):
            return None
    except FileNotFoundError:
        return "does not see it"
    except OSError as error:
        return f"cannot write there ({error.strerror})"


def _wrong_with_dataset(place: Path, fingerprint: str) -> str | None:
    from alsweep.data.case import Dataset

    try:
        found = Dataset.open(place).fingerprint
    except DatasetError:
        return f"has no Dataset at {place}"
    return None if found == fingerprint else f"has another Dataset at {place}"


def _refuse(run: Path, found: Mapping[str, Sequence[str]]) -> None:
    """One line for all nodes.

    Raises:
        RunFolderError: See :func:`check_nodes`; so are the others.
    """
    wrong = {node: answer for node, answer in found.items() if answer}
    if not wrong:
        return
    (node, (what, words)), more = next(iter(wrong.items())), len(wrong) - 1
    others = f", and so it is on {more} more of {len(found)} nodes" if more else ""
    told = f"node {node} {words}{others}"
    if what == "run":
        raise RunFolderError(
            f"{run}: {told}; --out must be a folder that all nodes of the cluster share"
        )
    if what == "dataset":
        raise DatasetError(
            f"dataset: {told}; bring it to that place on every node, or name one that all share"
        )
    raise ConfigError(
        f"alsweep: {told}; install the same on all nodes, or let 'alsweep submit' bring it"
    )
