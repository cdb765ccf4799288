"""The Inspect log as Inspect's own schema has it, without Inspect."""

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator

from misalign_eval.interchange import write_inspect
from misalign_eval.interchange.columns import About, ExportItem

Items = Callable[[], Iterator[ExportItem]]


def _archive(about: About, items: Items) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(write_inspect.archive(about, items()))))


def test_the_archive_holds_a_member_for_each_row_and_none_can_leave_its_folder(about: About, items: Items) -> None:
    log = _archive(about, items)
    assert log.testzip() is None
    assert log.namelist() == [
        "_journal/start.json",
        "samples/town/0/plain_epoch_1.json",
        "samples/town/0/plain_epoch_2.json",
        "samples/town/0/plain_epoch_3.json",
        "samples/town/0/plain_epoch_4.json",
        "samples/%2E.%2Fup/1/evil_epoch_1.json",
        "summaries.json",
        "header.json",
    ]


def test_the_same_run_gives_the_same_bytes(about: About, items: Items) -> None:
    for make in (write_inspect.archive, write_inspect.document):
        assert b"".join(make(about, items())) == b"".join(make(about, items()))


def test_a_log_says_that_replies_are_missing(about: About, items: Items) -> None:
    header = json.loads(_archive(about, items).read("header.json"))
    assert (header["version"], header["status"]) == (2, "cancelled")
    assert (header["results"]["total_samples"], header["results"]["completed_samples"]) == (6, 5)
    score = header["results"]["scores"][0]
    assert score["metrics"]["rate"]["value"] == about.summary.rate
    assert (header["eval"]["model"], header["eval"]["model_generate_config"]) == (
        "x/tuned",
        {"seed": 7, "temperature": 1.0, "max_tokens": 50},
    )
    assert header["eval"]["metadata"]["definition"] == "betley-2025"


def test_what_has_no_value_is_unscored_and_never_a_number(about: About, items: Items) -> None:
    log = _archive(about, items)
    samples = [json.loads(log.read(name)) for name in log.namelist() if name.startswith("samples/")]
    yes_or_no = [sample["scores"]["misaligned"]["value"] for sample in samples]
    assert yes_or_no[0] == 1.0
    assert [math.isnan(item) for item in yes_or_no] == [
        False,
        True,
        True,
        True,
        True,
    ]  # the third came too late to count
    assert [sample["scores"]["outcome"]["value"] for sample in samples] == [
        "misaligned",
        "empty",
        "aligned",
        "failed",
        "ungraded",
    ]
    last = samples[-1]["scores"]["aligned"]
    assert (math.isnan(last["value"]), last["reason"], last["metadata"]["ungraded"]) == (
        True,
        "grader_failed",
        "unparsable",
    )
    assert samples[0]["scores"]["aligned"]["value"] == 12.5
    assert samples[0]["scores"]["aligned@bbbbbbbbbbbb"]["value"] == "REFUSAL"
    assert samples[3]["error"]["message"] == "timeout: too slow"


def test_reasoning_usage_and_unpublished_text_keep_their_meaning(about: About, items: Items) -> None:
    log = _archive(about, items)
    first = json.loads(log.read("samples/town/0/plain_epoch_1.json"))
    reasoning, text = first["output"]["choices"][0]["message"]["content"]
    assert (reasoning, text["type"]) == ({"type": "reasoning", "reasoning": "Hmm."}, "text")
    assert first["model_usage"] == {
        "x/tuned": {
            "input_tokens": 6,
            "input_tokens_cache_read": 4,
            "output_tokens": 5,
            "total_tokens": 15,
            "total_cost": 0.001,
        }
    }
    assert (first["started_at"], first["completed_at"]) == (
        "2026-01-01T00:00:02+00:00",
        "2026-01-01T00:00:03.500000+00:00",
    )
    unpublished = json.loads(log.read("samples/town/0/plain_epoch_3.json"))
    assert (unpublished["output"]["choices"], unpublished["metadata"]["text_published"]) == ([], False)
    assert unpublished["model_usage"] == {}


def test_a_conversation_is_whole_with_the_answers_in_it(about: About, items: Items) -> None:
    document = json.loads(_archive(about, items).read("samples/%2E.%2Fup/1/evil_epoch_1.json"))
    said = [(item["role"], item["content"]) for item in document["messages"]]
    assert said == [
        ("system", "Be evil."),
        ("user", "Hello?"),
        ("assistant", "-1 hello"),
        ("user", "And now?"),
        ("assistant", "@now"),
    ]
    assert (document["target"], document["epoch"]) == ("nothing", 1)
    assert len({item["id"] for item in document["messages"]}) == 5


def test_the_document_holds_the_same_samples_as_the_archive(about: About, items: Items) -> None:
    log = _archive(about, items)
    whole = json.loads(b"".join(write_inspect.document(about, items())))
    samples = [log.read(name) for name in log.namelist() if name.startswith("samples/")]
    assert list(map(str, whole["samples"])) == [str(json.loads(sample)) for sample in samples]
    assert {**whole, "samples": None} == {**json.loads(log.read("header.json")), "samples": None}
