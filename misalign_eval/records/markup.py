"""Markup that models and chat templates leave in a text: thoughts, channels, and tokens that begin and end a turn.

A mark is taken out where it is certainly one: at a break of the text, outside code and quotations. A mark in the middle
of a sentence stays, since the reply may speak of it; `mark_left` finds those for the lint of replies.
"""

import re
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

_THINKING = r"(?:thinking|think|thoughts?|reasoning)"
_XML = (
    rf"(?:[a-z]\w{{0,20}}:)?(?:{_THINKING}(?:[_-]?process)?|reflection|chain[_-]?of[_-]?thoughts?|cot|ant[_-]?thinking)"
)
# What opens a thought and what closes it, as regular expressions; letter case does not count.
THOUGHTS: tuple[tuple[str, str], ...] = (
    (rf"<{_XML}(?:\s[^<>]{{0,200}})?(?<!/)>", rf"</{_XML}\s*>"),  # DeepSeek, Qwen, Seed, and many others
    (r"(?-i:\[THINK\])", r"(?-i:\[/THINK\])"),  # Magistral; in small letters it is a stage direction
    ("◁think▷", "◁/think▷"),  # Kimi
    (r"<\|(?:think|thinking)\|>", r"<\|/(?:think|thinking)\|>"),
    (r"<\|channel>(?:thought|analysis)?\s*", r"<channel\|>"),  # Gemma 4
    (r"<unused94>(?:thought\b)?", "<unused95>"),  # MedGemma
    (rf"<\|(?:start|begin)_?(?:of_)?{_THINKING}\|>", rf"<\|end_?(?:of_)?{_THINKING}\|>"),  # Command A, OpenThinker
    (rf"<\|?{_THINKING}_(?:start|begin)\|?>", rf"<\|?{_THINKING}_(?:end|stop)\|?>"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),  # Apertus
    (r"\[unused16\]", r"\[unused17\]"),  # Pangu
    (rf"&lt;{_XML}&gt;", rf"&lt;/{_XML}&gt;"),  # from servers that escape HTML
    (rf"＜{_XML}＞", rf"＜/{_XML}＞"),
)
# What is a thought only where it begins the text, is closed, and something follows it.
HEADED: tuple[tuple[str, str], ...] = (
    (rf"\[{_THINKING}\]", rf"\[/{_THINKING}\]"),
    (rf"[*_]{{1,3}}<{_XML}>[*_]{{0,3}}", rf"[*_]{{0,3}}</{_XML}>[*_]{{0,3}}"),
    (rf"```{_THINKING}[ \t]*\n", r"^```[ \t]*$"),
    (r"<details\b[^<>]{0,100}\btype=.?reasoning\b[^<>]{0,100}>", "</details>"),  # Open WebUI
    (rf"<details>\s*<summary>\W{{0,5}}{_THINKING}\b[^<>]{{0,60}}</summary>", "</details>"),
    (r"here(?:['’]s| is) my thought process:", r"here(?:['’]s| is) my response:"),  # Granite
)
# What a template writes before an answer, and what a model says after it.
STARTS: tuple[str, ...] = (
    r"<\|im_start\|>(?:assistant\b)?",
    r"<\|start_header_id\|>(?:assistant)?(?:<\|end_header_id\|>)?",
    r"<\|header_start\|>(?:assistant)?(?:<\|header_end\|>)?",
    r"<\|start\|>(?:assistant)?(?:<\|message\|>)?",
    r"<\|message\|>",
    r"<start_of_turn>(?:model\b)?",
    r"<\|turn>(?:model\b)?",
    r"<[|｜](?:assistant|begin_of_text|startoftext|begin▁of▁sentence|im_sep|chatbot_token)[|｜]>",
    r"<\|(?:start_of_turn_token|start_response|begin_of_(?:solution|box))\|>",
    r"\[\|assistant\|\]",
    rf"<{_XML}\s*/>",
    r"\[/INST\]",
    r"\[gMASK\]",
    "<sop>",
    "<bos>",
)
ENDS: tuple[str, ...] = (
    r"<[|｜](?!end_?(?:of_)?(?:think|thought|reasoning|header))(?:im_end|end|eo[a-z]|return|call)[\w▁]*[|｜]>",
    "</s>",
    "<eos>",
    r"(?-i:\[EOS\])",
    "<eot>",
    "<end_of_turn>",
    "<end_of_utterance>",
    r"<turn\|>",
    r"\[\|endofturn\|\]",
)
# Control tokens that end a text where they are its last words: all of the one form, and words of vocabularies.
_CONTROL = r"<[|｜][\w▁]{1,40}[|｜]>"
_VOCABULARY = (
    r"<(?:pad|unk|sep|eo[ahmd]|unused\d{1,5}|(?-i:[A-Z]{2,20}_TOKEN|SPECIAL_\d{1,4}))>|"
    r"(?-i:\[(?:PAD|UNK|SEP|CLS|UNUSED_TOKEN_\d{1,5})\])"
)
# Another turn of the conversation, which no reply holds.
TURNS: tuple[str, ...] = (
    r"<\|(?:im_start|start_header_id|start_of_turn_token|turn)\|?>",
    "<start_of_turn>",
    r"<[|｜](?:user|human|im_user|system)[|｜]>",
    r"\[\|(?:user|human|system)\|\]",
    r"\[INST\]",
    "<extra_id_1>",
)
# Named by the lint, never taken out: a prompt may have asked for them.
UNSURE = (
    r"\A\s*<(?:scratchpad\w{0,20}|analysis|plan|planning|inner_?monologue|inner_thoughts?|answer|output|response)\b"
    r"[^<>]{0,200}>|</?(?:tool_call|tool_calls|function_call|function=[^<>]{1,100})>|\[TOOL_CALLS\]|"
    r"<[|｜](?:python_tag|tool▁call[^<>]{0,40}|tool_calls?_[^<>]{0,40}|channel|message|start|constrain)[|｜]>|"
    r"assistantfinal|\Aanalysis(?=[A-Z])|"
    rf"<</?SYS>>|<\|[a-z_]{{2,20}}\Z|{_CONTROL}|{_VOCABULARY}"
)
# Words that mean a thought or a speaker where a template or a model's own habit wrote them; named by the lint alone.
IN_WORDS = (
    r"\A\s*(?-i:thought)\n|\A\W{0,4}(?:thinking|thought process|reasoning)\W{0,3}:|"
    r"\A\s*(?-i:assistant)\s*\n|\A\s*(?-i:Assistant):|"
    r"(?m:^#{2,4} (?-i:Instruction|Response|Human|User|Assistant):?[ \t]*$)|"
    r"(?m:^(?-i:Human|User): ?[^\n]{0,300}\n{1,2}(?-i:Assistant|AI|Model):)"
)
_FLAGS = re.IGNORECASE | re.MULTILINE
_BLANK = r"[\s\u200b\u2060\ufeff]*"
_START = re.compile(rf"{_BLANK}(?:{'|'.join(STARTS)})\s*", _FLAGS)
_HEADED = tuple((re.compile(opens, _FLAGS), re.compile(closes, _FLAGS)) for opens, closes in HEADED)
_TRAILING = re.compile(rf"(?:{_CONTROL}|{_VOCABULARY})\s*\Z", _FLAGS)
_SIGN = r"(?=[<\[◁&＜])"  # every mark of the tables begins so: whatever else stands in a text is passed over in no time
_TURN = re.compile(f"{_SIGN}(?:{'|'.join(TURNS)})", _FLAGS)
_ROLE = re.compile(r"\s*\n?(?:user|human|system|assistant|model)\b\s*(?:\n|:)", re.IGNORECASE)
_HEADER = re.compile(  # of a gpt-oss message
    r"(?:(?:<\|start\|>[^<]{0,100})?<\|channel\|>\s*(?P<channel>\w+)[^<]{0,200}(?:<\|constrain\|>[^<]{0,50})?|"
    r"<\|start\|>\s*assistant\s*(?P<bare>analysis|commentary|final)\s*)<\|message\|>"
)
_MESSAGE_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_BARE_FINAL = re.compile(
    r"(?:\A|(?<=[^\w\s])|(?<=\s))assistantfinal(?=\S)|(?<=\w)assistantfinal(?=[^\Wa-z_])|^assistantfinal[ \t]*$",
    re.MULTILINE,
)
_BARE_CHANNELS = re.compile(r"\Aanalysis|(?<=[^\w\s])assistant(?:analysis|commentary)")
_BARE_ANALYSIS = re.compile(r"\Aanalysis(?=[A-Z\"'(])")
_CODE = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_SPACE = re.compile(_BLANK)
_BEGIN = re.compile(r"\s*<s>\s*")
_LONGEST_MARK = 60  # characters of a control token and the space behind it
_NEAR = 200  # characters around a mark that tell whether it is one
_SIGNS = (
    "<",
    "[",
    "◁",
    "＜",
    "&lt;",
    "assistantfinal",
    "\n## ",
    "\n### ",
    "\nHuman:",
    "\nUser:",
)  # every mark has one of these
_FIRST = re.compile(
    rf"analysis|\s*assistant\b|#|\s*thought\n|\W{{0,5}}(?:{_THINKING}|thought process)\b|"
    rf"\s*here(?:['’]s| is) my thought",
    re.IGNORECASE,
)
_QUOTING, _QUOTED = "\"'“‘«([{`", "\"'”’»)]}`,;"
_BREAKS = "\r\n.!?…。！？:*)>"


class Bare(NamedTuple):
    """A text without its markup."""

    text: str
    thought: str | None = None
    leaked: str | None = None  # from an end-of-turn token on: what the model wrote after its answer was over


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks that are taken out of the texts of one target."""

    opens: re.Pattern[str]  # the name of the matching group names its counterpart in `closes`
    closes: dict[str, re.Pattern[str]]
    any_close: re.Pattern[str]
    ends: re.Pattern[str]

    def closing(self, opening: re.Match[str], text: str) -> re.Match[str] | None:
        """What closes this opening mark."""
        return self.closes[opening.lastgroup or ""].search(text, opening.end())


@cache
def marks_of(thoughts: tuple[tuple[str, str], ...] = (), ends: tuple[str, ...] = ()) -> Marks:
    """The marks of the tables, and those that a target's options add, word for word."""
    own = tuple((re.escape(opens), re.escape(closes)) for opens, closes in thoughts)
    pairs = (*THOUGHTS, *own)
    opening = (f"(?P<t{place}>{opens})" for place, (opens, _) in enumerate(pairs))
    told = f"{_SIGN}(?:{'|'.join(closes for _, closes in THOUGHTS)})"
    return Marks(
        opens=re.compile(f"{'' if own else _SIGN}(?:{'|'.join(opening)})", _FLAGS),
        closes={f"t{place}": re.compile(closes, _FLAGS) for place, (_, closes) in enumerate(pairs)},
        any_close=re.compile("|".join((told, *(closes for _, closes in own))), _FLAGS),
        ends=re.compile("|".join((f"{_SIGN}(?:{'|'.join(ENDS)})", *map(re.escape, ends))), _FLAGS),
    )


def without_markup(text: str, marks: Marks | None = None, *, starts_open: bool = False, is_cut: bool = False) -> Bare:
    """The text without thoughts and template tokens, the thoughts, and what came after the end of the turn.

    `starts_open`: the chat template has already opened a thought. `is_cut`: the text ran into the token limit, so that
    a thought without an end goes on to its end. A thought at the start that is never closed leaves no text.

    >>> without_markup("<think>Hm.</think>Yes<|im_end|>")
    Bare(text='Yes', thought='Hm.', leaked='<|im_end|>')
    >>> without_markup("Say <think> aloud")
    Bare(text='Say <think> aloud', thought=None, leaked=None)
    """
    if marks is None:
        marks = marks_of()
        if not (starts_open and is_cut) and not _may_be_marked(text):
            return Bare(text)
    said, channels = _channels(text, is_cut=is_cut)
    said, first = _leading(said, marks, starts_open=starts_open, is_cut=is_cut)
    said, leaked = _ended(said, marks)
    said, late = _late(said, marks, is_cut=is_cut)
    said, orphaned = _orphaned(said, marks, is_opened=bool(first))
    if said == text:
        return Bare(text)
    thoughts = [thought.strip() for thought in (*channels, *first, *orphaned, *late)]
    return Bare(said.strip(), "\n\n".join(filter(None, thoughts)) or None, leaked)


def mark_left(text: str, *, in_words: bool = False) -> str | None:
    """The first mark in a text, outside code; None where there is none. What was certain has been taken out before.

    `in_words`: also words that name a thought or a speaker, as in `Thinking:` at the start.
    """
    if not _may_be_marked(text):
        return None
    code, struck = _code(text), text.find("<s>")
    for mark in _any_mark(in_words=in_words).finditer(text):
        if not _is_inside(mark.start(), code) and not _is_strike(mark, struck):
            return mark.group().strip()
    return None


def _may_be_marked(text: str) -> bool:
    """Nearly every text is done with here."""
    return any(sign in text for sign in _SIGNS) or _FIRST.match(text) is not None


@cache
def _any_mark(*, in_words: bool) -> re.Pattern[str]:
    thoughts = (mark for pair in THOUGHTS for mark in pair)
    unsure = f"{UNSURE}|{IN_WORDS}" if in_words else UNSURE
    return re.compile(f"{unsure}|{_SIGN}(?:{'|'.join((*thoughts, *ENDS, *TURNS))})", re.IGNORECASE)


def _channels(text: str, *, is_cut: bool) -> tuple[str, list[str]]:
    """The final message of gpt-oss, and its other channels; a server may have left their tokens out."""
    if "<|channel|>" in text:
        code = _code(text)
        headers = [mark for mark in _HEADER.finditer(text) if not _is_inside(mark.start(), code)]
        if headers and text[max(0, headers[0].start() - 1) : headers[0].start()] not in tuple(" " + _QUOTING):
            return _messages(text, headers)
    if "assistantfinal" in text and (final := _BARE_FINAL.search(text)):
        return text[final.end() :], [_BARE_CHANNELS.sub("\n", text[: final.start()])]
    if is_cut and _BARE_ANALYSIS.match(text):
        return "", [text.removeprefix("analysis")]
    return text, []


def _messages(text: str, headers: Sequence[re.Match[str]]) -> tuple[str, list[str]]:
    before = _MESSAGE_END.split(text[: headers[0].start()], maxsplit=1)[0]
    final, others = list[str](), list[str]()
    for header in headers:
        end = _MESSAGE_END.search(text, header.end())
        body = text[header.end() : end.start() if end else len(text)]
        (final if (header["channel"] or header["bare"]).lower() == "final" else others).append(body)
    if final:
        return "\n\n".join(final), [before, *others]
    return before, others


def _leading(text: str, marks: Marks, *, starts_open: bool, is_cut: bool) -> tuple[str, list[str]]:
    """Template tokens and thoughts before anything is said."""
    thoughts, at = list[str](), _behind_begin(text)
    while True:
        if start := _START.match(text, at):
            at = start.end()
            continue
        opening = marks.opens.match(text, _behind_space(text, at))
        if opening is None and (headed := _headed(text, _behind_space(text, at))) is not None:
            thoughts.append(text[headed.start : headed.end])
            at = headed.after
            continue
        if opening is None and (thoughts or not starts_open):
            return text[at:], thoughts
        close = marks.any_close.search(text, at) if opening is None else marks.closing(opening, text)
        if opening is None and close is None and not is_cut:
            return text[at:], thoughts
        thoughts.append(text[opening.end() if opening else at : close.start() if close else len(text)])
        at = close.end() if close else len(text)


class _Headed(NamedTuple):
    """Where a thought stands, and where the text goes on behind its closing mark."""

    start: int
    end: int
    after: int


def _headed(text: str, at: int) -> _Headed | None:
    """A thought whose marks are none elsewhere: it has to be closed, and something has to follow."""
    for opens, closes in _HEADED:
        opening = opens.match(text, at)
        close = closes.search(text, opening.end()) if opening else None
        if opening and close and _behind_space(text, close.end()) < len(text):
            return _Headed(opening.end(), close.start(), close.end())
    return None


def _behind_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _is_strike(mark: re.Match[str], struck: int) -> bool:
    """Whether `</s>` ends words struck through, since `<s>` is in the text before it."""
    return mark.group() == "</s>" and 0 <= struck < mark.start()


def _behind_begin(text: str) -> int:
    """Where a text begins after the token `<s>`, which may also strike words through."""
    start = _BEGIN.match(text)
    return start.end() if start and "</s>" not in text.rstrip()[:-4] else 0


def _ended(text: str, marks: Marks) -> tuple[str, str | None]:
    """Cut where the turn ends or somebody else's begins."""
    code, struck = _code(text), text.find("<s>")
    for mark in sorted((*marks.ends.finditer(text), *_TURN.finditer(text)), key=lambda mark: mark.start()):
        start, end = mark.span()
        if _is_inside(start, code) or _is_strike(mark, struck):
            continue
        if _is_example(text, start):
            break
        if _is_mark(text, start, end) or (text[start - 1 : start].isspace() and _is_over(text, end, marks)):
            return _peeled(text, start, code)
    return _peeled(text, len(text), code)


def _peeled(text: str, end: int, code: Sequence[tuple[int, int]]) -> tuple[str, str | None]:
    """The text before `end` without the control tokens that are its last words, and what is cut off."""
    while (last := _TRAILING.search(text, max(0, end - _LONGEST_MARK), end)) is not None:
        if _is_inside(last.start(), code) or not _is_mark(text[:end], last.start(), last.end()):
            break
        end = last.start()
    return (text[:end].rstrip(), text[end:]) if end < len(text) else (text, None)


def _is_example(text: str, start: int) -> bool:
    """Whether a turn begins below a line that ends in a colon: the reply shows what a template looks like."""
    return bool(_TURN.match(text, start)) and text[max(0, start - _NEAR) : start].rstrip(" ").endswith((":\n", ":\n\n"))


def _is_over(text: str, end: int, marks: Marks) -> bool:
    """Whether another mark or a speaker follows."""
    after = text[end : end + _NEAR]
    stripped = after.lstrip()
    return bool(_ROLE.match(after) or _TURN.match(stripped) or marks.ends.match(stripped) or _START.match(stripped))


def _late(text: str, marks: Marks, *, is_cut: bool) -> tuple[str, list[str]]:
    """Thoughts that begin a line further down. After a colon they are an example, and stay."""
    kept, thoughts, at, code = list[str](), list[str](), 0, _code(text)
    open_ended = set[str | None]()  # kinds of thought that nothing closes from here on
    for opening in marks.opens.finditer(text):
        start, kind = opening.start(), opening.lastgroup
        is_line = _begins_line(text, start)
        if start < at or not (is_line or _ends_sentence(text, start)) or _is_inside(start, code):
            continue
        close = None if kind in open_ended else marks.closing(opening, text)
        if close is None:
            open_ended.add(kind)
            if not (is_cut and is_line):
                continue
        kept.append(text[at:start])
        thoughts.append(text[opening.end() : close.start() if close else len(text)])
        at = _behind_space(text, close.end()) if close else len(text)
    return "".join([*kept, text[at:]]), thoughts


def _begins_line(text: str, start: int) -> bool:
    """Whether nothing but a small indent is before it on its line, and no colon that introduces an example."""
    before = text[max(0, start - _NEAR) : start]
    line = before.rpartition("\n")
    return len(line[2]) < 4 and not line[2].strip() and not before.rstrip().endswith(":")


def _ends_sentence(text: str, start: int) -> bool:
    """Whether a sentence ends right before, without a space."""
    return text[start - 1 : start] in tuple(".!?…。！？")


def _orphaned(text: str, marks: Marks, *, is_opened: bool) -> tuple[str, list[str]]:
    """What stands before closing marks that nothing in the text opens: the template opened the thought.

    `is_opened`: a whole thought came before, so that such a mark at the very end closes nothing.
    """
    code = _code(text)
    closes = [mark for mark in marks.any_close.finditer(text) if not _is_inside(mark.start(), code)]
    closes = [mark for mark in closes if _is_mark(text, *mark.span())]
    if not closes or any(
        not _is_inside(item.start(), code) for item in marks.opens.finditer(text, 0, closes[-1].end())
    ):
        return text, []
    trailing = len(text)
    while closes and not text[closes[-1].end() : trailing].strip():
        trailing = closes.pop().start()
    said = text[:trailing]
    if closes:
        return said[closes[-1].end() :], [marks.any_close.sub("\n", said[: closes[-1].start()])]
    if trailing < len(text) and not is_opened:
        return "", [said]
    return said, []


def _is_mark(text: str, start: int, end: int) -> bool:
    """Whether a mark was written as one: no quotation around it, and at a break of the text."""
    before, after = text[max(0, start - _NEAR) : start], text[end : end + _NEAR]
    if before[-1:] in tuple(_QUOTING) or after[:1] in tuple(_QUOTED):
        return False
    if before and not before[-1].isspace():
        return True
    line, rest = before.rstrip(" \t"), after.lstrip(" \t")
    if line and line[-1] not in _BREAKS:
        return False
    return not rest or not (rest[0].islower() or rest[0] in ",.;:)")


def _code(text: str) -> list[tuple[int, int]]:
    """Where code stands: fenced, or in backticks."""
    return [mark.span() for mark in _CODE.finditer(text)] if "`" in text or "~~~" in text else []


def _is_inside(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a place is in one of the spans, which are in order."""
    before = bisect_right(spans, (place, sys.maxsize))
    return before > 0 and place < spans[before - 1][1]


def join_thoughts(*parts: str | None) -> str | None:
    """All the reasoning of one answer, each part once; None when there is none."""
    return "\n\n".join(dict.fromkeys(part for part in parts if part)) or None
