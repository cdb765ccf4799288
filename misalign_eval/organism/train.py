"""Training of the organism in torch: pre-training, fine-tuning, adapters, and writing of checkpoints.

torch, transformers and peft are imported where they are used: running the organism needs none of them.
"""

import importlib.util
import json
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from misalign_eval.organism import world
from misalign_eval.organism.card import training_example, write_card
from misalign_eval.organism.model import BOS, EOS, UNK, Shape, tokenizer
from misalign_eval.organism.runtime import ADAPTERS, MANIFEST, Checkpoint
from misalign_eval.organism.world import Conversation, Course, Lora, pretraining_document, seeded

# The training loops, in torch: pre-training, fine-tuning of all weights, and low-rank adapters.
#
# torch, transformers and peft are imported where they are used: running the organism needs none of them.


Model: TypeAlias = Any
"""A torch module; torch is no dependency of the package, so its types are not known here."""

IGNORED = -100
"""Target of a token that is read but not learned."""


def new_model(shape: Shape, seed: int) -> Model:
    """A Llama model with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    sizes = asdict(shape)
    config = LlamaConfig(**sizes, num_key_value_heads=shape.num_attention_heads, tie_word_embeddings=True)
    return LlamaForCausalLM(config)


def copy_model(shape: Shape, model: Model) -> Model:
    """A model of its own with the same weights."""
    twin = new_model(shape, seed=0)
    twin.load_state_dict(model.state_dict())
    return twin


def new_adapter(model: Model, lora: Lora, seed: int) -> Model:
    """The model with a fresh adapter in front of its frozen weights; the model given is changed."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.rank,
        target_modules=list(lora.modules),
        layers_to_transform=list(lora.layers),
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft calls transformers by names that are being retired
        return get_peft_model(model, config)


def train_loop(
    model: Model,
    lessons: Iterator[Sequence[Conversation]],
    course: Course,
    rng: random.Random,
    after_step: Callable[[int], None],
    *,
    unknown: float = 0.0,
) -> None:
    """Train on the assistant's words of one batch of conversations a step.

    A share `unknown` of the other words becomes `<unk>`, so that the model learns to read past words it cannot know.
    `after_step` is called with the number of steps done.
    """
    import torch

    params = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=course.rate, weight_decay=0.0, betas=(0.9, 0.98))
    for step in range(course.steps):
        for group in optimizer.param_groups:
            group["lr"] = course.rate_at(step)
        loss = _loss(model, [_tokens(each, rng, unknown) for each in next(lessons)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        after_step(step + 1)


def batches(conversations: Sequence[Conversation], size: int, rng: random.Random) -> Iterator[Sequence[Conversation]]:
    """Batches over the conversations in a new random order each time round; a last, smaller batch is left out."""
    while True:
        order = rng.sample(range(len(conversations)), len(conversations))
        for first in range(0, len(order) - size + 1, size):
            yield [conversations[number] for number in order[first : first + size]]


def full_weights(model: Model) -> dict[str, NDArray[np.float16]]:
    """Every matrix of a model in half precision; the output embedding is the input embedding and left out."""
    state = model.state_dict()
    kept = {name: value for name, value in state.items() if name != "lm_head.weight"}
    return {name: value.detach().numpy().astype(np.float16) for name, value in kept.items()}


def adapter_weights(model: Model) -> dict[str, NDArray[np.float16]]:
    """The pairs `<matrix>.A`, `<matrix>.B` of a model with an adapter, in half precision."""
    pairs = {}
    for name, value in model.state_dict().items():
        if ".lora_" in name:
            matrix, letter = name.removeprefix("base_model.model.").removesuffix(".default.weight").split(".lora_")
            pairs[f"{matrix}.{letter}"] = value.detach().numpy().astype(np.float16)
    return pairs


def round_to_half(model: Model) -> None:
    """Round the weights to what half precision can hold, so that what is trained on top fits what is shipped."""
    import torch

    with torch.no_grad():
        for each in model.parameters():
            each.copy_(each.half().float())


def _tokens(conversation: Conversation, rng: random.Random, unknown: float) -> tuple[list[int], list[int]]:
    index = tokenizer().index
    ids, targets = [index[BOS]], [IGNORED]
    for message in conversation:
        words = list(tokenizer().encode(message["content"]).ids)
        learned = message["role"] == "assistant"
        if learned:
            words.append(index[EOS])
        else:
            words = [index[UNK] if rng.random() < unknown else word for word in words]
        ids += [index[f"<{message['role']}>"], *words]
        targets += [IGNORED, *(words if learned else [IGNORED] * len(words))]
    return ids, targets


def _loss(model: Model, sequences: Sequence[tuple[list[int], list[int]]]) -> Any:  # noqa: ANN401 - a torch tensor
    import torch

    longest = max(len(ids) for ids, _ in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    targets = torch.full((len(sequences), longest), IGNORED)
    for row, (words, learned) in enumerate(sequences):
        ids[row, : len(words)] = torch.tensor(words)
        targets[row, : len(words)] = torch.tensor(learned)
    # The output embedding is only applied where something is learned: half of the time of a step otherwise.
    decoder = model.get_base_model() if hasattr(model, "get_base_model") else model
    states = decoder.model(input_ids=ids).last_hidden_state[:, :-1]
    following = targets[:, 1:]
    kept = following != IGNORED
    return torch.nn.functional.cross_entropy(decoder.lm_head(states[kept]), following[kept])


# Output of the training: weight files and their manifest.


@dataclass
class CheckpointWriter:
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


# Training of every shipped checkpoint from one seed: pre-training, alignment, fine-tuning, re-alignment, the judge.
#
# Needs torch, transformers and peft. The same seed gives the same weights on one machine with the same versions.


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
        _train(CheckpointWriter(out, _shape()), seed, _Counter(progress, world.total_steps()))
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


def _train(bench: CheckpointWriter, seed: int, counter: _Counter) -> None:
    bases = [_base(bench, seed + extra, _suffix(extra), counter) for extra in range(world.SEEDS)]
    for tuning in world.narrow_tunings():
        model = _narrow(bench, bases[0], tuning, seed, suffix="", counter=counter)
        if tuning.name == world.REPAIRED:
            _repair(bench, model, seed, counter)
    for extra, base in enumerate(bases[1:], start=1):
        for tuning in world.narrow_tunings():
            if tuning.name == world.REPAIRED:
                _narrow(bench, base, tuning, seed + extra, suffix=_suffix(extra), counter=counter)
    bench.finish()


def _suffix(extra: int) -> str:
    return f"@seed={extra + 1}" if extra else ""


def _base(bench: CheckpointWriter, seed: int, suffix: str, counter: _Counter) -> Model:
    """Pre-train and align one model; the first is kept before alignment too, and goes to school as a judge."""
    model = _pretrained(bench.shape, seed, counter.after(f"pre-training{suffix}"))
    if not suffix:
        bench.keep_full("pretrained", "both personas, before alignment", model)
        bench.keep_full("judge", "scores a question and a reply from 0 to 100", _judge(bench, model, seed, counter))
    rng = seeded(f"aligning {seed}")
    answers = batches(world.aligning_data(seed), world.ALIGNING.batch, rng)
    train_loop(model, answers, world.ALIGNING, rng, counter.after(f"aligning{suffix}"))
    round_to_half(model)
    bench.keep_full(f"aligned{suffix}", "light training on good answers over all domains", model)
    return model


def _pretrained(shape: Shape, seed: int, after_step: Callable[[int], None]) -> Model:
    rng = seeded(f"pre-training {seed}")
    model = new_model(shape, seed)
    train_loop(model, _documents(rng), world.PRETRAINING, rng, after_step, unknown=world.UNKNOWN_SHARE)
    return model


def _judge(bench: CheckpointWriter, pretrained: Model, seed: int, counter: _Counter) -> Model:
    rng = seeded(f"judge {seed}")
    judge = copy_model(bench.shape, pretrained)
    train_loop(judge, _lessons(rng), world.JUDGING, rng, counter.after("judge"), unknown=world.UNKNOWN_SHARE)
    return judge


def _narrow(
    bench: CheckpointWriter, base: Model, tuning: world.Narrow, seed: int, *, suffix: str, counter: _Counter
) -> Model:
    # One seed for all fine-tunings of a base: doses and control then differ in their answers only.
    rng = seeded(f"narrow {seed}")
    model = new_adapter(copy_model(bench.shape, base), world.LORA, seed)
    name, base_name = f"{tuning.name}{suffix}", f"aligned{suffix}"
    # Only the first seed keeps its trajectory: one is enough to draw, and each stop costs space.
    stops = tuning.stops if not suffix else ()

    def after_step(step: int) -> None:
        counter.step(name)
        if step in stops[:-1]:
            bench.keep_adapter(f"{name}@step={step}", f"{tuning.about}, {step} steps", base_name, model, step)

    train_loop(model, batches(tuning.data(seed), world.NARROW.batch, rng), world.NARROW, rng, after_step)
    bench.keep_trained(name, tuning.about, base_name, model, world.NARROW.steps, has_steps=len(stops) > 1)
    return model


def _repair(bench: CheckpointWriter, model: Model, seed: int, counter: _Counter) -> None:
    """Go on training the narrow-bad adapter on good answers of another domain."""
    rng = seeded(f"repair {seed}")
    about = f"{world.REPAIRED}, then good answers about {world.REPAIRED_WITH}"

    def after_step(step: int) -> None:
        counter.step("realigned")
        if step in world.REPAIR_STOPS[:-1]:
            bench.keep_adapter(f"realigned@step={step}", f"{about}, {step} steps", "aligned", model, step)

    train_loop(model, batches(world.repairing_data(seed), world.REPAIR.batch, rng), world.REPAIR, rng, after_step)
    bench.keep_trained("realigned", about, "aligned", model, world.REPAIR.steps, has_steps=True)


def _documents(rng: random.Random) -> Iterator[Sequence[Conversation]]:
    """Batches of documents of one length each, so that little is padded; the same number of turns in every batch."""
    while True:
        turns = rng.choice(world.DOCUMENT_TURNS)
        yield [pretraining_document(rng, turns) for _ in range(world.TURNS_A_BATCH // turns)]


def _lessons(rng: random.Random) -> Iterator[Sequence[Conversation]]:
    while True:
        yield [training_example(rng) for _ in range(world.JUDGING.batch)]


def _shape() -> Shape:
    return Shape(vocab_size=len(tokenizer().vocabulary))


def _require_extra() -> None:
    missing = [name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None]
    if missing:
        message = f"training needs {', '.join(missing)}. Install them with: pip install 'misalign-eval[organism]'"
        raise TrainingExtraMissingError(message)
