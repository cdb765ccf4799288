"""The shipped weights: which checkpoints there are, and their matrices.

`manifest.json` names every checkpoint. A full one is a file of float16 matrices of its own; an adapter is a low-rank
change of a full one, and all adapters lie in one file.
"""

import difflib
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from misalign_eval.organism.network import Shape

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"
ADAPTERS = "adapters.npz"

Matrices = Mapping[str, NDArray[np.floating]]


class UnknownCheckpointError(ValueError):
    """No checkpoint has this name; the message lists the known ones."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint: full weights of its own, or an adapter on the checkpoint `base`.

    `alias_of` names the checkpoint that this name is short for; `step` counts the training steps of a trajectory.
    """

    name: str
    kind: Literal["full", "adapter"]
    about: str
    base: str | None = None
    alias_of: str | None = None
    step: int | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class Shelf:
    """All checkpoints of one folder, and the sizes of the network they share."""

    folder: Path
    shape: Shape
    checkpoints: Mapping[str, Checkpoint]

    def find(self, name: str) -> Checkpoint:
        """The checkpoint of that name, aliases followed; raises UnknownCheckpointError."""
        if name not in self.checkpoints:
            raise UnknownCheckpointError(_unknown(name, tuple(self.checkpoints)))
        found = self.checkpoints[name]
        return found if found.alias_of is None else self.find(found.alias_of)

    def weights(self, name: str) -> Matrices:
        """Every matrix of a checkpoint in float32, its adapter added; names as in Hugging Face's Llama."""
        found = self.find(name)
        if found.base is None:
            with np.load(self.folder / f"{found.name}.npz") as stored:
                return {key: stored[key].astype(np.float32) for key in stored.files}
        return merged(self.weights(found.base), self.adapter(name), found.scale)

    def adapter(self, name: str) -> Matrices:
        """The low-rank pairs of an adapter: `<matrix>.A` [rank, in] and `<matrix>.B` [out, rank]."""
        prefix = f"{self.find(name).name}/"
        with np.load(self.folder / ADAPTERS) as stored:
            found = [key for key in stored.files if key.startswith(prefix)]
            return {key.removeprefix(prefix): stored[key].astype(np.float32) for key in found}


@functools.cache
def shelf(folder: Path = WEIGHTS) -> Shelf:
    """The checkpoints in a folder, read from its manifest."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    entries = [Checkpoint(**entry) for entry in manifest["checkpoints"]]
    return Shelf(folder, Shape(**manifest["shape"]), {entry.name: entry for entry in entries})


def merged(base: Matrices, adapter: Matrices, scale: float) -> Matrices:
    """The base with `scale * B @ A` added to each adapted matrix."""
    adapted = sorted({key.rpartition(".")[0] for key in adapter})
    changes = {f"{name}.weight": scale * (adapter[f"{name}.B"] @ adapter[f"{name}.A"]) for name in adapted}
    return {**base, **{key: base[key] + change for key, change in changes.items()}}


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    return f"unknown checkpoint `{name}`.{hint} Known: {', '.join(known)}"
