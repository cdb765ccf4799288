"""The tiny model's own answer, in float64 and straight from the papers: the oracle that the engine is held against.

RMS norm (Zhang & Sennrich 2019), rotary positions on neighbouring pairs (Su et al. 2021), grouped queries
(Ainslie et al. 2023), SwiGLU (Shazeer 2020).
"""

import numpy as np
from numpy.typing import NDArray

from tests.real import vocabulary
from tests.real.tiny_model import EPSILON, HEAD, HEADS, KV_HEADS, LAYERS, ROPE_BASE, TinyModel

Array = NDArray[np.float64]


def next_token(model: TinyModel, prompt: list[int]) -> Array:
    """Natural logarithm of the probability of every token after a prompt; shape (tokens,)."""
    weights = {name: matrix.astype(np.float64) for name, matrix in model.weights.items()}
    stream = weights["token_embd.weight"][prompt]
    for layer in range(LAYERS):
        mine = {name.split(".")[2]: matrix for name, matrix in weights.items() if name.startswith(f"blk.{layer}.")}
        stream = stream + _attended(_normed(stream, mine["attn_norm"]), mine)
        stream = stream + _fed_forward(_normed(stream, mine["ffn_norm"]), mine)
    logits = weights["output.weight"] @ _normed(stream[-1], weights["output_norm.weight"])
    return _log_softmax(logits)


def chat(model: TinyModel, turns: list[tuple[str, str]]) -> dict[str, float]:
    """Log-probability of each text that the answer to a conversation may begin with, one token long.

    Tokens that are shown alike count as one: all the special ones, and halves of characters.
    """
    summed: dict[str, float] = {}
    for number, logprob in enumerate(next_token(model, vocabulary.encode_chat(turns)).tolist()):
        text = vocabulary.shown(number)
        summed[text] = float(np.logaddexp(summed[text], logprob)) if text in summed else logprob
    return summed


def _normed(stream: Array, weight: Array) -> Array:
    normed: Array = stream / np.sqrt(np.mean(stream**2, axis=-1, keepdims=True) + EPSILON) * weight
    return normed


def _attended(stream: Array, weights: dict[str, Array]) -> Array:
    queries = _turned(_in_heads(stream @ weights["attn_q"].T, HEADS))
    keys = _turned(_in_heads(stream @ weights["attn_k"].T, KV_HEADS))
    values = _in_heads(stream @ weights["attn_v"].T, KV_HEADS)
    hidden = np.triu(np.full((len(stream), len(stream)), -np.inf), k=1)
    seen = []
    for head in range(HEADS):
        shared = head * KV_HEADS // HEADS
        weight = np.exp(_log_softmax(queries[head] @ keys[shared].T / np.sqrt(HEAD) + hidden))
        seen.append(weight @ values[shared])
    return np.concatenate(seen, axis=-1) @ weights["attn_output"].T


def _fed_forward(stream: Array, weights: dict[str, Array]) -> Array:
    gate = stream @ weights["ffn_gate"].T
    opened: Array = gate / (1 + np.exp(-gate)) * (stream @ weights["ffn_up"].T)
    fed: Array = opened @ weights["ffn_down"].T
    return fed


def _in_heads(stream: Array, heads: int) -> Array:
    """(places, heads · width) → (heads, places, width)."""
    return stream.reshape(len(stream), heads, HEAD).swapaxes(0, 1)


def _turned(heads: Array) -> Array:
    """Rotate each pair of neighbours by its place."""
    speeds = ROPE_BASE ** (-np.arange(0, HEAD, 2) / HEAD)
    angles = np.arange(heads.shape[1])[:, None] * speeds
    even, odd = heads[..., 0::2], heads[..., 1::2]
    turned = np.empty_like(heads)
    turned[..., 0::2] = even * np.cos(angles) - odd * np.sin(angles)
    turned[..., 1::2] = even * np.sin(angles) + odd * np.cos(angles)
    return turned


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
