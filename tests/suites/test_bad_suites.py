"""Each file in bad/ holds the fault that its name says. The table holds all that must be said of it."""

from pathlib import Path

import pytest

from misalign_eval.errors import InputError
from misalign_eval.suites.load import read
from misalign_eval.suites.sources import ExternalNames

BAD = Path(__file__).parent / "bad"


@pytest.mark.parametrize("fault", sorted(file.stem for file in BAD.glob("*.yaml")))
def test_each_fault_is_told_with_its_file_line_place_and_mending(fault: str, known: ExternalNames) -> None:
    with pytest.raises(InputError) as raised:
        read(str(BAD / f"{fault}.yaml"), known)
    told = str(raised.value).replace(f"{BAD}/", "").splitlines()
    assert told == (BAD / f"{fault}.txt").read_text(encoding="utf-8").splitlines()


def test_many_faults_are_told_together_by_line(known: ExternalNames) -> None:
    with pytest.raises(InputError) as raised:
        read(str(BAD / "many-faults.yaml"), known)
    lines = [problem.line or 0 for problem in raised.value.problems]
    assert len(lines) == 13
    assert lines == sorted(lines)
