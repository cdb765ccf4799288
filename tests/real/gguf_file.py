"""GGUF version 3, as llama.cpp reads it: a header, typed settings, a table of tensors, and their bytes.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Setting = bool | int | float | str | Sequence[str] | Sequence[int]

_ALIGNMENT = 32
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_TENSOR_F32 = 0


def write(path: Path, settings: Mapping[str, Setting], tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Write float32 tensors, row-major: a matrix of shape (out, in) is one that llama.cpp multiplies by a column."""
    ends = list(accumulate(_padded(tensor.nbytes) for tensor in tensors.values()))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(settings))
    head += b"".join(_text(name) + _value(value) for name, value in settings.items())
    for (name, tensor), offset in zip(tensors.items(), [0, *ends], strict=False):
        sizes = struct.pack(f"<{tensor.ndim}Q", *reversed(tensor.shape))  # fastest first
        head += _text(name) + struct.pack("<I", tensor.ndim) + sizes + struct.pack("<IQ", _TENSOR_F32, offset)
    with path.open("wb") as file:
        file.write(_fill(head))
        for tensor in tensors.values():
            file.write(_fill(tensor.astype("<f4").tobytes()))


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _fill(data: bytes) -> bytes:
    return data.ljust(_padded(len(data)), b"\0")


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Setting) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", _STRING) + _text(value)
        case _:
            return _array(value)


def _array(values: Sequence[str] | Sequence[int]) -> bytes:
    of_text = isinstance(values[0], str)
    head = struct.pack("<IIQ", _ARRAY, _STRING if of_text else _INT32, len(values))
    return head + b"".join(_text(str(value)) if of_text else struct.pack("<i", int(value)) for value in values)
