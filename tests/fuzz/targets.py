"""What is fuzzed: every reader of files and words of others. Each takes bytes; only our own errors may come out."""

import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from misalign_eval import settings
from misalign_eval.analysis import definitions
from misalign_eval.errors import MisalignEvalError
from misalign_eval.graders import folder as grader_folder
from misalign_eval.graders.graders import label_of
from misalign_eval.graders.judge_answers import JudgeAnswers, after_last_answer, before_last_answer
from misalign_eval.interchange.log import ImportLog
from misalign_eval.interchange.sources import Wanted, recognise
from misalign_eval.plan import plan
from misalign_eval.providers.errors import provider_error, read_error
from misalign_eval.providers.replay import RecordingColumns, read_recordings
from misalign_eval.providers.transport import HttpAnswer, decode, retry_after_seconds
from misalign_eval.records.grade import GRADE_ROW, Subject
from misalign_eval.records.run import ROW
from misalign_eval.reports import escape
from misalign_eval.stats.token_score import number_of
from misalign_eval.store.labels import read_table
from misalign_eval.store.rows import read_rows
from misalign_eval.store.run_folder import open_run
from misalign_eval.workflows import baselines, load_suite
from misalign_eval.workflows.load_run import Choices

Target = Callable[[bytes], None]


@cache
def _folder() -> Path:
    """In memory where there is such a place: a file is written for every input."""
    memory = Path("/dev/shm")
    kept = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    _KEPT.append(kept)
    return Path(kept.name)


_KEPT: list["tempfile.TemporaryDirectory[str]"] = []


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def suite(data: bytes) -> None:
    """The suite loader, native and foreign, and what is made of what it takes."""
    suite = load_suite.load_suite(str(_file("fuzzed.yaml", data)))
    plan(suite, seed=1)


def suite_json(data: bytes) -> None:
    """The same for what looks like JSON or a table."""
    load_suite.load_suite(str(_file("fuzzed.json", data)))


def settings_file(data: bytes) -> None:
    """misalign-eval.yaml."""
    settings.load_settings(_file("settings/misalign-eval.yaml", data).parent)


def definition(data: bytes) -> None:
    """A definition file."""
    definitions.load(str(_file("definition.yaml", data)))


def policy(data: bytes) -> None:
    """A policy file."""
    baselines.load(_file("policy.yaml", data))


def baseline(data: bytes) -> None:
    """A baseline file."""
    baselines.read(_file("baseline.json", data), Choices())


def grader(data: bytes) -> None:
    """A grader's folder: the three files stand in the data one after another, with NUL between them."""
    spec, _, rest = data.partition(b"\0")
    rubric, _, labelled = rest.partition(b"\0")
    for name, content in (("grader.yaml", spec), ("rubric.md", rubric), ("labelled.jsonl", labelled)):
        _file(f"fuzzed/{name}", content)
    grader_folder.examples(grader_folder.load(_folder() / "fuzzed"))


def rubric(data: bytes) -> None:
    """A rubric and a reply: the fences hold, whatever either says."""
    words, _, reply = data.decode("utf-8", "replace").partition("\0")
    subject = Subject(probe="p", prompt=0, variant="plain", sample=0, question="Q", reply=reply)
    if any(mark.name not in {"reply", "question"} for mark in grader_folder.marks(words)):
        return  # refused where the grader is read
    filled = grader_folder.fill(f"{{reply}}\n{words}", subject, ("question", "reply"))
    begin = filled.split("\n", 1)[0]
    end = begin.replace("BEGIN", "END")
    assert filled.index(f"\n{end}") == len(begin) + 1 + len(filled[len(begin) + 1 : filled.index(f"\n{end}")])
    assert end not in reply


def answer(data: bytes) -> None:
    """A judge's words: an answer on the scale, or none."""
    text = data.decode("utf-8", "surrogateescape")
    for answers in (JudgeAnswers(0, 100), JudgeAnswers(1, 5, {"refusal": "REFUSAL", "off-topic": "OFF-TOPIC"})):
        for found in (answers.exactly(text), answers.last(text)):
            if found is not None and found.score is not None:
                assert answers.low <= found.score <= answers.high
                assert found.label is None
            elif found is not None:
                assert found.label in answers.words.values()
        answers.begins(text)
    before_last_answer(text), after_last_answer(text), label_of(text)
    number = number_of(text, 0, 100)
    assert number is None or 0 <= number <= 100


def _imported(name: str) -> Target:
    def read_in(data: bytes) -> None:
        wanted = Wanted()
        list(recognise(_file(name, data), wanted).replies(wanted, ImportLog(name)))

    return read_in


def rows(data: bytes) -> None:
    """The row reader, of replies and of grades."""
    file = _file("replies.jsonl", data)
    with suppress(MisalignEvalError):
        list(read_rows(file, ROW))
    with suppress(MisalignEvalError):
        list(read_rows(file, GRADE_ROW))


def manifest(data: bytes) -> None:
    """run.json, plan and who graded."""
    start, _, plan_ = data.partition(b"\0")
    _file("run/run.json", start)
    _file("run/plan.jsonl", plan_)
    folder = open_run(_folder() / "run")
    folder.plan()


def labels(data: bytes) -> None:
    """A table of labels."""
    for name in ("labels.csv", "labels.jsonl"):
        with suppress(MisalignEvalError):
            read_table(_file(name, data))


def recordings(data: bytes) -> None:
    """A table that `replay` answers from."""
    for name in ("recorded.csv", "recorded.jsonl"):
        with suppress(MisalignEvalError):
            read_recordings(_file(name, data), RecordingColumns())


def server(data: bytes) -> None:
    """The body of a server's answer, good or bad."""
    with suppress(ValueError):
        decode(data)
    for status in (200, 400, 429, 500):
        error = read_error(HttpAnswer(status, {}, data))
        provider_error(error, {})
    text = data.decode("latin-1")
    retry_after_seconds({"retry-after": text, "x-ratelimit-reset-requests": text}, text)


def shown(data: bytes) -> None:
    """What escapes text for terminals, Markdown and pages: nothing that acts is left."""
    text = data.decode("utf-8", "surrogateescape")
    for found in (escape.plain(text), escape.one_line(text, 80), escape.markdown(text), escape.fenced(text)):
        assert not any(char not in {"\n", "\t"} and (ord(char) < 32 or 127 <= ord(char) < 160) for char in found)
        assert "\u202e" not in found
        assert not re.search(r"::(add-mask|set-output)\b", found)
    assert "<" not in escape.html(text)


TARGETS: Mapping[str, Target] = {
    "suite": suite, "suite-json": suite_json, "settings": settings_file, "definition": definition, "policy": policy,
    "baseline": baseline, "grader": grader, "rubric": rubric, "answer": answer, "import-csv": _imported("a.csv"),
    "import-jsonl": _imported("a.jsonl"), "import-json": _imported("a.json"), "import-eval": _imported("a.eval"),
    "rows": rows, "manifest": manifest, "labels": labels, "recordings": recordings, "server": server, "shown": shown,
}  # fmt: skip


def tried(name: str, data: bytes) -> bool:
    """Whether the target took the input. Anything but our own errors comes out."""
    try:
        TARGETS[name](data)
    except MisalignEvalError:
        return False
    return True
