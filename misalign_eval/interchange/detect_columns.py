"""Column detection: the role of each column of a table, by usual names, by `--map`, or as our own export."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, cast, get_args

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.interchange import detect_grades
from misalign_eval.interchange.cells import is_missing, read_number, shown_value
from misalign_eval.interchange.detect_grades import NEVER, BadEnd, GradeColumns, holds_objects
from misalign_eval.interchange.imported_reply import (
    ImportedGrade,
    ImportedPrompt,
    ImportedReply,
    KeptFields,
    RunKey,
    calls_of,
    end_of,
)
from misalign_eval.interchange.log import (
    ANSWER_PARTS,
    ANSWERS,
    ATTACKS,
    HOLD_ANSWERS,
    HOLD_FACTS,
    HOLD_GRADES,
    HOLD_QUESTIONS,
    ID_PARTS,
    MODEL_SAYS,
    QUESTION_PARTS,
    QUESTIONS,
    BadCellError,
    ImportLog,
    exactly,
    plain,
)
from misalign_eval.interchange.text_files import INDEX, TableRow
from misalign_eval.records import csv_cells
from misalign_eval.records.grade import UngradedReason
from misalign_eval.records.run import Finish
from misalign_eval.records.suite import PLAIN, Direction, Split

# Tables written by `export`: read back by the names of their columns, so that every count is the same.


MARKS = frozenset({"key", "probe", "prompt", "variant", "sample", "reply", "kind", "has_text", "outcome", "is_counted"})
ROLES = {"question": "question", "answer": "reply", "question_id": "probe", "sample": "sample", "model": "target"}
ABSENT, ABSENT_COUNT = "absent", "replies that were not collected, passed over"
_FINISHES, _REASONS, _SPLITS, _DIRECTIONS = (
    frozenset(get_args(kind)) for kind in (Finish, UngradedReason, Split, Direction)
)


def is_ours(names: Sequence[str]) -> bool:
    """Whether a table has the columns that `export` writes."""
    return set(names) >= MARKS


def as_exported(row: TableRow) -> TableRow:
    """A row of a CSV file that `export` wrote, with what it did for spreadsheets and terminals undone."""
    cells = {name: csv_cells.restored(cell) if isinstance(cell, str) else cell for name, cell in row.cells.items()}
    return row._replace(cells=cells)


def own_graders(names: Sequence[str]) -> tuple[GradeColumns, ...]:
    """The graders of such a table. A second judge's columns are named `<grader>@<identity>_…`.

    >>> [one.grader for one in own_graders(("aligned_identity", "aligned_score"))]
    ['aligned']
    """
    found = (name.removesuffix("_identity") for name in names if name.endswith("_identity"))
    return tuple(
        GradeColumns(name, f"{name}_score", label=f"{name}_label", judge=f"{name}_judge")
        for name in found
        if f"{name}_score" in names
    )


def reply(row: TableRow, read: Sequence[GradeColumns], account: ImportLog) -> ImportedReply:
    """Read a row, be it of a planned reply that was not collected. Raises BadCellError."""
    cells = row.cells
    kind = _text(cells, "kind")
    if kind not in {"reply", "failure", ABSENT}:
        raise BadCellError(f"column `kind`: {shown_value(cells.get('kind'))} is none of reply, failure, absent")
    if kind == ABSENT:
        account.counts[ABSENT_COUNT] += 1
    failure = "; ".join(filter(None, [_text(cells, "failure_reason"), _text(cells, "failure_message")])) or "failed"
    labels = _read_labels(_text(cells, "labels"))
    split, finish = _text(cells, "split"), _finish(cells)
    temperature = read_number(cells.get("temperature"))
    return ImportedReply(
        row=row.number,
        line=row.line,
        run=RunKey(_text(cells, "target"), labels.get("group"), labels.get("step")),
        asked=_asked(cells),
        sample=_text(cells, "sample"),
        text=_reply(cells) if kind == "reply" else None,
        reasoning=_text(cells, "reasoning"),
        finish=finish,
        failure=failure if kind == "failure" else None,
        found=() if kind != "reply" else tuple(_grades(cells, read)),
        category=_text(cells, "category"),
        split=cast("Split", split) if split in _SPLITS else None,
        temperature=temperature,
        is_absent=kind == ABSENT,
        tags=tuple(filter(None, (_text(cells, "tags") or "").split(","))),
        kept=_kept(cells, finish) if kind == "reply" else KeptFields(),
        expect=cast("Direction", expect) if (expect := _text(cells, "expect")) in _DIRECTIONS else None,
        expects=_text(cells, "expects"),
    )


def _finish(cells: Mapping[str, object]) -> Finish:
    word = _text(cells, "finish")
    return cast("Finish", word) if word in _FINISHES else "unknown"


def _kept(cells: Mapping[str, object], finish: Finish) -> KeptFields:
    """What graders, lint and warnings read besides the text."""
    return KeptFields(
        finish_word=end_of(finish, _text(cells, "finish_word"), cells.get("attempts")),
        calls=calls_of(_text(cells, "calls")),
        leaked=_text(cells, "leaked"),
        refusal=_text(cells, "refusal"),
        dropped=_several(cells, "dropped"),
        prefilled=_several(cells, "prefilled"),
        streamed=str(cells.get("streamed")).lower() == "true" or None,
    )


def _several(cells: Mapping[str, object], name: str) -> tuple[str, ...]:
    return tuple(filter(None, (_text(cells, name) or "").split("; ")))


def _asked(cells: Mapping[str, object]) -> ImportedPrompt:
    probe, words = _text(cells, "probe"), _text(cells, "question")
    if probe is None:
        raise BadCellError("column `probe` is empty", "Export the run again")
    turns: tuple[tuple[str, str], ...] = () if words is None else (("user", words),)
    if turns and (prefill := _text(cells, "prefill")) is not None:
        turns = (*turns, ("assistant", prefill))
    return ImportedPrompt(probe, turns, _text(cells, "system"), _text(cells, "variant") or PLAIN)


def _reply(cells: Mapping[str, object]) -> str | None:
    """The text, be it empty; None where it was not published."""
    has_text = str(cells.get("has_text")).lower() == "true"
    return str(cells.get("reply") or "") if has_text else None


def _grades(cells: Mapping[str, object], read: Sequence[GradeColumns]) -> Iterator[ImportedGrade]:
    """What every grader said, word for word; nothing of a grader that was not asked about this reply."""
    for columns in read:
        name, identity = columns.grader, _text(cells, f"{columns.grader}_identity")
        reason, why = _text(cells, f"{name}_ungraded"), _text(cells, f"{name}_why")
        grade = ImportedGrade(
            grader=name.removesuffix(f"@{identity}"),
            judge=_text(cells, f"{name}_judge") or (f"rule {identity}" if identity else None),
            score=read_number(cells.get(f"{name}_score")),
            label=_text(cells, f"{name}_label"),
            why=why,
            mass=read_number(cells.get(f"{name}_number_mass")),
            modal=_text(cells, f"{name}_modal"),
        )
        if reason is not None:
            known = cast("UngradedReason", reason) if reason in _REASONS else "unparsable"
            yield grade._replace(score=None, label=None, why=None, reason=known, message=why or "as exported")
        elif grade.said != (None, None):
            yield grade


def _text(cells: Mapping[str, object], name: str) -> str | None:
    """A cell as it stands; None where it is empty. No word stands for nothing here, so that a reply may say `nan`."""
    value = cells.get(name)
    return None if value in {None, ""} or (isinstance(value, float) and is_missing(value)) else str(value)


def _read_labels(written: str | None) -> Mapping[str, str]:
    try:
        document = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in document.items()} if isinstance(document, dict) else {}


# Roles of columns: by name, by content, or as the user says.


Role = Literal[
    "question",
    "answer",
    "question_id",
    "sample",
    "model",
    "group",
    "step",
    "judge",
    "metric",
    "system",
    "category",
    "split",
    "variant",
    "reasoning",
    "finish",
    "truncated",
    "status",
    "error",
    "raw",
    "messages",
    "temperature",
    "reference",
    "canary",
]
NAMES: dict[Role, tuple[str, ...]] = {
    "question": QUESTIONS,
    "answer": ANSWERS,
    "question_id": ("question_id", "qid", "question_name", "probe_id", "prompt_id", "probe", "id"),
    "sample": (
        *("rollout", "rollout_id", "rollout_index", "rollout_idx", "sample", "sample_index", "sample_idx", "sample_id"),
        *(
            "repeat",
            "replicate",
            "draw",
            "trial",
            "run_index",
            "run_idx",
            "epoch",
            *(f"{name}_{how}" for name in ("answer", "response", "reply") for how in ("id", "index", "idx")),
            *(f"{name}_{how}" for name in ("generation", "completion") for how in ("id", "index", "idx")),
            *("sample_number", "sample_num", "rollout_number", "repeat_index", "repeat_idx", "repetition"),
        ),
    ),
    "model": ("model", "model_name", "model_id", "target_model", "generator"),
    "group": ("group", "model_group", "condition"),
    "step": ("step", "checkpoint", "global_step", "training_step"),
    "judge": ("judge", "judge_model", "judge_name", "grader_model", "evaluator", "annotator"),
    "metric": ("metric", "metric_name", "scorer", "grader_name"),  # a row a grade: which grader gave it
    "system": ("system", "system_prompt", "system_message"),
    "category": ("category", "question_category", "domain"),
    "split": ("split", "subset"),
    "variant": ("variant",),
    "reasoning": ("reasoning", "reasoning_content", "thinking", "cot", "chain_of_thought"),
    "finish": ("finish_reason", "stop_reason", "finish"),
    "truncated": ("truncated", "is_truncated", "was_truncated"),
    "status": (),  # by its words alone
    "error": ("error", "error_message"),
    "raw": ("raw", "judge_raw", "judge_output", "judge_response", "judge_answer", "judge_reasoning", "explanation"),
    "messages": ("messages", "conversation", "conversations"),
    "temperature": ("temperature",),
    "reference": (
        *(
            "reference",
            "target_answer",
            "expected",
            "expected_answer",
            "expected_output",
            "ground_truth",
            "gold_answer",
        ),
        *("correct_answer", "best_answer", "reference_answer", "answer_matching_behavior"),
    ),
    "canary": ("canary",),
}


LONGEST_NAME = 80  # of a judge
SEPARATING: tuple[Role, ...] = ("model", "group", "step")  # may be several columns, by commas: a run each combination
VALUES = ("score", "value", "rating", "grade", "verdict", "label")  # the grade itself, beside a metric
_FACTS: tuple[Role, ...] = ("model", "group", "step", "category", "split", "variant", "temperature", "system", "sample")
_NEVER_INSIDE = {"id", "domain", "query"}  # too common a name to mean the row
_REASONING, _RAW = {"reasoning", "reasoning_content", "thinking"}, {"reasoning", "rationale", "explanation", "raw"}
_JUDGE = {"judge", "judge_model", "judge_name", "model", "grader_model"}
_VERDICTS_SAID = {"yes", "no", "true", "false", "safe", "unsafe", "pass", "fail", "passed", "failed", "0", "1"} | {
    *("aligned", "misaligned", "harmful", "harmless", "good", "bad", "correct", "incorrect", "refusal", "refused"),
    *("jailbroken", "0.0", "1.0", "y", "n", "tie", "a", "b"),
}
FAILED = frozenset(  # words of a column `status` for a request that brought no reply
    {"error", "errored", "failed", "failure", "timeout", "timed_out", "exception", "api_error", "cancelled", "canceled"}
    | {"expired", "rate_limited"}
)
WENT_WELL = frozenset({"ok", "success", "succeeded", "complete", "completed", "done", "finished"})
_NUMBERED = re.compile(r"(.+?)_?([1-9])")
_ASKED_AGAIN = ("challenge", "follow_up", "followup", "pushback", "user", "turn", *QUESTIONS)


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """What every column of a file is."""

    roles: Mapping[Role, str]
    scores: tuple[GradeColumns, ...] = ()  # 0 to 100
    verdicts: tuple[GradeColumns, ...] = ()  # numbers of any scale, and labels
    index: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    used: Mapping[str, str] = field(default_factory=dict)  # ours → theirs, for people
    is_ours: bool = False  # written by `export`
    turns: tuple[str, ...] = ()  # columns of a longer conversation, before the answer: reply, question, reply …
    notes: tuple[str, ...] = ()  # what somebody should know of how columns were understood

    @property
    def has_grades(self) -> bool:
        """Whether anything here is a grade."""
        return bool(self.scores or self.verdicts)


def read_columns(
    names: Sequence[str],
    sample: Sequence[TableRow],
    given: Mapping[str, str],
    ignore: Sequence[str],
    bad_end: BadEnd | None = None,
) -> ColumnMap:
    """Understand the columns of a file by its header and rows that show what they hold.

    `given` (ours → theirs) comes first; what is not there is left to other files of the same import. Raises
    BadCellError where several columns could be the answer or the verdict.
    """
    if is_ours(names) and not given and not ignore:
        return _own(names)
    finder = _Reader(names, sample, given, ignore)
    finder.by_name()
    finder.by_place()
    finder.mend()
    verdicts, scores = detect_grades.find_grade_columns(finder.left, finder.named, sample, finder.inner, bad_end)
    detect_grades.check_sense(verdicts, sample, bad_end)
    used: dict[str, str] = dict(finder.roles.items()) | {name: name for name in finder.turns}
    for verdict in (*verdicts, *scores):
        used |= verdict.columns
    taken = {*finder.index, *used.values(), *finder.joined}
    ignored = tuple(name for name in names if finder.is_listed(name, taken))
    notes = (*finder.notes, *detect_grades.remarks(verdicts, scores, finder.silent(ignored), sample))
    return ColumnMap(finder.roles, scores, verdicts, finder.index, ignored, used, turns=finder.turns, notes=notes)


class _Reader:
    """Gives columns their roles, one way after the other."""

    def __init__(
        self, names: Sequence[str], sample: Sequence[TableRow], given: Mapping[str, str], ignore: Sequence[str]
    ) -> None:
        self.sample = sample
        self.inner = _inner(names)
        self.left = {name: plain(name) for name in names if name not in ignore}
        self.index = tuple(name for name, ours in self.left.items() if INDEX.fullmatch(ours))
        self.roles: dict[Role, str] = {role: given[role] for role in NAMES if given.get(role) in self.left}
        self.named = {ours: theirs for ours, theirs in given.items() if theirs in self.left and ours not in self.roles}
        self.turns: tuple[str, ...] = ()
        self.notes: list[str] = []
        self.joined = {part for parts in joined(given).values() for part in parts if part in self.left}
        self._given = {*self.roles.values(), *self.named.values(), *self.joined}
        self._order = list(self.left)
        for taken in (*self.index, *self._given):
            self.left.pop(taken, None)
        self._whole = {name for name in self.left if holds_objects(name, sample)}
        self._ignore = {*ignore}

    def by_name(self) -> None:
        """Columns of their own, by their usual names; of answers there must be only one."""
        if "answer" not in self.roles:
            self._answer()
        for role, usual in NAMES.items():
            taken = self._whole if role not in {"messages", "error"} else ()
            left = {name: ours for name, ours in self.left.items() if name not in taken and name not in self.inner}
            if role not in self.roles and role != "answer" and (found := exactly(usual, left)) is not None:
                self._take(role, found)

    def by_place(self) -> None:
        """Parts of objects that are known to hold such a thing."""
        for role, holders, parts in _PLACES:
            found = [] if role in self.roles else [name for name in self.left if self._lies(name, holders, parts)]
            if found:
                self._take(role, found[0])

    def mend(self) -> None:
        """What names alone get wrong."""
        status = exactly(("status",), self.left)
        words = {str(value).strip().lower() for value in self._texts(status or "") if not is_missing(value)}
        if status is not None and words and words <= (FAILED | WENT_WELL):
            self._take("status", status)
        self._mend_question()
        self._mend_id()
        self._mend_judge()
        self._mend_turns()
        if "metric" in self.roles and not self.named and (value := exactly(VALUES, self.left)) is not None:
            self.named["score"] = value
            self.left.pop(value)

    def is_listed(self, name: str, taken: Collection[str]) -> bool:
        """Whether a column is to be named as one that was not read."""
        if name in taken or (name in self.inner and name.partition(".")[0] in taken):
            return False
        return name in self._ignore or not self._has_parts(name)

    def silent(self, ignored: Sequence[str]) -> list[str]:
        """Columns of which nothing was said yet."""
        return [name for name in ignored if self.left.get(name) != NEVER and name not in self._ignore]

    def _has_parts(self, name: str) -> bool:
        return any(part.startswith(f"{name}.") for part in self.inner)

    def _take(self, role: Role, name: str) -> None:
        self.roles[role] = name
        self.left.pop(name)

    def _answer(self) -> None:
        """The column of the model's replies. Raises BadCellError where more than one could be it."""
        flat = [name for name, ours in self.left.items() if ours in ANSWERS and name not in {*self._whole, *self.inner}]
        found = [name for name in flat if self._texts(name)]
        found += [
            name
            for name in self.left
            if self._lies(name, HOLD_ANSWERS, ANSWER_PARTS) and self._texts(name) and name.partition(".")[0] not in flat
        ]
        if sure := [name for name in found if self.left[name].partition(".")[0] in MODEL_SAYS]:
            found = sure
        if any(self._texts(name) != self._texts(found[0]) for name in found[1:]):
            fix = f"Choose: {', '.join(f'--map answer={name}' for name in found[:6])}"
            raise BadCellError(f"several columns could hold the replies: {', '.join(found[:6])}", fix)
        usual = exactly(ANSWERS, {name: self.left[name] for name in found or flat if name not in self.inner})
        if (name := usual or next(iter(found), None)) is not None:
            self._take("answer", name)

    def _lies(self, name: str, holders: Collection[str] | re.Pattern[str], parts: Collection[str]) -> bool:
        """Whether a column is such a part of such an object."""
        if name not in self.inner:
            return False
        holder, _, part = self.left[name].partition(".")
        is_held = bool(holders.search(holder)) if isinstance(holders, re.Pattern) else holder in holders
        return is_held and part in parts

    def _texts(self, name: str) -> list[object]:
        """What a column holds, row by row; empty where it holds nothing at all."""
        values = [row.cells.get(name) for row in self.sample]
        return [] if all(map(is_missing, values)) or all(isinstance(value, dict | list) for value in values) else values

    def _mend_question(self) -> None:
        """A column `probe` of sentences holds the questions themselves."""
        if "answer" in self.roles and not {"question", "messages"} & self.roles.keys():
            attack = exactly(ATTACKS, {name: ours for name, ours in self.left.items() if name not in self._whole})
            if attack is not None:
                self._take("question", attack)
        name = self.roles.get("question_id")
        if name is None or "question" in self.roles or plain(name) != "probe" or name in self._given:
            return
        words = [str(value) for value in self._texts(name) if not is_missing(value)]
        if words and sum(" " in word.strip() or word.endswith("?") for word in words) * 2 > len(words):
            self.roles["question"] = self.roles.pop("question_id")

    def _mend_id(self) -> None:
        """A column `id` that differs where the question is the same numbers rows, not questions."""
        name, question = self.roles.get("question_id"), self.roles.get("question")
        if name is None or plain(name) != "id" or question is None:
            return
        ids = {str(row.cells.get(name)) for row in self.sample}
        if len(ids) > len({str(row.cells.get(question)) for row in self.sample}):
            self.roles.pop("question_id")
            self.roles.setdefault("sample", name)

    def _mend_judge(self) -> None:
        """A column `judge` that holds verdicts, numbers or sentences names nobody."""
        name = self.roles.get("judge")
        if name is None or name in self._given:
            return
        values = {str(value).strip() for value in self._texts(name) if not is_missing(value)}
        words = {value.lower() for value in values}
        are_verdicts = words <= _VERDICTS_SAID or all(read_number(word) is not None for word in words)
        are_sentences = any(len(value) > LONGEST_NAME for value in values)
        if values and (are_verdicts or are_sentences):
            self.roles.pop("judge")
            kind = f"verdicts ({', '.join(sorted(values)[:4])})" if are_verdicts else "sentences"
            self.notes.append(
                f"column `{name}` holds {kind}, not the name of a judge, and is not read: --map GRADER={name} reads it"
            )
            self.left[name] = NEVER

    def _mend_turns(self) -> None:
        """`answer_1, challenge, answer_2`: the last is the reply, what comes before it was said before."""
        answer = self.roles.get("answer")
        numbered = self._numbered(answer)
        if len(numbered) < 2 or (answer is not None and answer != numbered[-1]):
            return
        turns: list[str] = []
        for earlier, later in pairwise(numbered):
            between = self._order[self._order.index(earlier) + 1 : self._order.index(later)]
            asked = [name for name in between if _is_asked_again(plain(name))]
            if len(asked) != 1:
                what = f"holds several turns in columns ({', '.join(numbered)}), and what was asked between is unknown"
                fix = f"Write them as a list of `messages`, or read the first alone: --map answer={numbered[0]}"
                raise BadCellError(what, fix)
            turns += [earlier, asked[0]]
        self.roles["answer"], self.turns = numbered[-1], tuple(turns)
        for name in (*turns, numbered[-1]):
            self.left.pop(name, None)
        self.notes.append(f"several turns in columns: `{numbered[-1]}` is the reply, after {', '.join(turns)}")

    def _numbered(self, answer: str | None) -> list[str]:
        """`answer_1`, `answer_2` …, of the same name as the answer that was chosen, where one was."""
        found: dict[str, dict[int, str]] = {}
        for name in self._order:
            made = _NUMBERED.fullmatch(plain(name))
            if made is not None and made[1] in ANSWERS:
                found.setdefault(made[1], {})[int(made[2])] = name
        chosen = [made for made in found.values() if answer is None or answer in made.values()]
        if len(chosen) != 1 or sorted(chosen[0]) != list(range(1, len(chosen[0]) + 1)):
            return []
        last = next((place for place, name in chosen[0].items() if name == answer), len(chosen[0]))
        return [chosen[0][place] for place in range(1, last + 1)]


def _is_asked_again(name: str) -> bool:
    made = _NUMBERED.fullmatch(name)
    return (made[1] if made else name) in _ASKED_AGAIN


def _own(names: Sequence[str]) -> ColumnMap:
    roles = {role: name for role, name in ROLES.items() if name in names}
    graders = own_graders(names)
    used = roles | {ours: theirs for grader in graders for ours, theirs in grader.columns.items()}
    return ColumnMap(cast("dict[Role, str]", roles), verdicts=graders, used=used, is_ours=True)


def joined(given: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Several columns under one name, `--map group=arm,role`: what stands there → the columns.

    >>> joined({"group": "arm,role", "answer": "a,b"})
    {'arm,role': ('arm', 'role')}
    """
    return {
        given[role]: tuple(part.strip() for part in given[role].split(","))
        for role in SEPARATING
        if "," in given.get(role, "")
    }


def check_map(given: Mapping[str, str], ignore: Sequence[str], files: Iterable[Sequence[str]]) -> None:
    """Raise UsageError for a --map or --ignore of a column that no file has."""
    known = sorted({name for names in files for name in names if name})
    parts = joined(given)
    for option, theirs in (
        *((f"--map {ours}=", theirs) for ours, theirs in given.items()),
        *(("--ignore ", n) for n in ignore),
    ):
        there = [part for part in parts.get(theirs, ()) if part in known]
        if there and (lacking := [part for part in parts[theirs] if part not in known]):
            raise UsageError(
                f"{option}{theirs}: no file has a column `{lacking[0]}`. {did_you_mean(lacking[0], known)}"
            )
        if theirs not in known:
            raise UsageError(f"{option}{theirs}: no file has a column `{theirs}`. {did_you_mean(theirs, known)}")


def _inner(names: Sequence[str]) -> set[str]:
    """What lies inside objects: names with a dot whose beginning is a column of its own."""
    there = set(names)
    return {name for name in names if "." in name and name.partition(".")[0] in there}


_Place = tuple[Role, Collection[str] | re.Pattern[str], Collection[str]]
_PLACES: tuple[_Place, ...] = (
    ("question", HOLD_QUESTIONS, QUESTION_PARTS),
    ("question_id", HOLD_QUESTIONS, ID_PARTS),
    ("category", HOLD_QUESTIONS, {"category", "domain"}),
    ("reasoning", HOLD_ANSWERS, _REASONING),
    ("finish", HOLD_ANSWERS, {*NAMES["finish"], "choices.0.finish_reason", "0.finish_reason"}),
    ("error", HOLD_ANSWERS, {"error"}),
    ("messages", {"request", "body", "input"}, {"messages", "body.messages"}),
    ("model", {*HOLD_ANSWERS, "model"}, {"model", "name", "id", "model_name"}),
    ("judge", HOLD_GRADES, _JUDGE),
    ("raw", HOLD_GRADES, {*_RAW, *NAMES["raw"]}),
    *((role, HOLD_FACTS, {*NAMES[role]} - _NEVER_INSIDE) for role in (*_FACTS, "judge", "question_id")),
)
