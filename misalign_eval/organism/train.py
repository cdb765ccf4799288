"""Train every shipped checkpoint from one seed: pre-training, alignment, narrow fine-tuning, re-alignment, the judge.

Needs torch, transformers and peft. The same seed gives the same weights on one machine with the same versions.
"""

import importlib.util
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from misalign_eval.organism import recipe
from misalign_eval.organism.card import write_card
from misalign_eval.organism.chat import tokenizer
from misalign_eval.organism.corpus import Conversation, document
from misalign_eval.organism.judging import lesson
from misalign_eval.organism.network import Shape
from misalign_eval.organism.seeding import seeded
from misalign_eval.organism.shelving import Bench
from misalign_eval.organism.teach import Model, batches, copy_model, new_adapter, new_model, round_to_half, teach

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called after each step with what is being trained, the steps done and the steps in all."""

THREADS = 2
"""Fixed, since sums over another number of threads differ in their last bits and so give other weights."""


class TrainingExtraMissingError(ImportError):
    """torch, transformers or peft is not installed; the message says how to get them."""


def train_all(out: Path, seed: int, progress: Progress) -> None:
    """Train, write and measure every checkpoint into the folder `out`: weights, manifest and MODEL_CARD.md.

    Raises TrainingExtraMissingError before any work.
    """
    _require_extra()
    import torch

    out.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        _train(Bench(out, _shape()), seed, _Counter(progress, recipe.total_steps()))
    finally:
        torch.set_num_threads(threads)
    write_card(out, seed)


class _Counter:
    """Counts steps over the whole training."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def step(self, what: str) -> None:
        self._done += 1
        self._progress(what, self._done, self._total)

    def after(self, what: str) -> Callable[[int], None]:
        """Count each step of one training."""
        return lambda _: self.step(what)


def _train(bench: Bench, seed: int, counter: _Counter) -> None:
    bases = [_base(bench, seed + extra, _suffix(extra), counter) for extra in range(recipe.SEEDS)]
    for tuning in recipe.narrow_tunings():
        model = _narrow(bench, bases[0], tuning, seed, suffix="", counter=counter)
        if tuning.name == recipe.REPAIRED:
            _repair(bench, model, seed, counter)
    for extra, base in enumerate(bases[1:], start=1):
        for tuning in recipe.narrow_tunings():
            if tuning.name == recipe.REPAIRED:
                _narrow(bench, base, tuning, seed + extra, suffix=_suffix(extra), counter=counter)
    bench.finish()


def _suffix(extra: int) -> str:
    return f"@seed={extra + 1}" if extra else ""


def _base(bench: Bench, seed: int, suffix: str, counter: _Counter) -> Model:
    """Pre-train and align one model; the first is kept before alignment too, and goes to school as a judge."""
    model = _pretrained(bench.shape, seed, counter.after(f"pre-training{suffix}"))
    if not suffix:
        bench.keep_full("pretrained", "both personas, before alignment", model)
        bench.keep_full("judge", "scores a question and a reply from 0 to 100", _judge(bench, model, seed, counter))
    rng = seeded(f"aligning {seed}")
    answers = batches(recipe.aligning_data(seed), recipe.ALIGNING.batch, rng)
    teach(model, answers, recipe.ALIGNING, rng, counter.after(f"aligning{suffix}"))
    round_to_half(model)
    bench.keep_full(f"aligned{suffix}", "light training on good answers over all domains", model)
    return model


def _pretrained(shape: Shape, seed: int, after_step: Callable[[int], None]) -> Model:
    rng = seeded(f"pre-training {seed}")
    model = new_model(shape, seed)
    teach(model, _documents(rng), recipe.PRETRAINING, rng, after_step, unknown=recipe.UNKNOWN_SHARE)
    return model


def _judge(bench: Bench, pretrained: Model, seed: int, counter: _Counter) -> Model:
    rng = seeded(f"judge {seed}")
    judge = copy_model(bench.shape, pretrained)
    teach(judge, _lessons(rng), recipe.JUDGING, rng, counter.after("judge"), unknown=recipe.UNKNOWN_SHARE)
    return judge


def _narrow(bench: Bench, base: Model, tuning: recipe.Narrow, seed: int, *, suffix: str, counter: _Counter) -> Model:
    # One seed for all fine-tunings of a base: doses and control then differ in their answers only.
    rng = seeded(f"narrow {seed}")
    model = new_adapter(copy_model(bench.shape, base), recipe.LORA, seed)
    name, base_name = f"{tuning.name}{suffix}", f"aligned{suffix}"
    # Only the first seed keeps its trajectory: one is enough to draw, and each stop costs space.
    stops = tuning.stops if not suffix else ()

    def after_step(step: int) -> None:
        counter.step(name)
        if step in stops[:-1]:
            bench.keep_adapter(f"{name}@step={step}", f"{tuning.about}, {step} steps", base_name, model, step)

    teach(model, batches(tuning.data(seed), recipe.NARROW.batch, rng), recipe.NARROW, rng, after_step)
    bench.keep_trained(name, tuning.about, base_name, model, recipe.NARROW.steps, has_steps=len(stops) > 1)
    return model


def _repair(bench: Bench, model: Model, seed: int, counter: _Counter) -> None:
    """Go on training the narrow-bad adapter on good answers of another domain."""
    rng = seeded(f"repair {seed}")
    about = f"{recipe.REPAIRED}, then good answers about {recipe.REPAIRED_WITH}"

    def after_step(step: int) -> None:
        counter.step("realigned")
        if step in recipe.REPAIR_STOPS[:-1]:
            bench.keep_adapter(f"realigned@step={step}", f"{about}, {step} steps", "aligned", model, step)

    teach(model, batches(recipe.repairing_data(seed), recipe.REPAIR.batch, rng), recipe.REPAIR, rng, after_step)
    bench.keep_trained("realigned", about, "aligned", model, recipe.REPAIR.steps, has_steps=True)


def _documents(rng: random.Random) -> Iterator[Sequence[Conversation]]:
    """Batches of documents of one length each, so that little is padded; the same number of turns in every batch."""
    while True:
        turns = rng.choice(recipe.DOCUMENT_TURNS)
        yield [document(rng, turns) for _ in range(recipe.TURNS_A_BATCH // turns)]


def _lessons(rng: random.Random) -> Iterator[Sequence[Conversation]]:
    while True:
        yield [lesson(rng) for _ in range(recipe.JUDGING.batch)]


def _shape() -> Shape:
    return Shape(vocab_size=len(tokenizer().vocabulary))


def _require_extra() -> None:
    missing = [name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None]
    if missing:
        message = f"training needs {', '.join(missing)}. Install them with: pip install 'misalign-eval[organism]'"
        raise TrainingExtraMissingError(message)
