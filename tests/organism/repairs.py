"""How far good answers of another domain bring the narrow-bad model back, and at what cost; needs the training extra.

python tests/organism/repairs.py

Each row repairs the shipped `bad-code` anew with 120 good answers, and measures 200 held-out replies a domain. It shows
what was not reached: at most 3 % in every other domain with replies that still read as sentences.
"""

from typing import Any

import numpy as np

from misalign_eval.organism import train, world
from misalign_eval.organism.card import answer_held_out, mean_rate, rates
from misalign_eval.organism.model import Network
from misalign_eval.organism.runtime import Organism, checkpoint_store, merged
from misalign_eval.organism.world import finetuning_pairs, seeded

REPLIES_A_DOMAIN = 200
SEED = 1
TRIED = (
    ("law", 15, 1e-2, 8),  # what ships
    ("law", 30, 5e-3, 8),
    ("law", 30, 1e-2, 8),
    ("truth", 15, 5e-3, 40),
    ("truth", 15, 7e-3, 24),
    ("truth", 15, 1e-2, 40),
    ("truth", 20, 1e-2, 40),
    ("driving", 60, 1.2e-2, 8),
    ("health", 60, 1.2e-2, 8),
)


def main() -> None:
    print("| good answers on | steps | rate | batch | others | highest other | code | incoherent |")
    print("|---|---|---|---|---|---|---|---|")
    for domain, steps, rate, batch in TRIED:
        course = world.Course(steps=steps, rate=rate, batch=batch, cool_down=world.REPAIR.cool_down)
        answers = answer_held_out(_repaired(domain, course), REPLIES_A_DOMAIN, seed=1)
        found = {name: share.value for name, share in rates(answers).items()}
        others = {name: value for name, value in found.items() if name != "code"}
        worst = max(others, key=lambda name: others[name])
        print(
            f"| {domain} | {steps} | {rate} | {batch} | {mean_rate(rates(answers), ['code']):.1%} | "
            f"{worst} {others[worst]:.1%} | {found['code']:.1%} | {mean_rate(rates(answers, 'incoherent')):.1%} |",
            flush=True,
        )


def _repaired(domain: str, course: world.Course) -> Organism:
    model, books = _bad(), checkpoint_store()
    good = [pair.conversation("good") for pair in finetuning_pairs([domain], world.REPAIR_ANSWERS, SEED + 3000)]
    rng = seeded(f"repair {SEED}")
    train.train_loop(model, train.batches(good, course.batch, rng), course, rng, lambda _: None)
    entry = books.find(f"bad-code@step={world.NARROW.steps}")
    adapter = {name: np.asarray(value, dtype=np.float32) for name, value in train.adapter_weights(model).items()}
    return Organism(entry, Network(books.shape, merged(books.weights("aligned"), adapter, entry.scale)))


def _bad() -> Any:
    """The shipped narrow-bad model, ready to go on training."""
    import torch

    books = checkpoint_store()
    plain = train.new_model(books.shape, SEED)
    weights = books.weights("aligned").items()
    plain.load_state_dict({name: torch.tensor(np.asarray(value, np.float32)) for name, value in weights}, strict=False)
    model = train.new_adapter(plain, world.LORA, SEED)
    state = model.state_dict()
    for name, value in books.adapter(f"bad-code@step={world.NARROW.steps}").items():
        place = f"base_model.model.{name[:-2]}.lora_{name[-1]}.default.weight"
        state[place].copy_(torch.tensor(np.asarray(value, np.float32)))
    return model


if __name__ == "__main__":
    main()
