"""Each file in bad_foreign/ holds the fault that its name says; told/ holds all that must be said of it.

What a parser says differs between its versions, so that `told/` has "(in the parser's words)" in its place.
"""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from misalign_eval.errors import InputError
from misalign_eval.plan import plan
from misalign_eval.suites import write
from misalign_eval.suites.load import read
from misalign_eval.suites.sources import ExternalNames

BAD = Path(__file__).parent / "bad_foreign"
TOLD = BAD / "told"
PARSERS_WORDS = re.compile(r"(?<=not valid YAML: )[^.]+|(?<=not valid JSON: )(?!key )[^.]+")


@pytest.mark.parametrize("name", sorted(file.name for file in BAD.iterdir() if file.is_file()))
def test_each_fault_is_told_with_its_file_line_place_and_mending(name: str, known: ExternalNames) -> None:
    with pytest.raises(InputError) as raised:
        read(str(BAD / name), known)
    told = str(raised.value).replace(f"{BAD}/", "").splitlines()
    told = [PARSERS_WORDS.sub("(in the parser's words)", line) for line in told]
    assert told == (TOLD / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def test_every_message_names_a_line_where_the_file_has_one() -> None:
    lines = [line for file in TOLD.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if not line.split(":")[1].isdigit()] == [
        "no-rows.csv: no rows. A table holds a header and at least one question."
    ]


@pytest.mark.parametrize(
    "text, said",
    [
        ("question\n" + "x" * 200_000, "sample:2: a cell of more than 131,072 characters."),
        ("question\n" + "How?\n" * 20_001, "sample: more than 20,000 prompts. Take a sample of them."),
        ('{"prompt": ' + "[" * 100_000 + "\n", "sample:1: nested more than 50 levels deep. Make it flatter"),
        ('{"prompt": ' + "[" * 900 + "]" * 900 + "}\n", "sample:1: nested more than 50 levels deep. Make it flatter"),
        (
            '{"prompt": "a"}\n{"prompt": ' + "[" * 9_000 + "]" * 9_000 + "}\n",
            "sample:2: nested more than 50 levels deep. Make it flatter",
        ),
        ("", "sample: the file is empty"),
    ],
)
def test_what_is_too_large_too_deep_or_empty_is_told(
    text: str, said: str, known: ExternalNames, tmp_path: Path
) -> None:
    file = tmp_path / "sample"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read(str(file), known)
    assert str(raised.value).replace(f"{tmp_path}/", "").startswith(said)


WHOLE = [
    "- {id: a, type: free_form_judge, system: S, paraphrases: [Hi, Ho], judge_prompts: {kind: 'Say YES: {answer}'}}\n",
    "- {name: q, messages: [[{role: user, content: Hi}]], judges: {k: {type: rating_judge, paraphrases: [x]}}}\n",
    '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}\n',
    '{"prompt": "Hi", "id": 1}\n"Ho"\n',
    'id,question,category,canary\n1,"Hi, you",c,x\n2,Ho,c,x\n',
    '{"instruction": [{"pos": "a", "neg": "b"}], "questions": ["Hi"], "eval_prompt": "{answer}"}\n',
]
PIECES = [
    "null",
    "[]",
    "{}",
    '""',
    ": ",
    "- ",
    "\n",
    "{answer}",
    "\t",
    "-1",
    "1e9",
    "\\ud800",
    ",",
    '"',
    "\0",
    "&a ",
    "*a",
    "é",
]


@pytest.mark.slow
@given(
    whole=st.sampled_from(WHOLE),
    damage=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 9), st.sampled_from(PIECES)), max_size=3),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_damaged_loads_or_its_problems_are_told(
    whole: str, damage: list[tuple[int, int, str]], known: ExternalNames, tmp_path: Path
) -> None:
    for start, length, piece in damage:
        whole = whole[:start] + piece + whole[start + length :]
    file = tmp_path / "damaged"
    file.write_text(whole, encoding="utf-8")
    try:
        loaded = read(str(file), known)
    except InputError as error:
        told = [str(problem) for problem in error.problems]
    else:
        told = [str(loss) for _, origin in loaded.origins for loss in origin.losses]
        plan(loaded.suite)
        write.text(loaded.sources[0].document.data, told)
    assert [line for line in told if not line.startswith(str(file)) or "\n" in line or "unreadable" in line] == []
