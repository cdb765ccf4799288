"""Writer of suite files, which the strict reader reads back unchanged."""

import re
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import JsonValue

from misalign_eval.errors import UsageError
from misalign_eval.yaml_source.document import MAX_BYTES, loads

SCHEMA = "# yaml-language-server: $schema=suite.schema.json"
_PLAIN = re.compile(
    r"[a-z][a-z0-9]*([_-][a-z0-9]+)+|[a-z]{4,}|id|min|max"
)  # words that no reader of YAML takes for something else
# Turns the order of letters or is not seen, or is what a build server obeys at the start of a line: written as codes,
# or at least behind a quotation mark. Joiners stay: whole languages are written with them.
_ACTS = re.compile(
    "[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]|^\\s*::[a-z]", re.MULTILINE
)
_WORDS = {"true", "false", "null", "none"}


def text(content: JsonValue, remarks: Sequence[str] = ()) -> str:
    """The file, with remarks as comments on top. Raises UsageError when it would be larger than the reader takes."""
    comments = [f"# {' '.join(remark.split())}".encode("utf-8", "replace").decode() for remark in remarks]
    for style, in_letters in (("|", True), ('"', True), ('"', False)):
        body = yaml.dump(content, Dumper=_dumper(style), allow_unicode=in_letters, sort_keys=False, width=10**6)
        if _ACTS.search(body):
            continue
        written = "\n".join([SCHEMA, *(_visible(line) for line in comments), body])
        if len(written.encode()) > MAX_BYTES:
            raise UsageError(
                f"this suite is larger than the {MAX_BYTES // 1_000_000} MB of a suite file: take a part of it"
            )
        if loads(written.encode(), "").data == content:
            return written
    raise AssertionError("a suite file could not be written so that it reads back the same")


def _visible(line: str) -> str:
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in line)


def _dumper(style: str) -> Any:  # noqa: ANN401  a class made here
    """Quotation marks around all but plain words; texts of several lines in `style`."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
            super().increase_indent(flow, False)

    def word(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
        how = style if "\n" in data else None if _PLAIN.fullmatch(data) and data not in _WORDS else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=how)

    Dumper.add_representer(str, word)
    return Dumper
