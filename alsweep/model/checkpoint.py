"""The model store: members and evaluations by content, published whole or not at all."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from alsweep.files import read_json, sync_folder, write_json

_WEIGHTS = "weights.pt"
_META = "meta.json"
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class ModelStore:
    """Folders named by key, shared by all trajectories of a sweep.

    A publication is one rename of a finished folder: the first wins, and a later one is thrown
    away, so that equal keys mean equal content for every reader.

    Attributes:
        root: The folder; made on first use.
        most_bytes: What the store may hold; the entries longest unused go first. They can be made
            again.
    """

    root: Path
    most_bytes: int

    def meta(self, key: str) -> dict[str, Any] | None:
        """What is stored beside an entry, or None where there is no entry."""
        try:
            meta: dict[str, Any] = read_json(self.root / key / _META)
        except FileNotFoundError:
            return None
        return meta

    def weights(self, key: str) -> dict[str, torch.Tensor] | None:
        """A member's weights, on the CPU; None where they are not there."""
        path = self.root / key / _WEIGHTS
        try:
            (self.root / key / _META).touch()
            weights: dict[str, torch.Tensor] = torch.load(
                path, map_location="cpu", weights_only=True
            )
        except FileNotFoundError:
            return None
        return weights

    def publish(
        self, key: str, meta: dict[str, Any], weights: dict[str, torch.Tensor] | None = None
    ) -> None:
        """Store an entry unless it is there already, then make room."""
        self.root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=self.root))
        try:
            if weights is not None:
                cpu = {name: tensor.detach().cpu() for name, tensor in weights.items()}
                torch.save(cpu, folder / _WEIGHTS)
            write_json(folder / _META, meta)
            folder.chmod(0o755)
            try:
                folder.rename(self.root / key)
            except OSError:
                if not (self.root / key / _META).exists():
                    raise
            sync_folder(self.root)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._make_room(keep=key)

    def _make_room(self, keep: str) -> None:
        """Remove the entries longest unused until the rest fits, and killed writers' remains."""
        entries = []
        for folder in self.root.iterdir():
            try:
                used = (folder / _META).stat().st_mtime
                size = sum(file.stat().st_size for file in folder.iterdir())
            except FileNotFoundError:
                if folder.name.startswith(".new-") and _age(folder) > _STALE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            if not folder.name.startswith(".new-"):
                entries.append((used, size, folder))
        excess = sum(size for _, size, _ in entries) - self.most_bytes
        for _, size, folder in sorted(entries):
            if excess <= 0:
                return
            if folder.name != keep:
                # Renamed first, so that no reader meets half an entry.
                gone = folder.with_name(f".new-gone-{folder.name}")
                folder.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
                excess -= size


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
