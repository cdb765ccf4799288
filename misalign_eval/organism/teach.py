"""The training loops, in torch: pre-training, fine-tuning of all weights, and low-rank adapters.

torch, transformers and peft are imported where they are used: running the organism needs none of them.
"""

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from misalign_eval.organism.chat import tokenizer
from misalign_eval.organism.corpus import Conversation
from misalign_eval.organism.network import Shape
from misalign_eval.organism.tokenizer import BOS, EOS, UNK

Model: TypeAlias = Any
"""A torch module; torch is no dependency of the package, so its types are not known here."""

IGNORED = -100
"""Target of a token that is read but not learned."""


@dataclass(frozen=True)
class Course:
    """How long and how fast to train: AdamW at `rate`, `batch` conversations a step.

    `warm_up` and `cool_down` are shares of the steps during which the rate rises from and falls to nothing.
    """

    steps: int
    rate: float
    batch: int = 16
    warm_up: float = 0.0
    cool_down: float = 0.0

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rise = (step + 1) / (self.warm_up * self.steps + 1)
        fall = (self.steps - step) / (self.cool_down * self.steps + 1)
        return self.rate * min(1.0, rise, fall)


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter: rank, and which matrices of which layers it changes."""

    rank: int
    modules: tuple[str, ...]
    layers: tuple[int, ...]


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


def teach(
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
