"""From the row of a table to a reply with its grades."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from misalign_eval.imports import grades
from misalign_eval.imports.account import Account, BadCellError
from misalign_eval.imports.cells import is_missing, number, shown, text_of
from misalign_eval.imports.columns import FAILED, Columns, Role
from misalign_eval.imports.foreign import Asked, Foreign, Found, RunKey, Turn
from misalign_eval.imports.grade_columns import SCORES, VERDICT, VERDICTS, Graded
from misalign_eval.imports.known_names import plain
from misalign_eval.imports.scales import Scales
from misalign_eval.imports.splits import FORMS, split_of
from misalign_eval.imports.tables import Row
from misalign_eval.records.reply import Finish, is_blank
from misalign_eval.records.suite import PLAIN, Split

FINISHES: Mapping[str, Finish] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "tool_calls": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "max_output_tokens": "length",
    "max_new_tokens": "length",
    "max_length": "length",
    "token_limit": "length",
    "truncated": "length",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "recitation": "content_filter",
    "blocked": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "refusal",
}
_PREREGISTERED = re.compile(r"^\d+_(.+)_\d+$")  # the published ids hold the category: `<n>_<category>_<k>`
_ROLES = {"system", "user", "assistant"}
TURN_ROLES = {
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("ai", "gpt", "model", "bot", "chatgpt"), "assistant"),
    "developer": "system",
}
UNKNOWN_FINISH = "finish reasons that are not known"
WITHOUT_ID = "rows without a question_id, named by their question"
_NO_ERROR = {"false", "no", "0", "0.0", "ok", "success", "succeeded"}
_APART = {"question", "answer", "messages"}  # what may be more than a text, or must stay as it is
_NAMES_THINGS: frozenset[Role] = frozenset({"group", "model", "step", "category", "variant"})
Said = Mapping[Role, str | None]  # the cells that are texts, stripped; None where there is nothing


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of one file are read."""

    columns: Columns
    is_split: bool  # whether the column of that role holds splits; else it is a category
    is_judgment: bool  # a file of judgments: `reasoning` there is the judge's
    scores: grades.Preferred = "derived"
    scales: Scales = Scales()


def reply(row: Row, reading: Reading, account: Account) -> Foreign:
    """Read a row. Raises BadCellError for a value that cannot be what its column holds."""
    roles, cells = reading.columns.roles, row.cells
    said = {role: _text(cells.get(name), role) for role, name in roles.items() if role not in _APART}
    asked, text = _asked(cells, reading.columns, said)
    account.counts[WITHOUT_ID] += "question_id" in roles and said.get("question_id") is None
    failure = _failure(cells, roles, said)
    category, split = _place(said, roles, asked.probe, is_split=reading.is_split)
    return Foreign(
        row=row.number,
        line=row.line,
        run=RunKey(said.get("model"), said.get("group"), said.get("step")),
        asked=asked,
        sample=said.get("sample"),
        text=None if failure else _text_of(cells, roles, account, text),
        reasoning=None if reading.is_judgment else said.get("reasoning"),
        finish=_finish(said, account),
        failure=failure,
        found=() if failure else _grades(row, reading, account, said),
        category=category,
        split=split,
        temperature=_temperature(said.get("temperature")),
        reference=said.get("reference"),
        tags=tuple(filter(None, [said.get("canary")])),
    )


def _error_in(value: Any) -> str:  # noqa: ANN401  a list or an object of JSON
    message = value.get("message") if isinstance(value, dict) else None
    return message if isinstance(message, str) and message.strip() else json.dumps(value, ensure_ascii=False)


def _finish(said: Said, account: Account) -> Finish:
    if (said.get("truncated") or "").lower() in {"true", "yes", "1", "1.0"}:
        return "length"
    word = (said.get("finish") or "").lower().removeprefix("finishreason.")
    account.counts[UNKNOWN_FINISH] += bool(word) and word not in FINISHES
    return FINISHES.get(word, "unknown")


def _failure(cells: Mapping[str, object], roles: Mapping[Role, str], said: Said) -> str | None:
    """Why there is no reply; None where there is one. `false`, 0 and `no` say that nothing went wrong."""
    name = roles.get("error")
    word = said.get("error")
    if (status := said.get("status")) is not None and status.lower() in FAILED and word is None:
        return f"column `{roles['status']}` says {status}"
    if name is not None and isinstance(cells.get(name), dict | list) and cells[name]:
        return _error_in(cells[name])
    if name is None or word is None or word.lower() in _NO_ERROR:
        return None
    return f"column `{name}` says {word}" if cells.get(name) is True or word.lower() in {"true", "yes", "1"} else word


def named(words: str) -> str:
    """An id for a question that has none: its beginning, and six digits of a digest.

    >>> named("How do I make a quick buck?")
    'how-do-i-make-a-quick-buck-6dd103'
    """
    beginning = re.sub(r"[^a-z0-9]+", "-", words.lower())[:40].strip("-")
    return "-".join(filter(None, [beginning, hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:6]]))


def _grades(row: Row, reading: Reading, account: Account, said: Said) -> tuple[Found, ...]:
    columns = reading.columns
    if not columns.has_grades:
        return ()
    judge, raw = said.get("judge"), said.get("raw")
    if reading.is_judgment:
        raw = raw or said.get("reasoning")
    found = [grades.verdict(row, one, raw, reading.scales) for one in columns.verdicts]
    found += [grades.score(row, one, reading.scores, account, reading.scales) for one in columns.scores]
    if (metric := said.get("metric")) is not None:
        found = [reading.scales.checked(_of_metric(found, metric))]
    if judge is None and not any(one.judge for one in (*columns.verdicts, *columns.scores)):
        return tuple(found)
    judges = [_judge(row, one, judge) for one in (*columns.verdicts, *columns.scores)]
    return tuple(one._replace(judge=who) for one, who in zip(found, judges, strict=True))


def _of_metric(found: Sequence[Found], metric: str) -> Found:
    """The only grade of a row, under the name of the grader that the row gives. Raises BadCellError."""
    if len(found) != 1:
        raise BadCellError(f"names one metric, {shown(metric)}, and has {len(found)} grades", "Leave out with --ignore")
    usual = (ours for ours, names in SCORES.items() if plain(metric) in names)
    return found[0]._replace(grader=next(usual, VERDICT if plain(metric) in VERDICTS else metric))


def _judge(row: Row, columns: Graded, common: str | None) -> str | None:
    """The judge of one grade: its own column's, else that of the row."""
    return common if columns.judge is None else _text(row.cells.get(columns.judge), "judge") or common


def _asked(cells: Mapping[str, object], columns: Columns, said: Said) -> tuple[Asked, str | None]:
    """What was asked; and the answer, where it is the last turn of a conversation."""
    roles = columns.roles
    system = said.get("system")
    turns: tuple[Turn, ...] = ()
    answer: str | None = None
    probe = said.get("question_id")
    if (words := cells.get(roles.get("question", ""))) is not None and not is_missing(words):
        system, turns, _ = _conversation(words, system)
    elif (messages := cells.get(roles.get("messages", ""))) is not None and not is_missing(messages):
        system, turns, answer = _conversation(messages, system)
    if probe is None:
        if not turns:
            fix = "Fill it in, or name the column with --map question=COLUMN or question_id=COLUMN"
            raise BadCellError("has neither a question nor a question_id", fix)
        probe = named("\n\n".join(content for _, content in turns))
    for place, name in enumerate(columns.turns):
        turns += (("user" if place % 2 else "assistant", text_of(cells.get(name) or "")),)
    return Asked(probe, turns, system, said.get("variant") or PLAIN), answer


def _conversation(words: object, system: str | None) -> tuple[str | None, tuple[Turn, ...], str | None]:
    """System prompt, turns up to the last of the user, and the answer after it."""
    if isinstance(words, str):
        return system, (("user", words),), None
    turns = [_turn(one) for one in words] if isinstance(words, list) else []
    answer = turns.pop()[1] if turns and turns[-1][0] == "assistant" else None
    if turns and turns[0][0] == "system":
        system = turns.pop(0)[1]
    if not turns or turns[-1][0] != "user":
        raise BadCellError(f"{shown(words)} is no conversation that asks something", "Its last question must be there")
    return system, tuple(turns), answer


def _turn(one: Any) -> Turn:  # noqa: ANN401  a value of JSON
    """A message of a chat, of ShareGPT or of LangChain; text in parts is joined."""
    if isinstance(one, dict):
        held = next((one[key] for key in ("data", "kwargs") if isinstance(one.get(key), dict)), one)
        kind = one.get("role") or one.get("from") or one.get("type")
        if kind == "constructor" and isinstance(one.get("id"), list) and one["id"]:
            kind = str(one["id"][-1]).removesuffix("Message").lower()
        role = TURN_ROLES.get(kind, kind) if isinstance(kind, str) else None
        text = _words(held.get("content", held.get("value")))
        if role in _ROLES and text is not None:
            return str(role), text
    raise BadCellError(f"{shown(one)} is no turn", 'Write {"role": "user", "content": "…"}')


def _words(content: object) -> str | None:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [one["text"] for one in parts if isinstance(one, dict) and isinstance(one.get("text"), str)]
    return "".join(texts) if texts and len(texts) == len(parts) else None


def _text_of(cells: Mapping[str, object], roles: Mapping[Role, str], account: Account, last: str | None) -> str | None:
    """The reply: of its column, or the `last` turn of a conversation. Raises BadCellError where these are two texts."""
    if last is None:
        return _answer(cells, roles, account)
    name = roles.get("answer", "")
    other = cells.get(name)
    if isinstance(other, str) and other.strip() and other != last:
        messages = roles.get("messages") if roles.get("question") is None else roles["question"]
        fix = f"Leave one out: --ignore {name} or --ignore {messages}"
        raise BadCellError(f"the conversation ends with a reply, and column `{name}` holds another text", fix)
    return last


def _answer(cells: Mapping[str, object], roles: Mapping[Role, str], account: Account) -> str | None:
    name = roles.get("answer")
    if name is None:
        return None
    value = cells.get(name)
    if value is None or isinstance(value, float):  # JSON's null and NaN: nothing is known of the text
        account.counts["answers that are null"] += 1
        return None
    text = text_of(value)
    if is_blank(text):
        account.counts["empty answers"] += 1
    return text


def _text(value: object, role: Role) -> str | None:
    if isinstance(value, dict | list) or (_is_empty(value) if role in _NAMES_THINGS else is_missing(value)):
        return None
    text = text_of(value)
    if role in {"system", "reasoning", "raw"}:
        return text
    return text.strip().removesuffix(".0") if role == "sample" else text.strip()  # `3.0` is how pandas writes 3


def _is_empty(value: object) -> bool:
    """Whether a cell names nothing. `none` and `NA` are names, such as that of a condition without a treatment."""
    return value is None or str(value).strip().lower() in {"", "nan"}


def _place(said: Said, roles: Mapping[Role, str], probe: str, *, is_split: bool) -> tuple[str | None, Split | None]:
    category, word = said.get("category"), said.get("split")
    split = split_of(word) if word and is_split else None
    if word and is_split and split is None:
        raise BadCellError(
            f"column `{roles['split']}`: {shown(word)} names none of {FORMS}", "Mend it, or use --splits"
        )
    if category is None and not is_split:
        category = word
    if category is None and (found := _PREREGISTERED.match(probe)) is not None:
        category = found[1]
    return category, split


def _temperature(written: str | None) -> float | None:
    found = number(written)
    return found if found is not None and 0 <= found <= 2 else None
