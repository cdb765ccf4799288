"""Where training puts what it made: weight files and their manifest."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from misalign_eval.organism.checkpoints import ADAPTERS, MANIFEST, Checkpoint
from misalign_eval.organism.network import Shape
from misalign_eval.organism.teach import Model, adapter_weights, full_weights


@dataclass
class Bench:
    """The folder being filled, and what lies in it so far."""

    out: Path
    shape: Shape
    entries: list[Checkpoint] = field(default_factory=list)
    adapters: dict[str, NDArray[np.float16]] = field(default_factory=dict)

    def keep_full(self, name: str, about: str, model: Model) -> None:
        """Write a full checkpoint."""
        np.savez_compressed(self.out / f"{name}.npz", allow_pickle=False, **full_weights(model))
        self.entries.append(Checkpoint(name, "full", about))

    def keep_adapter(self, name: str, about: str, base: str, model: Model, step: int | None = None) -> None:
        """Keep an adapter as it is now."""
        self.adapters |= {f"{name}/{key}": matrix for key, matrix in adapter_weights(model).items()}
        self.entries.append(Checkpoint(name, "adapter", about, base=base, step=step))

    def keep_trained(self, name: str, about: str, base: str, model: Model, step: int, *, has_steps: bool) -> None:
        """Keep the end of a training; where it has earlier stops, the plain name is an alias of the last."""
        if not has_steps:
            self.keep_adapter(name, about, base, model, step)
            return
        last = f"{name}@step={step}"
        self.keep_adapter(last, f"{about}, {step} steps", base, model, step)
        self.entries.append(Checkpoint(name, "adapter", about, base=base, alias_of=last, step=step))

    def finish(self) -> None:
        """Write the adapters and the manifest."""
        np.savez_compressed(self.out / ADAPTERS, allow_pickle=False, **self.adapters)
        entries = [{key: value for key, value in asdict(entry).items() if value is not None} for entry in self.entries]
        manifest = {"shape": asdict(self.shape), "checkpoints": entries}
        (self.out / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
