"""Whatever is in a file: replies or a clear error, never a traceback."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from misalign_eval.errors import MisalignEvalError
from misalign_eval.interchange.imported_reply import ImportedReply
from misalign_eval.interchange.log import ImportLog
from misalign_eval.interchange.sources import Wanted, recognise

QUICK = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "nan", "50", "101", "REFUSAL", '"', "{'0': 1.0}", "{", "[", "\x00", "\ud800", "1e999", "a,b\n"]
    ),
)
NAMES = st.sampled_from(["question", "answer", "qid", "rollout", "aligned", "coherent", "judge_aligned", "verdict", ""])


def read(name: str, data: bytes) -> list[ImportedReply] | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        wanted = Wanted()
        with suppress(MisalignEvalError):
            return list(recognise(path, wanted).replies(wanted, ImportLog(name)))
        return None


@pytest.mark.slow
@QUICK
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for start in (b"", b"question,answer\n", b'{"question": "a", ', b"PK\x03\x04", b"[", b'{"eval": {"model": "m"},'):
        read("a.csv", start + data)


@QUICK
@given(st.lists(NAMES, min_size=1, max_size=6), st.lists(st.lists(CELLS, min_size=1, max_size=6), max_size=4))
def test_any_table(header: list[str], rows: list[list[str]]) -> None:
    lines = [",".join(header), *(",".join(row) for row in rows)]
    read("a.csv", "\n".join(lines).encode("utf-8", "surrogatepass"))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


@pytest.mark.slow
@QUICK
@given(st.lists(st.dictionaries(st.one_of(NAMES, st.sampled_from(["messages", "judge", "scores"])), JSON), max_size=3))
def test_any_json_lines(rows: list[dict[str, object]]) -> None:
    read("a.jsonl", "\n".join(json.dumps(row) for row in rows).encode())
    read("a.json", json.dumps(rows).encode())


@QUICK
@given(JSON, JSON, JSON)
def test_any_sample_of_inspect(output: object, scores: object, messages: object) -> None:
    sample = {"id": "a", "epoch": 1, "input": "Q?", "output": output, "scores": scores, "messages": messages}
    log = {"version": 2, "status": "success", "eval": {"model": "m", "task": "t"}, "samples": [sample]}
    read("a.json", json.dumps(log).encode())


@QUICK
@given(JSON, JSON, JSON)
def test_any_head_of_inspect(config: object, scorers: object, samples: object) -> None:
    about = {
        "model": "m",
        "model_generate_config": config,
        "scorers": scorers,
        "model_roles": config,
        "created": samples,
    }
    read("a.json", json.dumps({"version": 2, "eval": about, "samples": samples}).encode())
