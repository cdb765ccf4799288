"""Reader of Inspect logs (`.eval` and `.json`)."""

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, cast, get_args

from pydantic import JsonValue, ValidationError

from misalign_eval.errors import InputError, MissingExtraError, Problem, UsageError
from misalign_eval.interchange import text_files
from misalign_eval.interchange.cells import UNREADABLE, is_missing, read_label, read_number, shown_value
from misalign_eval.interchange.detect_grades import SCORES, VERDICT, VERDICTS
from misalign_eval.interchange.imported_reply import (
    ImportedGrade,
    ImportedPrompt,
    ImportedReply,
    KeptFields,
    RunKey,
    Turn,
    calls_of,
    end_of,
    split_of,
)
from misalign_eval.interchange.log import BadCellError, ImportLog
from misalign_eval.interchange.read_tables import FINISHES
from misalign_eval.interchange.text_files import TableRow, Values
from misalign_eval.records.grade import UngradedReason
from misalign_eval.records.run import Finish
from misalign_eval.records.suite import Direction, Sampling

# Round trip: samples written by `export`, with the fields that it keeps beside Inspect's own.


DERIVED = frozenset({"misaligned", "outcome"})  # what the definition made of the grades: counted anew, never read
_FINISHES, _REASONS = frozenset(get_args(Finish)), frozenset(get_args(UngradedReason))


def is_ours(metadata: Mapping[str, Any]) -> bool:
    """Whether a sample's metadata are those that `export` writes."""
    return all(isinstance(metadata.get(name), str) for name in ("probe", "variant", "prompt_digest"))


def is_unpublished(metadata: Mapping[str, Any]) -> bool:
    """Whether it is a reply whose text nobody knows, which is no failure."""
    return is_ours(metadata) and metadata.get("text_published") is False


def restored(row: ImportedReply, metadata: Mapping[str, Any]) -> ImportedReply:
    """The row with the names that the run had: an id of Inspect names a prompt, not a probe."""
    if not is_ours(metadata):
        return row
    asked = row.asked._replace(probe=metadata["probe"], variant=metadata["variant"])
    word, tags = metadata.get("finish"), metadata.get("tags")
    finish = cast("Finish", word) if isinstance(word, str) and word in _FINISHES else row.finish
    return row._replace(
        asked=asked,
        finish=finish,
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        kept=_kept(metadata, finish) if row.failure is None else KeptFields(),
        expect=cast("Direction", expect) if (expect := metadata.get("expect")) in get_args(Direction) else None,
        expects=expects if isinstance(expects := metadata.get("expects"), str) else None,
    )


def _kept(metadata: Mapping[str, Any], finish: Finish) -> KeptFields:
    """What graders, lint and warnings read besides the text. Raises BadCellError for calls that are none."""
    texts = {
        name: value for name in ("finish_word", "leaked", "refusal") if isinstance(value := metadata.get(name), str)
    }
    lists = {name: value for name in ("dropped", "prefilled") if isinstance(value := metadata.get(name), list)}
    return KeptFields(
        finish_word=end_of(finish, texts.get("finish_word"), metadata.get("attempts")),
        calls=calls_of(metadata.get("calls")),
        leaked=texts.get("leaked"),
        refusal=texts.get("refusal"),
        streamed=metadata.get("streamed") is True or None,
        **{name: tuple(map(str, value)) for name, value in lists.items()},
    )


def ours_of(scorer: str, score: Mapping[str, Any], about: Mapping[str, Any]) -> ImportedGrade:
    """A grade, word for word, with the judge and what it was made from; `about`: the metadata of the score."""
    identity, value = about["identity"], score.get("value")
    grade = ImportedGrade(
        grader=scorer.removesuffix(f"@{identity}"),
        judge=about.get("judge") or f"rule {identity}",
        raw=about.get("raw"),
        distribution=about.get("distribution"),
        mass=about.get("number_mass"),
        modal=about.get("modal"),
    )
    why = score.get("explanation")
    if "ungraded" in about or is_missing(value):
        reason = about.get("ungraded")
        known = cast("UngradedReason", reason) if isinstance(reason, str) and reason in _REASONS else "not_given"
        return grade._replace(reason=known, message=why or "as exported")
    given = None if isinstance(value, str) else read_number(value)
    return grade._replace(score=given, label=None if given is not None else str(value), why=why)


# Conversion of an Inspect sample to a reply with its grades.


JUDGES = ("judge", "judge_model", "grader_model", "model")  # what scorers call their judge in a score's metadata
_GRADERS = {theirs: ours for ours, names in (*SCORES.items(), (VERDICT, VERDICTS)) for theirs in names}


class LogHeader(NamedTuple):
    """What is the same for every sample of a log."""

    task: str
    model: str
    created: str | None
    sampling: Sampling
    judges: Mapping[str, str]  # scorer → the model that it asks, where the log says
    is_whole: bool  # the evaluation ended by itself


def sample_header(found: Mapping[str, Any]) -> LogHeader:
    """Read the head of a log; settings that it does not name stay unset."""
    about = found["eval"]
    asked = _object(about.get("model_generate_config"))
    names = ("temperature", "top_p", "max_tokens")
    given = {name: value for name in names if (value := read_number(asked.get(name))) is not None}
    created = about.get("created")
    return LogHeader(
        task=str(about.get("task") or "inspect"),
        model=str(about["model"]),
        created=created if isinstance(created, str) and _is_date(created) else None,
        sampling=_sampling(given),
        judges=_judges(about),
        is_whole=found.get("status") == "success",
    )


def _sampling(given: Mapping[str, float]) -> Sampling:
    """The settings that our records can hold; others are left out."""
    kept: dict[str, Any] = {name: value for name, value in given.items() if name != "max_tokens"}
    if (most := given.get("max_tokens", 0.0)) >= 1:
        kept["max_tokens"] = int(most)
    try:
        return Sampling(**kept)
    except ValidationError:
        return Sampling()


def reply(row: TableRow, head: LogHeader, graders: Mapping[str, str]) -> ImportedReply:
    """Read a sample; `graders` (ours → the scorer's name) comes before the usual names. Raises BadCellError."""
    cells: Mapping[str, Any] = row.cells
    metadata = _object(cells.get("metadata"))
    failure = _failure(cells, metadata)
    text, reasoning, finish = _answer(cells)
    category, split = metadata.get("category"), metadata.get("split") or metadata.get("subset")
    named = {theirs: ours for ours, theirs in graders.items()}
    reply = ImportedReply(
        row=row.number,
        line=row.line,
        run=RunKey(),
        asked=_asked(cells),
        sample=str(cells.get("epoch", 1)),
        text=text,
        reasoning=reasoning,
        finish=finish,
        failure=failure,
        found=() if failure else tuple(_grades(_scores(cells, metadata), named, head.judges)),
        category=category if isinstance(category, str) else None,
        split=split_of(split) if isinstance(split, str) else None,
        reference=_reference(cells.get("target")),
    )
    return restored(reply, metadata)


def _scores(cells: Mapping[str, Any], metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The scores by scorer, without those that `export` derived from the others."""
    scores = _object(cells.get("scores"))
    left_out = DERIVED if is_ours(metadata) else ()
    return {scorer: score for scorer, score in scores.items() if scorer not in left_out}


def _reference(target: object) -> JsonValue:
    return target if isinstance(target, str) and target else None


def _failure(cells: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    """Why there is no reply: an error before the target's answer. One after it, in a scorer, leaves the reply."""
    if _choices(cells):
        return None
    error = cells.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or "error")
    if is_unpublished(metadata):
        return None
    limit = cells.get("limit")
    return f"limit: {limit.get('type')}" if isinstance(limit, dict) else "no answer"


def _answer(cells: Mapping[str, Any]) -> tuple[str | None, str | None, Finish]:
    choices = _choices(cells)
    if not choices:
        return None, None, "unknown"
    text, reasoning = _words(_object(choices[0].get("message")).get("content"))
    finish = FINISHES.get(str(choices[0].get("stop_reason") or ""), "unknown")
    return text, reasoning or None, finish


def _asked(cells: Mapping[str, Any]) -> ImportedPrompt:
    """What was sent: the messages before the only answer; of a longer conversation what the sample asked first.

    An assistant's message that the input ends with was sent, too: the model continued it.
    """
    turns = [_turn(item) for item in _list(cells.get("messages"))]
    answers = [place for place, (role, _) in enumerate(turns) if role == "assistant"]
    words = cells.get("input")
    sent = [_turn(item) for item in _list(words)]
    is_prefilled = bool(sent) and sent[-1][0] == "assistant" and answers[:1] == [len(sent) - 1]
    asked = turns[: answers[0] + is_prefilled] if answers else turns
    if not any(role == "user" for role, _ in asked):
        asked = [("user", words)] if isinstance(words, str) else sent
    system = "\n\n".join(content for role, content in asked if role == "system") or None
    kept = tuple((role, content) for role, content in asked if role in {"user", "assistant"})
    return ImportedPrompt(str(cells["id"]), kept, system)


def _turn(message: Any) -> Turn:  # noqa: ANN401  a value of JSON
    if not isinstance(message, dict):
        raise BadCellError(f"{shown_value(message)} is no message")
    return str(message.get("role")), _words(message.get("content"))[0]


def _words(content: object) -> tuple[str, str]:
    """Text and reasoning of a message, which may come in parts."""
    if isinstance(content, str):
        return content, ""
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    text = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
    return text, "\n".join(str(part.get("reasoning") or "") for part in parts if part.get("type") == "reasoning")


def _judges(about: Mapping[str, Any]) -> dict[str, str]:
    """Who judges for each scorer: its own option `model`, else the model in the role of the grader."""
    role = _object(about.get("model_roles")).get("grader")
    common = role.get("model") if isinstance(role, dict) else role
    found: dict[str, str] = {}
    for scorer in map(_object, _list(about.get("scorers"))):
        own = _object(scorer.get("options")).get("model")
        judge = own if isinstance(own, str) else common
        if isinstance(judge, str) and isinstance(scorer.get("name"), str):
            found[scorer["name"].rpartition("/")[2]] = judge
    return found


def _grades(scores: Mapping[str, Any], named: Mapping[str, str], judges: Mapping[str, str]) -> Iterator[ImportedGrade]:
    for scorer, score in scores.items():
        about = _object(_object(score).get("metadata"))
        if isinstance(about.get("identity"), str):
            yield ours_of(scorer, _object(score), about)
            continue
        value = score.get("value") if isinstance(score, dict) else score
        why = score.get("explanation") if isinstance(score, dict) else None
        judge = next((about[name] for name in JUDGES if isinstance(about.get(name), str)), judges.get(scorer))
        parts = value if isinstance(value, dict) else {scorer: value}
        for name, part in parts.items():
            grader = named.get(name) or named.get(f"{scorer}.{name}") or _GRADERS.get(name.lower(), name)
            found = _grade(grader, part)
            yield found._replace(why=why if isinstance(why, str) else None, judge=judge)


def _grade(grader: str, value: object) -> ImportedGrade:
    if is_missing(value):
        return ImportedGrade(grader, reason="not_given", message="the scorer gave no value")
    if (grade := read_number(value)) is not None:
        return ImportedGrade(grader, score=grade)
    if isinstance(value, list):
        return ImportedGrade(
            grader, reason="unparsable", message=f"{shown_value(value)} is neither a number nor a label"
        )
    word = read_label(value)
    if word in UNREADABLE:
        return ImportedGrade(grader, reason="unparsable", message=f"the scorer says {word}")
    return ImportedGrade(grader, label=word)


def _choices(cells: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*map(_object, _list(_object(cells.get("output")).get("choices")))]


def _object(value: object) -> Mapping[str, Any]:
    """An object of JSON; nothing where something else stands."""
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


# The members of an Inspect `.eval` log, read one at a time and never written to disk.


LARGEST_MEMBER = 1 << 26  # bytes, unpacked: a sample is held whole, in several times that
LARGEST_LOG = 1 << 28  # bytes, unpacked, of a log that is more than MOST_PACKED times as small as it
MOST_PACKED = 100  # times; texts of models pack to a tenth
ZSTANDARD = 93  # the method that Inspect packs with, which Python's zipfile does not know before 3.14
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive. Raises InputError for one that is cut off or damaged, or unpacks to far too much."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, struct.error, NotImplementedError, ValueError, OverflowError):
        fix = "It is cut off or damaged: copy it again, or let Inspect recover it"
        raise InputError([Problem(str(path), None, "", "is no whole zip archive", fix)]) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    with archive:
        _check_sum(path, archive)
        yield archive


def _check_sum(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise InputError for an archive that unpacks to far more than any evaluation writes."""
    unpacked, packed = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    if unpacked > LARGEST_LOG and unpacked > MOST_PACKED * packed:
        what = (
            f"{packed / (1 << 20):.1f} MiB that unpack to {unpacked >> 20}, {unpacked // max(packed, 1)} times as much"
        )
        fix = "No log of an evaluation does; write it as JSON if it is one: inspect log convert --to json"
        raise InputError([Problem(str(path), None, "", what, fix)])


def member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """One member, unpacked and checked. Raises InputError, or MissingExtraError where Zstandard is not installed."""
    if info.file_size > LARGEST_MEMBER:
        what = f"{info.file_size >> 20} MiB unpacked: more than {LARGEST_MEMBER >> 20}"
        raise InputError([Problem(str(path), None, info.filename, what, "Split the log")])
    try:
        found = _zstandard(path, info) if info.compress_type == ZSTANDARD else _unpacked(archive, info)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, RuntimeError, OSError, ValueError) as error:
        raise InputError([Problem(str(path), None, info.filename, f"is damaged: {error}", "Copy it again")]) from None
    if len(found) != info.file_size or zlib.crc32(found) != info.CRC:
        what = "is damaged: its length or checksum is another"
        raise InputError([Problem(str(path), None, info.filename, what, "Copy it again")])
    return found


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as file:
        return file.read(info.file_size + 1)


def _zstandard(path: Path, info: zipfile.ZipInfo) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError(
            f"{path}: packed with Zstandard. Install what reads it: pip install 'misalign-eval[inspect]', "
            "or write the log as JSON: inspect log convert --to json"
        ) from None
    try:
        unpacked = zstandard.ZstdDecompressor().stream_reader(_packed(path, info))
        return bytes(unpacked.read(info.file_size + 1))
    except zstandard.ZstdError as error:
        raise zipfile.BadZipFile(str(error)) from None


def _packed(path: Path, info: zipfile.ZipInfo) -> bytes:
    with path.open("rb") as file:
        file.seek(info.header_offset)
        *_, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(name + extra, 1)
        return file.read(info.compress_size)


# The reader: a sample and an epoch are a reply; its scores are grades by scorer.


ATTACHMENT = "attachment://"
HEADERS = ("header.json", "_journal/start.json")  # the second alone where the evaluation did not end


def is_log(document: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON document is a log of Inspect."""
    return isinstance(document, dict) and isinstance(document.get("eval"), dict) and "model" in document["eval"]


def log_header(path: Path) -> dict[str, Any]:
    """What the log says of the whole evaluation. Raises InputError for a file that is no log."""
    if not _is_zip(path):
        return _document(path)
    with opened(path) as archive:
        names = set(archive.namelist())
        there = next((name for name in HEADERS if name in names), None)
        if there is None:
            raise InputError([Problem(str(path), None, "", "a zip without header.json: no log of Inspect")])
        found = _parsed(path, there, member(path, archive, archive.getinfo(there)))
    if not is_log(found):
        raise InputError([Problem(str(path), None, there, "names no model: no log of Inspect")])
    return found


def samples(path: Path, account: ImportLog) -> Iterator[TableRow]:
    """Every sample with its attachments put back, by id and epoch. Raises InputError for a damaged one."""
    found = _of_zip(path) if _is_zip(path) else _of_json(path)
    for number, sample in enumerate(found, 1):
        if not isinstance(sample, dict) or "id" not in sample:
            raise InputError([Problem(str(path), None, f"sample {number}", "has no id")])
        account.counts["samples that ended in an error"] += bool(sample.get("error"))
        yield TableRow(number, number, _whole(sample, _attachments(sample)))


def _of_zip(path: Path) -> Iterator[Any]:
    with opened(path) as archive:
        for info in archive.infolist():
            if info.filename.startswith("samples/") and info.filename.endswith(".json"):
                yield _parsed(path, info.filename, member(path, archive, info))


def _document(path: Path) -> dict[str, Any]:
    """All of a JSON log but its samples, which are many and read one at a time."""
    values = Values(path, text_files.UTF_8, ImportLog(str(path)))
    found = {name: values.value() for name in values.members() if not _passed_over(name, values)}
    values.end()
    if not is_log(found):
        raise InputError([Problem(str(path), None, "", "is no log of Inspect")])
    return found


def _passed_over(name: str, values: Values) -> bool:
    if name != "samples" or values.peek() != "[":
        return False
    for _ in values.items():
        pass
    return True


def _of_json(path: Path) -> Iterator[object]:
    values = Values(path, text_files.UTF_8, ImportLog(str(path)))
    for name in values.members():
        if name == "samples" and values.peek() == "[":
            yield from values.items()
        else:
            values.value()


def _parsed(path: Path, name: str, data: bytes) -> Any:  # noqa: ANN401  any JSON value
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError([Problem(str(path), None, name, f"not JSON: {error}", "Copy it again")]) from None


def _attachments(sample: Mapping[str, Any]) -> Mapping[str, str]:
    found = sample.get("attachments")
    return found if isinstance(found, dict) else {}


def _whole(sample: Mapping[str, Any], attachments: Mapping[str, str]) -> dict[str, object]:
    """The parts that are read, with texts that Inspect keeps apart put back. Its events are long and not read."""
    read = ("id", "epoch", "input", "target", "messages", "output", "scores", "score", "metadata", "error", "limit")
    return {name: _resolved(sample[name], attachments) for name in read if name in sample}


def _resolved(value: Any, attachments: Mapping[str, str]) -> Any:  # noqa: ANN401  any JSON value
    match value:
        case str() if value.startswith(ATTACHMENT):
            return attachments.get(value.removeprefix(ATTACHMENT), value)
        case dict():
            return {key: _resolved(inner, attachments) for key, inner in value.items()}
        case list():
            return [_resolved(inner, attachments) for inner in value]
    return value


def _is_zip(path: Path) -> bool:
    return text_files.beginning(path).startswith(b"PK")
