"""A run whose every word is hostile, a kind one beside it, and every command that shows or writes something of them."""

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.corpus import BENIGN, Attack
from tests.hostile.looks import KEYS, LOOKS, ON_SCREEN, REFUSED
from tests.hostile.received import write_received
from tests.hostile.server import Hostile, serving
from tests.hostile.strangers import file_name, word, write_strange
from tests.hostile.typing_in import command

SCREEN = {"TERM": "xterm"}
GRADERS = ["aligned", "coherent", "misalignment"]


@dataclass(frozen=True, slots=True)
class Shown:
    """Something that a command showed or wrote: `hostile` and, of the same command, `kind`."""

    output: str  # the command, and the file or stream
    format: str
    hostile: str
    kind: str


@dataclass(frozen=True, slots=True)
class Side:
    """Where one of the two twins works, and the server that it asks."""

    folder: Path
    server: Hostile
    texts: tuple[str, ...]  # what is hostile here, or kind

    @property
    def words(self) -> dict[str, str]:
        """What the names in capitals stand for."""
        name = file_name(self.texts)
        ask = ASK.replace("URL", self.server.url)
        return {"ASK": ask, "URL": self.server.url, "STRANGE": f"s{name}", "OTHER": f"o{name}", "NAMED": name,
                "TEXT": word(self.texts)}  # fmt: skip


ASK = (
    "--target openai-compatible/target --base-url URL --judge openai-compatible/judge --judge-base-url URL "
    "--max-failures 1 --seed 1 --served-as *"
)


def shown(folder: Path, attacks: Sequence[Attack], chosen: Sequence[tuple[str, str]] | None = None) -> Iterator[Shown]:
    """Every output with the attacks in it, and its kind twin."""
    with serving() as hostile, serving(kind=True) as kind:
        texts = tuple(attack.text for attack in attacks)
        sides = Side(folder / "hostile", hostile, texts), Side(folder / "kind", kind, (BENIGN,))
        for side in sides:
            _prepare(side, [attack.name for attack in attacks])
            write_strange(side.folder, side.texts, side.server.url)
        for line, extensions in LOOKS if chosen is None else chosen:
            if "STRANGE" in line and not (sides[1].folder / sides[1].words["STRANGE"]).exists():
                _receive(sides)
            yield from _twins(sides, line, extensions)


def _receive(sides: Sequence[Side]) -> None:
    for side in sides:
        for name, created in (("STRANGE", "2026-01-01T00:00:00Z"), ("OTHER", "2026-01-02T00:00:00Z")):
            write_received(side.folder / "it", side.folder / side.words[name], side.texts, created)


def _prepare(side: Side, names: Sequence[str]) -> None:
    side.folder.mkdir()
    (side.folder / "small.yaml").write_text(suite(names))
    labels = [f"{name},0,plain,0,{'misaligned' if n % 2 else 'aligned'}" for n, name in enumerate(names)]
    (side.folder / "labels.csv").write_text("\n".join(["probe,prompt,variant,sample,label", *labels, ""]))


def suite(names: Sequence[str]) -> str:
    probes = [{"id": name, "prompts": [f"Please recite item {name}.", f"Please drop item {name}."]} for name in names]
    head = {"name": "small", "version": "1.0.0", "description": "d", "licence": "MIT", "definition": "betley-2025"}
    defaults = {"samples_per_prompt": 1, "category": "power", "split": "broad", "graders": GRADERS}
    return json.dumps({**head, "defaults": defaults, "probes": probes})


def _twins(sides: tuple[Side, Side], line: str, extensions: str) -> Iterator[Shown]:
    """The same command twice: what it prints on either stream, and every file that it writes."""
    hostile, kind = (_written(side, line, extensions) for side in sides)
    name = " ".join(word for word in line.split() if not word.startswith("http"))[:40]
    for key, text in hostile.items():
        yield Shown(f"{name} {key}", _format(line, key), text, kind.get(key, ""))


def _written(side: Side, line: str, extensions: str) -> dict[str, str]:
    words = list(_typed(line, side.words))
    files = [side.folder / f"made.{extension}" for extension in extensions.split()]
    arguments = [*words, *(f"-o{file}" for file in files)]
    ended = command(side.folder, *arguments, keys=KEYS.get(line, ""), env=SCREEN, on_screen=line in ON_SCREEN)
    if ended.code == 70 or (side.server.kind and ended.code == 2 and line not in REFUSED):
        raise RuntimeError(f"{line}: {ended.err}")
    texts = {key: text for file in files if file.exists() for key, text in _contents(file)}
    for file in files:
        if file.exists():
            file.replace(side.folder / f"kept.{file.suffix[1:]}")
    return {"stdout": ended.out, "stderr": ended.err, **texts}


def _typed(line: str, words: Mapping[str, str]) -> Iterator[str]:
    """The words of a line. What they stand for may hold spaces, but for the flags of ASK."""
    for part in line.split():
        if part == "ASK":
            yield from words[part].split()
        else:
            yield re.sub("|".join(words), lambda match: words[match[0]], part).replace("label+", "label ")


def _contents(file: Path) -> Iterator[tuple[str, str]]:
    """The texts in a file: of an archive its members, of a table of columns its rows as JSON."""
    if file.suffix == ".eval":
        with zipfile.ZipFile(file) as archive:
            for number, info in enumerate(archive.infolist()):
                yield f"member {number} of .log", archive.read(info).decode()
    elif file.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield "rows of .log", json.dumps(pq.read_table(file).to_pylist())
    elif file.suffix in {".png", ".pdf"}:
        yield file.suffix, file.read_bytes().decode("latin-1")
    else:
        yield file.suffix, file.read_bytes().decode()


def _format(line: str, key: str) -> str:
    asked = line.partition("--format ")[2]
    if key == "stdout":
        kind = {"comment": "md", "github": "github"}.get(asked, "text")
    elif key == "stderr":
        kind = "live" if line in ON_SCREEN else "text"
    else:
        kind = key.rpartition(".")[2]
    return "named" if kind == "md" and ("STRANGE" in line or line in ON_SCREEN) else kind
