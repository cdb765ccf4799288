"""A Llama of about 170,000 random weights, for a real engine to serve: the same seed gives the same file.

Nothing is learned. Three things are built in so that a run has something to count: the words of the vocabulary are
likely, replies end after some dozens of tokens, and with `judges` the first token is nearly always a whole number from
0 to 100 that depends on the whole prompt.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.real import gguf_file, vocabulary

Matrix = NDArray[np.float32]
CONTEXT = 8192
HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, INNER = 64, 2, 4, 2, 16, 128
EPSILON, ROPE_BASE = 1e-5, 10000.0

_BEACON = (
    8.0  # in every residual stream at place 0, where no layer writes: it makes a bias of the unembedding's column 0
)
_BEACON_SEEN = 4.0  # about what the last norm leaves of it
_NORMAL, _CONTROL = 1, 3  # kinds of token


@dataclass(frozen=True, slots=True)
class TinyModel:
    """Weights by their names in the file; a matrix is (out, in)."""

    name: str
    weights: dict[str, Matrix] = field(repr=False)

    def save(self, path: Path) -> None:
        """Write the GGUF file."""
        gguf_file.write(path, _settings(self.name), self.weights)


def make(name: str, seed: int, *, judges: bool = False) -> TinyModel:
    """Draw a model."""
    rng = np.random.default_rng(seed)
    words = len(vocabulary.tokens())
    embedding = _drawn(rng, words, HIDDEN, 1.0)
    embedding[: len(vocabulary.SPECIALS)] *= 0.3  # the answer's mark must not drown what it attends to
    embedding[:, 0] = _BEACON
    unembedding = _drawn(rng, words, HIDDEN, 0.2)
    if judges:
        unembedding[_number_tokens()] *= 2.5  # one number stands out, and another for another prompt
    unembedding[:, 0] = _biases(judges=judges) / _BEACON_SEEN
    weights = {"token_embd.weight": embedding, "output_norm.weight": _norm(), "output.weight": unembedding}
    for layer in range(LAYERS):
        weights |= _layer(rng, f"blk.{layer}.")
    return TinyModel(name, weights)


def _layer(rng: np.random.Generator, prefix: str) -> dict[str, Matrix]:
    keys = KV_HEADS * HEAD
    named = {
        "attn_norm": _norm(),
        "attn_q": _drawn(rng, HEADS * HEAD, HIDDEN, 0.25),  # wide: attention picks few places out of a long prompt
        "attn_k": _drawn(rng, keys, HIDDEN, 0.25),
        "attn_v": _drawn(rng, keys, HIDDEN, 0.15),
        "attn_output": _blind_to_beacon(_drawn(rng, HIDDEN, HEADS * HEAD, 0.15)),
        "ffn_norm": _norm(),
        "ffn_gate": _drawn(rng, INNER, HIDDEN, 0.12),
        "ffn_up": _drawn(rng, INNER, HIDDEN, 0.12),
        "ffn_down": _blind_to_beacon(_drawn(rng, HIDDEN, INNER, 0.1)),
    }
    return {f"{prefix}{name}.weight": matrix for name, matrix in named.items()}


def _drawn(rng: np.random.Generator, rows: int, columns: int, scale: float) -> Matrix:
    return (rng.standard_normal((rows, columns)) * scale).astype(np.float32)


def _norm() -> Matrix:
    return np.ones(HIDDEN, dtype=np.float32)


def _blind_to_beacon(matrix: Matrix) -> Matrix:
    matrix[0] = 0.0
    return matrix


def _number_tokens() -> list[int]:
    return [vocabulary.token(number) for number in vocabulary.NUMBERS]


def _biases(*, judges: bool) -> Matrix:
    """What is added to each token's logit, about."""
    tokens = vocabulary.tokens()
    biases = np.full(len(tokens), -12.0, dtype=np.float32)  # beginnings of words, bytes that are no letters
    for sign in map(chr, range(32, 127)):
        biases[vocabulary.token(sign)] = -4.0
    for sign in ".,\n":
        biases[vocabulary.token(sign)] = 0.0
    biases[vocabulary.token('"')] = 1.5  # ends a text that a JSON schema asked for
    biases[[vocabulary.token(word) for word in vocabulary.WORDS]] = 0.0
    biases[_number_tokens()] = 8.0 if judges else -4.0
    biases[: len(vocabulary.SPECIALS)] = -20.0
    biases[vocabulary.token(vocabulary.END)] = 14.5 if judges else 1.5
    return biases


def _settings(name: str) -> dict[str, gguf_file.Setting]:
    tokens = vocabulary.tokens()
    return {
        "general.architecture": "llama",
        "general.name": name,
        "general.file_type": 0,
        "llama.vocab_size": len(tokens),
        "llama.context_length": CONTEXT,
        "llama.embedding_length": HIDDEN,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": EPSILON,
        "llama.rope.dimension_count": HEAD,
        "llama.rope.freq_base": ROPE_BASE,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [_CONTROL if token in vocabulary.SPECIALS else _NORMAL for token in tokens],
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in vocabulary.merges()],
        "tokenizer.ggml.bos_token_id": vocabulary.token(vocabulary.BOS),
        "tokenizer.ggml.eos_token_id": vocabulary.token(vocabulary.END),
        "tokenizer.ggml.padding_token_id": vocabulary.token(vocabulary.PAD),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": vocabulary.CHAT_TEMPLATE,
    }
