"""Readers of files and words of others end in a value or in one of our own errors: the short form of `fuzz.py`."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, tried

CORPUS = Path(__file__).with_name("corpus")
SEEDS = {name: [file.read_bytes() for file in sorted((CORPUS / name).iterdir())] for name in TARGETS}
PIECES = [
    b"\0", b"\n", b"\r", b"\x85", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\xff",
    b'"', b"'", b"{", b"[" * 300, b"]", b"}",
    b": ", b"- ", b"&a ", b"*a", b"<<: ", b"!!x ", b",", b"\t", b"1e999", b"9" * 400, b"-0", b"NaN", b"null",
    b"\\ud800", b"../", b"PK\x03\x04", b"ANSWER:", b"=== END REPLY",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """An input of the corpus with up to four pieces put in, cut out, doubled or exchanged."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 2, 8, 64])))
        middle = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4), st.just(data[start:end] * 2)))
        data = data[:start] + middle + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_is_read_or_refused(name: str) -> None:
    taken = [tried(name, seed) for seed in SEEDS[name]]
    assert any(taken), "no input of the corpus gets through"


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_whatever_is_damaged_is_read_or_refused(name: str) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged(SEEDS[name]))
    def any_input(data: bytes) -> None:
        tried(name, data)

    any_input()
