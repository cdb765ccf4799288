"""One run of all attacks, for every test that looks at it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile.corpus import ATTACKS, Attack
from tests.hostile.server import Hostile, serving
from tests.hostile.stage import ASK, suite
from tests.hostile.typing_in import command

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


FEW = tuple(attack for attack in ATTACKS if attack.aim == "judge" and len(attack.text) < 1000)


@dataclass(frozen=True)
class Asked:
    """A run, and what its servers were sent."""

    folder: Path
    server: Hostile


def asked(
    folder: Path, server: Hostile, attacks: tuple[Attack, ...] = ATTACKS, judge: str = "openai-compatible"
) -> Asked:
    """Run the attacks against a judge of this dialect."""
    folder.mkdir()
    (folder / "small.yaml").write_text(suite([attack.name for attack in attacks]))
    (folder / ".env").write_text("JUDGE_KEY=none-of-your-business\n")
    line = ASK.replace("openai-compatible/judge", f"{judge}/judge").replace("URL", server.url)
    key = [] if judge == "openai-compatible" else ["--judge-api-key-env", "JUDGE_KEY"]
    ended = command(folder, "run", "small.yaml", *line.split(), *key, "--out", "it", "--quiet")
    assert ended.code == 0, ended.err
    return Asked(folder, server)


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with serving() as server:
        yield asked(tmp_path_factory.mktemp("runs") / "hostile", server)


@pytest.fixture(scope="session")
def kind_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with serving(kind=True) as server:
        yield asked(tmp_path_factory.mktemp("runs") / "kind", server)
