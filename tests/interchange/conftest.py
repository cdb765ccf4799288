"""Files of others, written for a test, and what is read from them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from misalign_eval.interchange.imported_reply import ImportedReply
from misalign_eval.interchange.log import ImportLog
from misalign_eval.interchange.sources import ImportSource, Wanted, recognise

collect_ignore = ["make_logs.py"]  # needs the real Inspect
LOGS = Path(__file__).parent / "logs"


@dataclass(frozen=True)
class Read:
    """A file that was read."""

    source: ImportSource
    rows: list[ImportedReply]
    account: ImportLog

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in self.account.counts.items() if count}


ReadFile = Callable[..., Read]


@pytest.fixture
def logs() -> Path:
    """Two logs of one evaluation, made with the real Inspect by make_logs.py."""
    return LOGS


@pytest.fixture
def read(tmp_path: Path) -> ReadFile:
    """Write a file and read it: `read("a.csv", "question,answer\\n…")`."""

    def of(name: str, content: str | bytes, **wanted: object) -> Read:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        how = Wanted(**wanted)  # type: ignore[arg-type]
        source, account = recognise(path, how), ImportLog(name)
        return Read(source, list(source.replies(how, account)), account)

    return of
