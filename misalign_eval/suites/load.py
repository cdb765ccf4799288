"""Loading of a suite, from its name or path to the frozen record, or to every problem in its files."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.records.base import digest
from misalign_eval.records.definition import Definition
from misalign_eval.records.suite import PLAIN, JudgeControl, OwnGrader, Probe, RuleSpec, Suite, Variant
from misalign_eval.suites import checks
from misalign_eval.suites import sources as suite_sources
from misalign_eval.suites.formats.convert import ConvertedFrom
from misalign_eval.suites.formats.detect import Role
from misalign_eval.suites.schema import VariantFile
from misalign_eval.suites.sources import BUILT_IN, ExternalNames, Reader, SuiteEntry, SuiteSource, grader_name, inside
from misalign_eval.yaml_source.validate import YamlFault


@dataclass(frozen=True, slots=True)
class Loaded:
    """A suite, and where each of its probes and variants is written."""

    suite: Suite
    entries: tuple[SuiteEntry, ...]
    sources: tuple[SuiteSource, ...]

    @property
    def origins(self) -> tuple[tuple[str, ConvertedFrom], ...]:
        """Each file in a foreign format, and what it was read as."""
        return tuple((source.document.file, source.origin) for source in self.sources if source.origin is not None)


def load_suite(
    source: str,
    *,
    definitions: Callable[[str], Definition],
    graders: Collection[str],
    rules: Collection[str] = (),
    check_rule: Callable[[RuleSpec], Sequence[Problem]] = lambda _: (),
    definition: Definition | None = None,
) -> Suite:
    """Read a bundled suite by name or a file by path, with all that it includes.

    What lives in other stages is handed in, as `ExternalNames` says; `definition` replaces the suite's own.
    Raises UsageError for an unknown name, InputError with every problem of every file.
    """
    return read(source, ExternalNames(definitions, graders, rules, check_rule, definition)).suite


def read(source: str, known: ExternalNames, mapped: Mapping[Role, str] | None = None) -> Loaded:
    """As `load_suite`, keeping where everything is written; `mapped` names columns of a table of questions."""
    path = suite_sources.locate(source)
    reader = Reader(mapped, None if known.definition is None else known.definition.graders)
    reader.read(path)
    entries, unreadable = list(reader.entries()), list(reader.unreadable)
    definition = None
    if reader.sources:
        head = reader.sources[0]
        definition, more = _definition(head, path.parent, known)
        unreadable += more
        _check(reader.sources, entries, definition, known)
    problems = [*unreadable, *(problem for source in reader.sources for problem in source.problems())]
    if problems or definition is None:
        raise InputError(list(dict.fromkeys(problems)))
    return Loaded(_suite(source, reader.sources, entries, definition), tuple(entries), tuple(reader.sources))


def _check(
    sources: list[SuiteSource], entries: list[SuiteEntry], definition: Definition | None, known: ExternalNames
) -> None:
    """Add what is wrong to the sources."""
    for source in sources:
        source.found += [*_own_variants(source), *_own_judges(source)]
    for source, fault in _clashes(sources, entries):
        source.found.append(fault)
    for entry in entries:
        entry.source.found += checks.of_probe(entry, known, set(entry.source.suite.variants))
        if definition is not None:
            entry.source.found += _unread_graders(entry, definition)
    sources[0].found += checks.of_controls(sources[0], entries)
    for entry, fault in checks.duplicate_ids(entries):
        entry.source.found.append(fault)
    if not entries:
        head = sources[0]
        head.found.append(head.fault(("probes",), "a suite needs at least one probe", "Write one under `probes`."))


def _definition(head: SuiteSource, folder: Path, known: ExternalNames) -> tuple[Definition | None, list[Problem]]:
    """What counts, and the problems of a definition file. An unknown name becomes a fault of the suite."""
    written = known.definition or head.suite.definition
    if isinstance(written, Definition):
        return written, []
    if any(fault.loc[:1] == ("definition",) for fault in head.mended):
        return None, []
    try:
        return known.definitions(
            str(inside(written, folder.resolve())) if suite_sources.is_path(written) else written
        ), []
    except InputError as error:
        return None, list(error.problems)
    except UsageError as error:
        head.found.append(head.fault(("definition",), str(error)))
        return None, []


def _unread_graders(entry: SuiteEntry, definition: Definition) -> Iterator[YamlFault]:
    """Graders that decide what counts, which a probe of the headline lacks: all its replies would be ungraded."""
    if (suite_sources.apply_defaults(entry, "split") or "broad") != "broad" or not suite_sources.graders(entry):
        return
    present = {grader_name(item) for item in suite_sources.graders(entry)}
    missing = [f"`{name}`" for name in definition.graders if name not in present]
    if missing:
        what = f"definition `{definition.name}` reads {', '.join(missing)}, which is not among the graders here"
        fix = "Add what is missing to its graders, or give it another split."
        yield entry.source.fault(checks.place_of(entry, "graders"), what, fix)


def _own_variants(source: SuiteSource) -> Iterator[YamlFault]:
    for name, variant in source.suite.variants.items():
        if name in BUILT_IN or name == PLAIN:
            yield source.fault(("variants", name), f"`{name}` is the name of a built-in form", "Choose another.")
        elif not variant.model_dump(exclude={"expects"}, exclude_none=True):
            fix = "Set one of system, prefix, suffix, template, trigger."
            yield source.fault(("variants", name), "this variant changes nothing", fix)


def _own_judges(source: SuiteSource) -> Iterator[YamlFault]:
    """Prompts for probes that are not there."""
    ids = [probe.id for probe in source.suite.probes]
    for name, judge in source.suite.judges.items():
        for probe in judge.by_probe.keys() - set(ids):
            hint = did_you_mean(probe, ids)
            yield source.fault(("judges", name, "by_probe", probe), f"there is no probe `{probe}` in this file", hint)


def _clashes(sources: list[SuiteSource], entries: list[SuiteEntry]) -> Iterator[tuple[SuiteSource, YamlFault]]:
    """One name for two different variants, or for two rules with different options."""
    variants: dict[str, VariantFile] = {}
    for source in sources:
        for name, variant in source.suite.variants.items():
            if variants.setdefault(name, variant) != variant:
                what = f"`{name}` is another variant in a file of this suite"
                yield source, source.fault(("variants", name), what, "Choose another name.")
    rules: dict[str, OwnGrader] = {}
    for entry in entries:
        for name, rule in suite_sources.rules(entry).items():
            if rules.setdefault(name, rule) != rule:
                kind = "rule" if isinstance(rule, RuleSpec) else "judge"
                what = f"`{name}` is a {kind} with other options elsewhere in this suite"
                yield entry.source, entry.source.fault((*entry.loc, "graders"), what, "Choose another name.")
    yield from _shadowed(entries, rules)


def _shadowed(entries: list[SuiteEntry], rules: dict[str, OwnGrader]) -> Iterator[tuple[SuiteSource, YamlFault]]:
    """Probes that mean a grader of misalign-eval, where another file of the suite brings along one of that name."""
    for entry in entries:
        own = suite_sources.rules(entry)
        for name in (grader_name(item) for item in suite_sources.graders(entry)):
            if name in rules and name not in own:
                what = f"`{name}` is a grader of another file of this suite"
                yield entry.source, entry.source.fault((*entry.loc, "graders"), what, "Rename the other one.")


def _suite(source: str, sources: list[SuiteSource], entries: list[SuiteEntry], definition: Definition) -> Suite:
    head = sources[0].suite
    probes = tuple(suite_sources.probe(entry) for entry in entries)
    suite = Suite(
        name=head.name,
        version=head.version,
        description=head.description,
        licence=head.licence,
        source=head.source,
        definition=definition,
        probes=probes,
        variants=_variants(sources, probes),
        rules={name: rule for entry in entries for name, rule in suite_sources.rules(entry).items()},
        judge_controls=tuple(JudgeControl(**control.model_dump()) for control in head.judge_controls),
        canary=head.canary or next((source.suite.canary for source in sources if source.suite.canary), None),
        digest="",
        file=source,
    )
    return suite.model_copy(update={"digest": suite_digest(suite)})


def _variants(sources: list[SuiteSource], probes: tuple[Probe, ...]) -> dict[str, Variant]:
    """Every variant that a probe names."""
    own = {
        name: Variant(**variant.model_dump()) for source in sources for name, variant in source.suite.variants.items()
    }
    used = {name for probe in probes for name in probe.variants}
    return {name: variant for name, variant in (BUILT_IN | own).items() if name in used}


def suite_digest(suite: Suite) -> str:
    """16 hexadecimal digits over the content, whatever the file's place, comments and order of keys.

    The definition stays out: it has a digest of its own, and counting the same replies otherwise changes no suite. So
    does the canary, of which no request and no grade depends, and what a probe leaves unsaid about its form.
    """
    content = suite.model_dump(mode="json", exclude={"digest", "file", "definition", "canary"})
    if not suite.judge_controls:
        del content["judge_controls"]
    for probe in content["probes"]:
        for name, usual in (("form", PLAIN), ("expects", None)):
            if probe[name] == usual:
                del probe[name]
    return digest(content)
