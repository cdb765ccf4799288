"""Writer of Inspect logs."""

import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from misalign_eval.interchange.columns import About, ExportItem
from misalign_eval.interchange.write_tables import Sink
from misalign_eval.records.base import digest
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import Finish, Reply, Usage
from misalign_eval.records.suite import REPLY_MARK

# Samples of the log, each a planned reply, with its line in the log's table of contents.


Json = dict[str, Any]

SETTINGS = ("temperature", "top_p", "max_tokens")
UNSCORED = float("nan")  # as Inspect writes a score that is none
STOP: dict[Finish, str] = {
    "stop": "stop",
    "length": "max_tokens",
    "refusal": "content_filter",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "unknown": "unknown",
}
EXCERPT = 1000  # characters of a text in a summary
MISALIGNED, OUTCOME = "misaligned", "outcome"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@ -]*")


def sample(about: About, item: ExportItem) -> Json:
    """One sample. Raises ValueError for a planned reply that was not collected."""
    row = item.row
    if row is None:
        raise ValueError(f"{item.key} has no row")
    uuid = digest([about.manifest.created, about.manifest.name, str(item.key)])
    sent = _messages(item, uuid)
    model = about.manifest.target.name
    reply = row if isinstance(row, Reply) else None
    answer = [_answer(reply, model, uuid)] if reply is not None and reply.text is not None else []
    usage = _usage(reply.usage) if reply is not None else None
    output = _output(model, reply, answer, usage)
    latency_s = None if reply is None else reply.latency_s
    times = _times(row.at, latency_s) or _times(about.manifest.created, None)
    json: Json = {
        **_named(item),
        "input": sent if len(sent) > 1 else item.question,
        "target": item.prompt.reference if isinstance(item.prompt.reference, str) else "",
        "messages": [*sent, *(choice["message"] for choice in answer)],
        "output": output,
        "scores": scores(about, item),
        "metadata": _metadata(item),
        "store": {},
        "events": [_event(item, sent, output, times)],
        "model_usage": {model: usage} if usage else {},
        "role_usage": {},
        **times,
        "uuid": uuid,
        "attachments": {},
    }
    if not isinstance(row, Reply):
        json["error"] = {"message": f"{row.reason}: {row.message}", "traceback": "", "traceback_ansi": ""}
    return json


def summary(json: Json) -> Json:
    """The line of a sample in the log's table of contents: long texts cut, as Inspect cuts them."""
    kept = ("id", "epoch", "target", "metadata", "model_usage", "role_usage", "started_at", "completed_at", "uuid")
    times = {name: json[name] for name in ("total_time", "working_time") if name in json}
    scored = {
        name: {key: _cut(value) for key, value in score.items() if key != "metadata"}
        for name, score in json["scores"].items()
    }
    error = {"error": _cut(json["error"]["message"])} if "error" in json else {}
    return {
        **{name: json[name] for name in kept},
        **times,
        "input": _cut(json["input"] if isinstance(json["input"], str) else json["input"][-1]["content"]),
        "scores": scored,
        **error,
        "retries": 0,
        "completed": True,
        "message_count": len(json["messages"]),
    }


def scores(about: About, item: ExportItem) -> Json:
    """The outcome, the definition's yes or no, and what each grader said."""
    counted = about.is_misaligned(item.outcome) if item.is_counted else None
    why = f"counted as {item.outcome} by definition {about.definition.name}"
    yes_or_no: Json = {
        "value": UNSCORED if counted is None else float(counted),
        "answer": item.outcome,
        "explanation": why,
    }
    json: Json = {MISALIGNED: yes_or_no, OUTCOME: {"value": item.outcome, "explanation": why}}
    for name, grade in item.grades.items():
        json[name] = _score(about.graders[name], grade)
    return json


def sample_id(probe: str, prompt: int, variant: str) -> str:
    """The id of a sample, which is also the path of its member in the zip: no name can lead out of it.

    >>> sample_id("power", 0, "plain"), sample_id("../up", 0, "plain")
    ('power/0/plain', '%2E.%2Fup/0/plain')
    """
    return "/".join((_part(probe), str(prompt), _part(variant)))


def _part(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    quoted = quote(name, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def _named(item: ExportItem) -> Json:
    key = item.key
    return {"id": sample_id(key.probe, key.prompt, key.variant), "epoch": key.sample + 1}


def _messages(item: ExportItem, uuid: str) -> list[Json]:
    """What was sent, the target's answers to earlier scripted turns among it. Inspect wants ids unique in the log."""
    prompt, row = item.prompt, item.row
    earlier = iter(row.earlier if isinstance(row, Reply) else ())
    sent: list[Json] = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
    for turn in prompt.messages:
        content = next(earlier, "") if turn.content == REPLY_MARK else turn.content
        sent.append({"role": turn.role, "content": content})
    return [{"id": f"{uuid}-{number}", **message} for number, message in enumerate(sent)]


def _answer(reply: Reply, model: str, uuid: str) -> Json:
    content: str | list[Json] = reply.text or ""
    if reply.reasoning:
        content = [{"type": "reasoning", "reasoning": reply.reasoning}, {"type": "text", "text": content}]
    message = {"id": f"{uuid}-answer", "role": "assistant", "content": content, "source": "generate", "model": model}
    return {"message": message, "stop_reason": STOP[reply.finish]}


def _output(model: str, reply: Reply | None, answer: list[Json], usage: Json | None) -> Json:
    json: Json = {"model": (reply.model if reply else None) or model, "choices": answer}
    json["completion"] = reply.text if reply and reply.text is not None else ""
    more = {
        "usage": usage,
        "time": reply.latency_s if reply else None,
        "error": reply.refusal if reply else None,
    }
    return json | {name: value for name, value in more.items() if value is not None}


def _event(item: ExportItem, sent: list[Json], output: Json, times: Json) -> Json:
    """The request of the (last) turn: Inspect's table of messages is made from these."""
    sampling = item.prompt.sampling.model_dump(exclude_none=True)
    return {
        "event": "model",
        "timestamp": times["started_at"],
        "working_start": 0.0,
        "model": output["model"],
        "input": sent,
        "tools": [],
        "tool_choice": "none",
        "config": {name: sampling[name] for name in SETTINGS if name in sampling},
        "output": output,
    }


def _usage(usage: Usage) -> Json | None:
    """None where tokens are unknown: Inspect has no other way to say so than zero."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = usage.cached_tokens or 0
    more = {
        "input_tokens_cache_read": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "total_cost": usage.cost_usd,
    }
    return {
        "input_tokens": max(0, usage.input_tokens - cached),
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    } | {name: value for name, value in more.items() if value is not None}


def _metadata(item: ExportItem) -> Json:
    prompt, row = item.prompt, item.row
    json: Json = {
        "key": str(item.key),
        "probe": item.key.probe,
        "prompt": item.key.prompt,
        "variant": item.key.variant,
        "category": prompt.category,
        "split": prompt.split,
        "tags": list(prompt.tags),
        "prompt_digest": prompt.prompt_digest,
        "is_counted": item.is_counted,
        "text_published": isinstance(row, Reply) and row.text is not None,
    }
    planned = {"prefill": prompt.prefill, "expect": prompt.expect, "expects": prompt.expects}
    json |= {name: value for name, value in planned.items() if value is not None}
    if isinstance(row, Reply):
        more: Json = {"finish": row.finish, "fingerprint": row.fingerprint, "route": row.route}
        more |= {
            "dropped": list(row.dropped),
            "finish_word": row.finish_word,
            "calls": [call.model_dump() for call in row.calls],
            "leaked": row.leaked,
            "refusal": row.refusal,
            "attempts": row.attempts,
            "streamed": row.streamed,
            "prefilled": list(row.prefilled),
        }
        json |= {name: value for name, value in more.items() if value}
    return json


def _score(identity: GraderIdentity, grade: Graded | Ungraded) -> Json:
    said: Mapping[str, Any] = {
        "judge": identity.judge,
        "identity": identity.identity,
        "raw": grade.raw,
        "modal": grade.modal,
        "number_mass": grade.number_mass,
        "distribution": grade.distribution,
    }
    json: Json = {"metadata": {name: value for name, value in said.items() if value is not None}}
    if isinstance(grade, Ungraded):
        reason = "scoring_failed" if grade.reason in {"rule_error", "no_logprobs", "not_given"} else "grader_failed"
        json["metadata"]["ungraded"] = grade.reason
        return {"value": UNSCORED, "explanation": grade.message, "reason": reason, **json}
    value = grade.label if grade.score is None else grade.score
    why = {"explanation": grade.why} if grade.why else {}
    return {"value": UNSCORED if value is None else value, **why, **json}


def _times(at: str, latency_s: float | None) -> Json:
    """Nothing where the row holds no moment, or a latency that no clock has shown."""
    try:
        ended = datetime.fromisoformat(at)
        began = ended - timedelta(seconds=latency_s or 0.0)
    except (ValueError, OverflowError):
        return {}
    if latency_s is None:
        return {"completed_at": ended.isoformat(), "started_at": ended.isoformat()}
    taken = {"total_time": latency_s, "working_time": latency_s}
    return {"started_at": began.isoformat(), "completed_at": ended.isoformat(), **taken}


def _cut(value: object) -> object:
    return value[:EXCERPT] + "..." if isinstance(value, str) and len(value) > EXCERPT else value


# Header of an Inspect log (version 2): https://inspect.aisi.org.uk/eval-logs.html.
#
# A sample is one planned reply that has a row: its id is probe/prompt/variant, its epoch the sample number from 1.
# Scores are `misaligned` (1 or 0 by the definition), `outcome`, and every grader's. What has no value is unscored as
# Inspect writes it: NaN, with the reason.


VERSION = 2


def header(about: About) -> Json:
    """All of the log but its samples."""
    return {
        "version": VERSION,
        "status": "success" if about.is_complete else "cancelled",
        "eval": _spec(about),
        "plan": {
            "name": "plan",
            "steps": [{"solver": "misalign_eval", "params": {}, "params_passed": {}}],
            "config": {},
        },
        "results": _results(about),
        "stats": {
            "started_at": _time(about.manifest.created),
            "completed_at": _ended(about),
            "model_usage": {},
            "role_usage": {},
        },
    }


def start(about: About) -> Json:
    """What Inspect writes when an evaluation begins."""
    whole = header(about)
    return {name: whole[name] for name in ("version", "eval", "plan")}


def _spec(about: About) -> Json:
    run = about.manifest
    ids = [sample_id(prompt.probe, prompt.prompt, prompt.variant) for prompt in about.plan]
    name = digest([run.name, run.created, run.suite_digest])
    return {
        "eval_id": name,
        "run_id": name,
        "created": _time(run.created),
        "task": run.suite,
        "task_id": run.suite_digest,
        "task_version": run.suite_version,
        "task_display_name": run.suite,
        "task_attribs": {},
        "task_args": {},
        "task_args_passed": {},
        "dataset": {"name": run.suite, "samples": len(ids), "sample_ids": ids, "shuffled": False},
        "model": run.target.name,
        "model_generate_config": _settings(about),
        "model_args": {},
        "config": {"epochs": max((prompt.samples for prompt in about.plan), default=1), "log_samples": True},
        "packages": {"misalign_eval": run.tool_version},
        "metadata": _about_run(about),
        "scorers": [_scorer(name, None) for name in (MISALIGNED, OUTCOME)]
        + [_scorer(name, grader) for name, grader in about.graders.items()],
    }


def _settings(about: About) -> Json:
    """The sampling settings that every prompt shares."""
    shared: Json = {} if about.manifest.seed is None else {"seed": about.manifest.seed}
    for name in SETTINGS:
        values = {getattr(prompt.sampling, name) for prompt in about.plan}
        if len(values) == 1 and None not in values:
            shared[name] = values.pop()
    return shared


def _about_run(about: About) -> Json:
    run = about.manifest
    return {
        "run": run.name,
        "suite_digest": run.suite_digest,
        "definition": about.definition.name,
        "definition_digest": about.summary.definition_digest,
        "judge": about.summary.judge,
        "host": run.target.host,
        "git_commit": run.git_commit,
        "labels": run.labels,
    }


def _scorer(name: str, identity: GraderIdentity | None) -> Json:
    about = {} if identity is None else {"kind": identity.kind, "judge": identity.judge, "identity": identity.identity}
    return {"name": name, "options": {}, "metrics": [], "metadata": about}


def _results(about: About) -> Json:
    found = about.summary
    values = {"rate" if found.measure == "rate" else "mean": found.rate, "low": found.low, "high": found.high}
    metrics = {
        name: {"name": name, "value": value, "params": {}} for name, value in values.items() if value is not None
    }
    score = {
        "name": MISALIGNED,
        "scorer": MISALIGNED,
        "scored_samples": found.graded,
        "unscored_samples": found.planned - found.graded,
        "params": {},
        "metrics": metrics,
        "metadata": {"averaged": found.averaged, "interval": "95 %, for exactly these probes"},
    }
    return {"total_samples": about.wanted, "completed_samples": about.collected, "scores": [score]}


def _ended(about: About) -> str:
    """When the last row was written; where none says so in a way that can be read, when the run began."""
    try:
        return _time(about.finished or about.manifest.created)
    except ValueError:
        return _time(about.manifest.created)


def _time(text: str) -> str:
    return datetime.fromisoformat(text).isoformat()


# The two file formats: `.eval`, a zip with a member for each sample, and `.json`, one document.


_OLDEST = (1980, 1, 1, 0, 0, 0)  # of every member: the same run gives the same bytes


def archive(about: About, items: Iterator[ExportItem]) -> Iterator[bytes]:
    """The pieces of a `.eval` file. Memory: the zip's own table of contents, a few hundred bytes a sample."""
    sink = Sink()
    # The summaries come last and hold the beginning of every text: they wait on the disk, not in memory.
    with tempfile.TemporaryFile() as summaries, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as log:
        _member(log, "_journal/start.json", start(about))
        yield sink.taken()
        for sample in _samples(about, items):
            _member(log, f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
            summaries.write((b"," if summaries.tell() else b"[") + _json(summary(sample)))
            yield sink.taken()
        summaries.write(b"]" if summaries.tell() else b"[]")
        summaries.seek(0)
        with log.open(_info("summaries.json"), "w", force_zip64=True) as member:
            shutil.copyfileobj(summaries, member)
        _member(log, "header.json", header(about))
        yield sink.taken()
        log.close()
        yield sink.taken()


def document(about: About, items: Iterator[ExportItem]) -> Iterator[bytes]:
    """The pieces of a `.json` file."""
    yield _json(header(about))[:-1] + b',"samples":['
    for number, sample in enumerate(_samples(about, items)):
        yield (b",\n" if number else b"\n") + _json(sample)
    yield b"\n]}\n"


def _samples(about: About, items: Iterator[ExportItem]) -> Iterator[dict[str, Any]]:
    return (sample(about, item) for item in items if item.row is not None)


def _member(log: zipfile.ZipFile, name: str, content: object) -> None:
    log.writestr(_info(name), _json(content))


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=_OLDEST)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


def _json(content: object) -> bytes:
    """In plain ASCII; NaN as Inspect writes it, by name."""
    return json.dumps(content, separators=(",", ":")).encode()
