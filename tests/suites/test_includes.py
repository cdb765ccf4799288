from collections.abc import Callable
from pathlib import Path

import pytest

from misalign_eval.errors import InputError
from misalign_eval.suites.load import Loaded, read
from misalign_eval.suites.sources import ExternalNames

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a suite with one probe, its include list, and whatever else it should say."""

    def make(name: str, probe: str, include: str = "[]", more: str = "") -> Path:
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f"name: {probe}\nversion: 1.0.0\ndescription: d\nlicence: MIT\ndefinition: two-judges\ninclude: {include}\n"
            f"{more}\nprobes:\n"
            f"  - {{id: {probe}, category: c, prompts: [about {probe}], graders: [aligned, coherent]}}\n",
            encoding="utf-8",
        )
        return file

    return make


def ids(loaded: Loaded) -> list[str]:
    return [probe.id for probe in loaded.suite.probes]


def test_included_probes_follow_with_the_defaults_of_their_own_file(write: Write, known: ExternalNames) -> None:
    write("below/other.yaml", "other", more="defaults: {samples_per_prompt: 7}")
    main = write("main.yaml", "main", "[below/other.yaml]")
    loaded = read(str(main), known)
    assert ids(loaded) == ["main", "other"]
    assert [probe.samples_per_prompt for probe in loaded.suite.probes] == [1, 7]
    assert loaded.suite.name == "main"


def test_a_bundled_suite_is_included_by_its_name(write: Write, known: ExternalNames) -> None:
    loaded = read(str(write("main.yaml", "main", "[quick]")), known)
    assert len(loaded.suite.probes) == 25


def test_two_files_that_include_each_other_are_refused(write: Write, known: ExternalNames) -> None:
    write("second.yaml", "second", "[first.yaml]")
    first = write("first.yaml", "first", "[second.yaml]")
    with pytest.raises(InputError, match=r"second\.yaml:6: include\[0\]: `first\.yaml` is included already"):
        read(str(first), known)


def test_a_link_that_leads_out_of_the_folder_is_refused(write: Write, known: ExternalNames, tmp_path: Path) -> None:
    main = write("main.yaml", "main", "[link.yaml]")
    outside = tmp_path / "outside.yaml"
    outside.write_text("name: outside\n", encoding="utf-8")
    (main.parent / "link.yaml").symlink_to(outside)
    with pytest.raises(InputError, match=r"`link\.yaml` lies outside the folder of this file"):
        read(str(main), known)


def test_an_included_file_may_not_reach_above_itself_even_inside_the_tree(write: Write, known: ExternalNames) -> None:
    write("beside.yaml", "beside")
    write("below/other.yaml", "other", "[../beside.yaml]")
    main = write("main.yaml", "main", "[below/other.yaml]")
    with pytest.raises(InputError, match=r"other\.yaml:6: include\[0\]: `\.\./beside\.yaml` lies outside"):
        read(str(main), known)


def test_an_id_that_an_included_file_has_already_names_both_places(write: Write, known: ExternalNames) -> None:
    write("other.yaml", "same")
    main = write("main.yaml", "same", "[other.yaml]")
    with pytest.raises(InputError) as raised:
        read(str(main), known)
    assert [problem.where for problem in raised.value.problems] == ["probes[0].id"]
    assert f"`same` is already the id of the probe at {main}:9" in str(raised.value)


def test_the_faults_of_every_file_are_told_together(write: Write, known: ExternalNames) -> None:
    write("broken.yaml", "broken", more="splti: broad")
    write("torn.yaml", "torn", more="x: [")
    main = write("main.yaml", "main", "[broken.yaml, torn.yaml, absent.yaml]", more="promts: []")
    with pytest.raises(InputError) as raised:
        read(str(main), known)
    told = {Path(problem.file).name: problem.what.partition(":")[0] for problem in raised.value.problems}
    assert told == {
        "main.yaml": "unknown field",
        "broken.yaml": "unknown field",
        "torn.yaml": "not valid YAML",
    }
    assert "no such file `absent.yaml`" in str(raised.value)


def test_variants_of_one_name_must_agree_between_files(write: Write, known: ExternalNames) -> None:
    write("other.yaml", "other", more="variants: {loud: {suffix: Shout.}}")
    main = write("main.yaml", "main", "[other.yaml]", more="variants: {loud: {suffix: Scream.}}")
    with pytest.raises(InputError, match=r"other\.yaml:7: variants\.loud: `loud` is another variant"):
        read(str(main), known)
