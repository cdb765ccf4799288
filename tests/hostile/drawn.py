"""What it means that hostile text is shown as text in figures, LaTeX, YAML and on a live screen."""

import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import cast
from xml.etree import ElementTree as ET

import pyte
import yaml

from tests.hostile.formats import terminal

_LIVE = re.compile(r"\x1b\[\d+A|\x1b\[K|\r")
_DRAWING = {"draw", "linefeed", "carriage_return", "cursor_up", "erase_in_line", "tab"}
_TEX = re.compile(r"\\(?:[A-Za-z]+\*?|.)|[{}$&#%_^~\n]|\^\^", re.DOTALL)
_TEX_OURS = {rf"\{word}" for word in ("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater",
                                      "textbar",
                                      "textasciigrave", "char")} | {rf"\{char}" for char in "{}$&#%_"}  # fmt: skip
_ACTIVE = ("URI", "JavaScript", "JS", "Launch", "OpenAction", "AA", "EmbeddedFile", "SubmitForm", "GoToR", "Annots",
           "RichMedia", "AcroForm", "XFA", "Filespec")  # fmt: skip
_URL = re.compile(r"url\(|@import|javascript:|data:text", re.IGNORECASE)
_POINTING = ("href", "src", "xlink", "on")


class _Screen:
    """Takes every event of an emulator, and counts."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()

    def __getattr__(self, event: str) -> Callable[..., None]:
        return lambda *_, **__: self.events.update([event])


def live(shown: str, benign: str) -> str | None:
    """Of what an emulator does with it, nothing but what a live view needs."""
    screen = _Screen()
    pyte.Stream(cast("pyte.Screen", screen)).feed(shown)
    if strange := sorted(set(screen.events) - _DRAWING):
        return f"the terminal was told to {', '.join(strange)}"
    return terminal(_LIVE.sub("", shown), benign)


def svg(shown: str, benign: str) -> str | None:
    """Well formed, of no other elements and attributes, without a link, script or address."""
    if "<!DOCTYPE" in shown or "<!ENTITY" in shown:
        return "declares a document type"
    try:
        here, there = ET.fromstring(shown), ET.fromstring(benign)
    except ET.ParseError as error:
        return f"not XML: {error}"
    if strange := sorted({item.tag for item in here.iter()} - {item.tag for item in there.iter()}):
        return f"an element of its own: {strange[0]}"
    names = {name.rpartition("}")[2] for item in here.iter() for name in item.attrib}
    if pointing := sorted(name for name in names if name.lower().startswith(_POINTING)):
        return f"an attribute {pointing[0]}"
    values = [value for item in here.iter() for name, value in item.attrib.items() if not name.startswith("aria")]
    if wrong := next((value for value in values if _URL.search(value) and "url(#" not in value), None):
        return f"points elsewhere: {wrong[:60]!a}"
    return terminal(shown, benign)


def png(shown: str, benign: str) -> str | None:
    """No chunk but those of a kind picture, and none of text."""
    here, there = set(_chunks(shown.encode("latin-1"))), set(_chunks(benign.encode("latin-1")))
    if strange := sorted(here - there) or sorted(here & {"tEXt", "iTXt", "zTXt", "eXIf"}):
        return f"a chunk {strange[0]}"
    return None


def pdf(shown: str, benign: str) -> str | None:
    """Nothing in it acts or points elsewhere; its own streams are looked into."""
    there = Counter(_active(benign))
    strange = [name for name, count in Counter(_active(shown)).items() if count > there[name]]
    return f"holds /{strange[0]}" if strange else None


def tex(shown: str, benign: str) -> str | None:
    """Commands, groups, columns and comments are those of a table of kind words, and the escapes of ours."""
    here, there = _commands(shown), _commands(benign)
    if strange := sorted(set(here) - set(there) - _TEX_OURS):
        return f"a command of its own: {strange[0]!a}"
    for sign in ("&", "$", "#", "%", "_", "^", "~", "^^", r"\\", r"\begin", r"\end"):
        if here[sign] != there[sign]:
            return f"{here[sign]} of {sign} instead of {there[sign]}"
    if here["{"] != here["}"]:
        return "groups that do not close"
    if paragraphs := shown.count("\n\n") - benign.count("\n\n"):
        return f"{paragraphs} paragraphs of its own"
    return terminal(shown, benign)


def document(shown: str, benign: str) -> str | None:
    """YAML of one document, plain values and the same keys."""
    try:
        here, there = yaml.safe_load(shown), yaml.safe_load(benign)
    except yaml.YAMLError as error:
        return f"no YAML: {str(error).splitlines()[0]}"
    if type(here) is not type(there) or (isinstance(here, dict) and list(here) != list(there)):
        return "other keys"
    return terminal(shown, benign)


def _chunks(data: bytes) -> Iterator[str]:
    place = 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        yield data[place + 4 : place + 8].decode("latin-1")
        place += 12 + length


def _active(text: str) -> Iterator[str]:
    """Names that act, in the file and in every stream of it that can be unpacked."""
    data = text.encode("latin-1")
    parts = [re.sub(rb"stream\r?\n.*?endstream", b"", data, flags=re.DOTALL)]
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            unpacked = zlib.decompress(match[1])
        except zlib.error:
            continue
        if b"/Type" in unpacked or b"<<" in unpacked:  # objects, not drawing
            parts.append(unpacked)
    for name in _ACTIVE:
        yield from [name] * sum(len(re.findall(rb"/%s\b" % name.encode(), part)) for part in parts)


def _commands(text: str) -> "Counter[str]":
    return Counter(_TEX.findall(text))
