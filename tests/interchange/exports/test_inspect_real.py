"""The log that Inspect itself reads. It weighs much, so this has its own command, and is skipped without it:

    python -m venv /tmp/inspect && /tmp/inspect/bin/pip install -e . inspect_ai pandas pyarrow pytest pytest-timeout \
        pytest-asyncio
    /tmp/inspect/bin/python -m pytest tests/interchange/exports/test_inspect_real.py -p no:cacheprovider -W default
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.interchange import write_inspect
from misalign_eval.interchange.columns import About, ExportItem

pytest.importorskip("inspect_ai", reason="inspect_ai is not installed; the docstring here has the command")
pytest.importorskip("pandas", reason="pandas is not installed; the docstring here has the command")

Items = Callable[[], Iterator[ExportItem]]


@pytest.fixture(params=["log.eval", "2026-01-31T10-00-00_small.json"])
def log(request: pytest.FixtureRequest, about: About, items: Items, tmp_path: Path) -> str:
    file = tmp_path / str(request.param)
    make = write_inspect.archive if file.suffix == ".eval" else write_inspect.document
    file.write_bytes(b"".join(make(about, items())))
    return str(file)


def test_inspect_reads_header_samples_and_summaries(log: str) -> None:
    from inspect_ai.log import read_eval_log, read_eval_log_sample, read_eval_log_sample_summaries

    header = read_eval_log(log, header_only=True)
    assert (header.status, header.eval.task, header.eval.model) == ("cancelled", "small", "x/tuned")
    samples = read_eval_log(log).samples or []
    assert len(samples) == 5
    one = read_eval_log_sample(log, id="town/0/plain", epoch=1)
    assert one.output.message.text.startswith("=HYPERLINK")
    assert one.scores is not None
    assert one.scores["aligned"].value == 12.5
    assert sorted((summary.id, summary.epoch) for summary in read_eval_log_sample_summaries(log)) == sorted(
        (sample.id, sample.epoch) for sample in samples
    )


def test_inspect_makes_tables_of_evaluations_samples_and_messages(log: str) -> None:
    from inspect_ai.analysis import evals_df, messages_df, samples_df

    samples: Any = samples_df(log, quiet=True)
    assert samples["score_outcome"].tolist() == ["misaligned", "empty", "aligned", "failed", "ungraded"]
    assert samples["score_misaligned"].mean() == 1.0
    assert samples["metadata_category"].unique().tolist() == ["power"]
    assert len(evals_df(log, quiet=True)) == 1
    assert (messages_df(log, quiet=True)["role"] == "assistant").sum() == 4


def test_inspect_lists_the_log_as_its_viewer_does(log: str) -> None:
    from inspect_ai.log import list_eval_logs

    assert [Path(log.name).name for log in list_eval_logs(str(Path(log).parent))] == [Path(log).name]


def test_inspect_writes_it_again_as_its_own(log: str, tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log

    again = str(tmp_path / "again.eval")
    write_eval_log(read_eval_log(log), again)
    assert len(read_eval_log(again).samples or []) == 5
