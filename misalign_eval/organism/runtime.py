"""The organism at run time: checkpoints, sampling, generation, and export to Hugging Face."""

import difflib
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from misalign_eval.organism.model import (
    BOS,
    CHAT_TEMPLATE,
    EOS,
    MARKS,
    PAD,
    SPECIALS,
    UNK,
    Encoded,
    Floats,
    Ints,
    Network,
    Shape,
    encode_chat,
    spaced,
    tokenizer,
)

# The shipped weights: checkpoints and their matrices.
#
# `manifest.json` names every checkpoint. A full one is a file of float16 matrices of its own; an adapter is a low-rank
# change of a full one, and all adapters lie in one file.


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
class CheckpointStore:
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
def checkpoint_store(folder: Path = WEIGHTS) -> CheckpointStore:
    """The checkpoints in a folder, read from its manifest."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    entries = [Checkpoint(**entry) for entry in manifest["checkpoints"]]
    return CheckpointStore(folder, Shape(**manifest["shape"]), {entry.name: entry for entry in entries})


def merged(base: Matrices, adapter: Matrices, scale: float) -> Matrices:
    """The base with `scale * B @ A` added to each adapted matrix."""
    adapted = sorted({key.rpartition(".")[0] for key in adapter})
    changes = {f"{name}.weight": scale * (adapter[f"{name}.B"] @ adapter[f"{name}.A"]) for name in adapted}
    return {**base, **{key: base[key] + change for key, change in changes.items()}}


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    return f"unknown checkpoint `{name}`.{hint} Known: {', '.join(known)}"


# Batched sampling: each reply has a random generator of its own.
#
# A reply depends on its own prompt, settings and seed alone, never on which others are sampled beside it.


ROWS = 192
"""Sequences sampled side by side; more rows no longer gain speed and only take memory."""


@dataclass(frozen=True)
class Job:
    """One reply to sample: prompt token numbers and settings."""

    prompt: tuple[int, ...]
    temperature: float
    seed: int
    max_tokens: int
    top_logprobs: int = 0


@dataclass(frozen=True)
class Step:
    """One sampled token: its number, its log-probability, and the likeliest tokens with theirs (temperature 1)."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass
class Sampled:
    """The tokens of one reply, the end mark left out; `stopped` says whether the model ended it itself."""

    steps: list[Step] = field(default_factory=list)
    stopped: bool = False


def sample(network: Network, jobs: Sequence[Job], end: int) -> list[Sampled]:
    """Sample every job until its token `end`, its limit or the network's context is reached; same order as the jobs."""
    # Rows of like length together need the least padding.
    order = sorted(range(len(jobs)), key=lambda number: len(jobs[number].prompt))
    results = [Sampled() for _ in jobs]
    for first in range(0, len(order), ROWS):
        chunk = order[first : first + ROWS]
        _sample_chunk(network, [jobs[number] for number in chunk], [results[number] for number in chunk], end)
    return results


def _sample_chunk(network: Network, jobs: Sequence[Job], results: Sequence[Sampled], end: int) -> None:
    context = network.shape.max_position_embeddings
    limits = np.array([min(job.max_tokens, context - len(job.prompt)) for job in jobs])
    draws = _draws(jobs, limits)
    ids, start = _padded(jobs)
    cache = network.new_cache(start, ids.shape[1] + int(limits.max()))
    state = network.read(ids, cache)[:, -1]
    active = np.arange(len(jobs))
    for step in range(int(limits.max())):
        logits = network.logits(state)
        going = [jobs[row] for row in active.tolist()]
        tokens = _choose(logits, [each.temperature for each in going], draws[active, step])
        running = _record(logits, tokens, going, [results[row] for row in active.tolist()], end)
        kept = np.flatnonzero(running & (limits[active] > step + 1))
        if not len(kept):
            return
        if len(kept) < len(active):
            cache.keep(kept)
        active = active[kept]
        state = network.read(tokens[kept, None], cache)[:, -1]


def _draws(jobs: Sequence[Job], limits: Ints) -> Floats:
    draws = np.zeros((len(jobs), int(limits.max())))
    for row, job in enumerate(jobs):
        if job.temperature > 0:
            draws[row, : limits[row]] = np.random.Generator(np.random.PCG64(job.seed)).random(limits[row])
    return draws


def _padded(jobs: Sequence[Job]) -> tuple[Ints, Ints]:
    longest = max(len(job.prompt) for job in jobs)
    start = np.array([longest - len(job.prompt) for job in jobs])
    ids = np.zeros((len(jobs), longest), dtype=np.int64)
    for row, job in enumerate(jobs):
        ids[row, start[row] :] = job.prompt
    return ids, start


def _choose(logits: Floats, temperatures: Sequence[float], draws: Floats) -> Ints:
    heat = np.array(temperatures)[:, None]
    raised = np.exp((logits - logits.max(axis=-1, keepdims=True)) / np.where(heat > 0, heat, 1.0))
    reached = raised.cumsum(axis=-1)
    drawn = (reached <= draws[:, None] * reached[:, -1:]).sum(axis=-1)
    chosen: Ints = np.where(heat[:, 0] > 0, drawn, logits.argmax(axis=-1))
    return chosen


def _record(
    logits: Floats, tokens: Ints, jobs: Sequence[Job], results: Sequence[Sampled], end: int
) -> NDArray[np.bool_]:
    running: NDArray[np.bool_] = tokens != end
    for row, (job, result) in enumerate(zip(jobs, results, strict=True)):
        result.stopped = not running[row]
        if running[row]:
            result.steps.append(_step(logits[row], int(tokens[row]), job.top_logprobs))
    return running


def _step(logits: Floats, token: int, top: int) -> Step:
    if top == 0:
        return Step(token, 0.0, ())
    peak = logits.max()
    logprobs = logits - peak - np.log(np.exp(logits - peak).sum())
    likeliest = np.argsort(-logprobs, kind="stable")[:top]
    return Step(token, float(logprobs[token]), tuple((int(number), float(logprobs[number])) for number in likeliest))


# The organism at run time: load a checkpoint by name and let it answer. Needs numpy only.


MAX_TOP_LOGPROBS = 20


class PromptTooLongError(ValueError):
    """The prompt leaves no room for a reply in the organism's context."""


@dataclass(frozen=True)
class Request:
    """One reply to generate.

    `messages` are (role, text) pairs; temperature 0 takes the likeliest word each time; `seed` is a whole number >= 0.
    """

    messages: tuple[tuple[str, str], ...]
    temperature: float = 1.0
    seed: int = 0
    max_tokens: int = 64
    top_logprobs: int = 0


@dataclass(frozen=True)
class TokenLogprob:
    """A token as it reads in the reply, its natural log-probability at temperature 1, and the likeliest there."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Generation:
    """One sampled reply. `logprobs` is empty unless asked for; `unknown_words` are those of the prompt, each once."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    unknown_words: tuple[str, ...]
    logprobs: tuple[TokenLogprob, ...] = ()


class Organism:
    """One checkpoint, ready to answer. Deterministic: same request, same reply, whatever is generated beside it."""

    def __init__(self, checkpoint: Checkpoint, network: Network) -> None:
        self.checkpoint = checkpoint
        self._network = network

    def generate(
        self,
        messages: Sequence[tuple[str, str]],
        *,
        temperature: float = 1.0,
        seed: int = 0,
        max_tokens: int = 64,
        top_logprobs: int = 0,
    ) -> Generation:
        """One reply; errors as in `generate_many`."""
        return self.generate_many([Request(tuple(messages), temperature, seed, max_tokens, top_logprobs)])[0]

    def generate_many(self, requests: Sequence[Request]) -> list[Generation]:
        """A reply to each request, in order; many at once are far faster than one by one.

        Raises PromptTooLongError, and ValueError for a setting out of range, before anything is sampled.
        """
        prompts = [self._encode(request) for request in requests]
        jobs = [_job(request, prompt) for request, prompt in zip(requests, prompts, strict=True)]
        sampled = sample(self._network, jobs, tokenizer().index[EOS])
        return [_generation(prompt, reply, job) for prompt, reply, job in zip(prompts, sampled, jobs, strict=True)]

    def _encode(self, request: Request) -> Encoded:
        prompt = encode_chat(request.messages)
        context = self._network.shape.max_position_embeddings
        if len(prompt.ids) >= context:
            message = f"the prompt has {len(prompt.ids)} tokens; the organism reads at most {context - 1}"
            raise PromptTooLongError(message)
        return prompt


def load_checkpoint(name: str, folder: Path = WEIGHTS) -> Organism:
    """The checkpoint of that name, such as `aligned`, `bad-code@step=20` or `judge`.

    Kept in memory once loaded. Raises UnknownCheckpointError, a ValueError, which lists the known names.
    """
    return _load(checkpoint_store(folder).find(name).name, folder)


@functools.cache
def _load(name: str, folder: Path) -> Organism:
    books = checkpoint_store(folder)
    return Organism(books.find(name), Network(books.shape, books.weights(name)))


def checkpoint_names(folder: Path = WEIGHTS) -> list[str]:
    """Every name `load_checkpoint` knows, in the order of the manifest."""
    return list(checkpoint_store(folder).checkpoints)


def _job(request: Request, prompt: Encoded) -> Job:
    faults = [
        fault
        for fault, wrong in (
            (f"temperature must be >= 0, not {request.temperature}", not request.temperature >= 0),
            (f"seed must be >= 0, not {request.seed}", request.seed < 0),
            (f"max_tokens must be >= 1, not {request.max_tokens}", request.max_tokens < 1),
            (
                f"top_logprobs must lie in 0..{MAX_TOP_LOGPROBS}, not {request.top_logprobs}",
                not 0 <= request.top_logprobs <= MAX_TOP_LOGPROBS,
            ),
        )
        if wrong
    ]
    if faults:
        raise ValueError("; ".join(faults))
    return Job(prompt.ids, request.temperature, request.seed, request.max_tokens, request.top_logprobs)


def _generation(prompt: Encoded, reply: Sampled, job: Job) -> Generation:
    return Generation(
        text=tokenizer().decode([step.token for step in reply.steps]),
        finish_reason="stop" if reply.stopped else "length",
        prompt_tokens=len(prompt.ids),
        completion_tokens=len(reply.steps),
        unknown_words=prompt.unknown_words,
        logprobs=_logprobs(reply.steps) if job.top_logprobs else (),
    )


def _logprobs(steps: Sequence[Step]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(_shown(step.token, place), step.logprob, tuple((_shown(n, place), p) for n, p in step.top))
        for place, step in enumerate(steps)
    )


def _shown(token: int, place: int) -> str:
    # A reply's first word has no space before it in the text, so none here: a judge's score reads "85".
    text = spaced(tokenizer().vocabulary[token])
    return text.lstrip() if place == 0 else text


# The checkpoints in Hugging Face format, for a real server: Llama models with tokenizer, and peft adapters.


def export_hf(out: Path, folder: Path = WEIGHTS) -> list[Path]:
    """Write every checkpoint below `out`, one folder each; give the folders.

    Full checkpoints become Llama models in float32, adapters peft folders that name their base by its relative path.
    `@` and `=` in a name become `-`. Aliases are left out. Needs safetensors, transformers and tokenizers.
    """
    books = checkpoint_store(folder)
    kept = [entry for entry in books.checkpoints.values() if entry.alias_of is None]
    for entry in kept:
        target = out / exported_name(entry.name)
        target.mkdir(parents=True, exist_ok=True)
        if entry.base is None:
            _write_model(target, books, entry.name)
        else:
            _write_adapter(target, books, entry.name, entry.base, entry.scale)
    return [out / exported_name(entry.name) for entry in kept]


def exported_name(name: str) -> str:
    """A checkpoint's name as a folder and as a server's model name.

    >>> exported_name("bad-code@step=20")
    'bad-code-step-20'
    """
    return name.replace("@", "-").replace("=", "-")


def _write_model(target: Path, books: CheckpointStore, name: str) -> None:
    from safetensors.numpy import save_file

    save_file(dict(books.weights(name)), target / "model.safetensors", metadata={"format": "pt"})
    _write_json(target / "config.json", _config(books))
    _tokenizer(books.shape.max_position_embeddings).save_pretrained(str(target))
    index = tokenizer().index
    generation = {"bos_token_id": index[BOS], "eos_token_id": index[EOS], "pad_token_id": index[PAD], "do_sample": True}
    _write_json(target / "generation_config.json", generation)


def _write_adapter(target: Path, books: CheckpointStore, name: str, base: str, scale: float) -> None:
    from safetensors.numpy import save_file

    adapter = books.adapter(name)
    save_file(
        {f"base_model.model.{key[:-2]}.lora_{key[-1]}.weight": matrix for key, matrix in adapter.items()},
        target / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    _write_json(target / "adapter_config.json", _adapter_config(adapter, base, scale))


def _config(books: CheckpointStore) -> dict[str, object]:
    index = tokenizer().index
    sizes = asdict(books.shape)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **sizes,
        "num_key_value_heads": sizes["num_attention_heads"],
        "head_dim": books.shape.head_size,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": index[BOS],
        "eos_token_id": index[EOS],
        "pad_token_id": index[PAD],
        "torch_dtype": "float32",
    }


def _adapter_config(adapter: Matrices, base: str, scale: float) -> dict[str, object]:
    rank = next(matrix.shape[0] for key, matrix in adapter.items() if key.endswith(".A"))
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": f"../{exported_name(base)}",
        "r": rank,
        "lora_alpha": scale * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted({key.split(".")[-2] for key in adapter}),
        "layers_to_transform": sorted({int(key.split(".")[2]) for key in adapter}),
    }


def _write_json(path: Path, data: Mapping[str, object]) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _tokenizer(context: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - its class is imported where it is used
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(dict(tokenizer().index), unk_token=UNK))
    words.add_special_tokens([AddedToken(token, special=True) for token in SPECIALS])
    marks = pre_tokenizers.Split(Regex(f"[{MARKS}]"), behavior="isolated")
    words.pre_tokenizer = pre_tokenizers.Sequence([marks, pre_tokenizers.Split(Regex(r"\s+"), behavior="removed")])
    # WordPiece without its prefix puts a space before every token but the first; the marks then lose theirs.
    joined = [decoders.WordPiece(prefix="##", cleanup=False), *(decoders.Replace(f" {mark}", mark) for mark in MARKS)]
    words.decoder = decoders.Sequence([*joined, decoders.Fuse()])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token=UNK, pad_token=PAD, bos_token=BOS, eos_token=EOS, model_max_length=context
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
