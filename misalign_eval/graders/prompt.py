"""From a rubric and a reply to the text that a judge reads.

The rubric is sent word for word; each placeholder becomes the material it names, between two lines that carry a code.
The code is derived from all the material and occurs in none of it, so that no reply can forge the line that ends it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Literal, NamedTuple, get_args

from misalign_eval.errors import Problem, did_you_mean
from misalign_eval.records.grade import Subject

FORMAT = 1  # of what is built around the material; part of a judge's identity
Part = Literal["question", "reply", "system", "reasoning", "criteria", "reference"]
PARTS: tuple[Part, ...] = get_args(Part)
NOTHING = "(none)"
TOPIC = "{topic}"  # set by grader.yaml, so that graders of several topics share one rubric

_MARK = re.compile(r"\{\{(\w+)\}\}|\{[ \t]*([A-Za-z_]\w*)[ \t]*\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
# What chat templates and vocabularies write their control tokens like. One rule by form, since every template has words
# of its own; HTML and Markdown have none of these forms, and of the words that have no form of their own only `<s>`.
_CONTROL_TOKENS = re.compile(
    r"<(?=[|｜][^<>|｜\n]{1,60}[|｜]>"  # <|im_start|>, <｜User｜>
    r"|/?[A-Za-z][A-Za-z0-9]{0,30}(?:[_▁][A-Za-z0-9]{1,30}){1,6}>"  # <start_of_turn>, <extra_id_1>
    r"|<[/|]?[A-Za-z_]{2,30}[|]?>>"  # <<SYS>>
    r"|0x[0-9A-Fa-f]{2}>|/?(?:unused|reserved|special|sentinel|extra|img|loc|seg)\d{1,5}>"  # <0x0A>, <unused7>
    r"|/?(?i:s|[bes]o[dmpstu]|bot|pad|unk|mask|sep|cls|inst|image|endoftext|think|thinking|sys|system|user|assistant|"
    r"human)>)"
    r"|\[(?=[|｜][^\[\]|｜\n]{1,60}[|｜]\]"  # [|endofturn|]
    r"|/?[a-z]?[A-Z][A-Z0-9]{2,30}(?:_[A-Z0-9]{1,30}){0,4}\](?!\())"  # [INST], [gMASK]; not a link of Markdown
)


class Mark(NamedTuple):
    """A placeholder of a rubric."""

    name: str
    line: int  # from 1


def marks(rubric: str) -> Iterator[Mark]:
    """The placeholders in order. `{{name}}` is none: it stands for the text `{name}`.

    >>> [mark.name for mark in marks('{reply}, {{reply}}, {"why": 1}')]
    ['reply']
    """
    for match in _MARK.finditer(rubric):
        if match[2] is not None:
            yield Mark(match[2], rubric.count("\n", 0, match.start()) + 1)


def problems(rubric: str, sees: tuple[Part, ...], *, file: str) -> list[Problem]:
    """What is wrong with the placeholders of a rubric whose grader may see `sees`."""
    found = []
    used = set()
    for name, line in marks(rubric):
        used.add(name)
        if f"{{{name}}}" == TOPIC:
            found.append(Problem(file, line, "", f"`{TOPIC}` stands here, but the grader has no `topic`", "Set it."))
        elif name not in PARTS:
            fix = f"{did_you_mean(name, PARTS)} For the text itself write `{{{{{name}}}}}`."
            found.append(Problem(file, line, "", f"unknown placeholder `{{{name}}}`", fix))
        elif name not in sees:
            found.append(Problem(file, line, "", f"`{{{name}}}` is not among what the grader `sees`", "Add it there."))
    found += [
        Problem(file, None, "", f"the grader `sees` {part}, but no `{{{part}}}` stands in its rubric")
        for part in sees
        if part not in used
    ]
    return found


def fill(rubric: str, subject: Subject, sees: tuple[Part, ...]) -> str:
    """The rubric with the material in its places, in one pass: nothing inside the material is looked at again.

    Half surrogates and NUL become U+FFFD, since servers refuse them. The control tokens of chat templates
    (`<|im_end|>`, `[INST]`, `<extra_id_1>`, …) get a space after their first sign: a local server would obey them
    inside a message.
    """
    material = {str(part): _text(subject, part) for part in sees}
    code = _code(material)

    def fenced(match: re.Match[str]) -> str:
        name = match[2]
        if name is None:
            return f"{{{match[1]}}}"
        start = "" if rubric[: match.start()].endswith("\n") or match.start() == 0 else "\n"
        end = "" if rubric[match.end() : match.end() + 1] in ("", "\n", "\r") else "\n"
        return start + _fence(name, material[name], code) + end

    return _MARK.sub(fenced, rubric)


def well_formed(text: str) -> str:
    """Text that can be written as UTF-8 and read by any server: half surrogates and NUL become U+FFFD."""
    return _SURROGATE.sub("\ufffd", text).replace("\0", "\ufffd")


def _text(subject: Subject, part: Part) -> str | None:
    value = getattr(subject, part)
    if value is None:
        return None
    return well_formed(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))


def _fence(name: str, text: str | None, code: str) -> str:
    if text is None:
        return NOTHING
    title = name.upper()
    return f"=== BEGIN {title} {code} ===\n{_CONTROL_TOKENS.sub(_loosened, text)}\n=== END {title} {code} ==="


def _loosened(match: re.Match[str]) -> str:
    return f"{match[0]} "


def _code(material: Mapping[str, str | None]) -> str:
    """16 hexadecimal digits that the material does not hold; the same for the same material."""
    whole = json.dumps(material, sort_keys=True)
    code = sha256(whole.encode()).hexdigest()[:16]
    while any(code in text.casefold() for text in material.values() if text is not None):
        code = sha256(code.encode()).hexdigest()[:16]
    return code
