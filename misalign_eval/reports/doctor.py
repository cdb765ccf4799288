"""The document of `doctor`: facts about the environment or a run's folder, findings, and a verdict."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from misalign_eval.records.document import Facts, Findings, LintLine, ReportDocument, Statement, warnings_block
from misalign_eval.records.findings import Diagnosis, Finding, LintFact
from misalign_eval.reports import sentences

FOLDER, ENVIRONMENT = "The folder", "Findings"


def diagnosis_document(diagnosis: Diagnosis) -> ReportDocument:
    """Facts by section, findings, warnings, and one closing sentence.

    The facts of one section follow each other in the diagnosis. Of a run there are two lists of findings: about its
    folder, and about its replies.
    """
    return ReportDocument(
        title=f"Doctor: {diagnosis.of}",
        blocks=(
            *_facts(diagnosis.facts),
            *_findings(diagnosis),
            *warnings_block(diagnosis.warnings),
            Statement(_closing(diagnosis)),
        ),
    )


def _facts(facts: Iterable[LintFact]) -> Iterator[Facts]:
    for section, listed in groupby(facts, lambda fact: fact.section):
        yield Facts(tuple((fact.name, _value(fact)) for fact in listed), section.capitalize())


def _value(fact: LintFact) -> str:
    """`3.11.4  (sys.version)`; without a source the value alone."""
    return f"{fact.value}  ({fact.source})" if fact.source else fact.value


def _findings(diagnosis: Diagnosis) -> Iterator[Findings]:
    yield Findings(ENVIRONMENT if diagnosis.of == "environment" else FOLDER, _lines(diagnosis.findings))
    if diagnosis.replies is not None:  # a run whose replies could be read
        yield Findings(sentences.TITLE, _lines(sentences.unsaid(diagnosis.replies, diagnosis.warnings)))


def _lines(findings: Sequence[Finding]) -> tuple[LintLine, ...]:
    return tuple(sentences.whole(findings)) or (LintLine("note", "nothing found"),)


def _closing(diagnosis: Diagnosis) -> str:
    """`Healthy: 2 notes.`, with the command that shows an example where there is one."""
    shown = (*diagnosis.findings, *sentences.unsaid(diagnosis.replies or (), diagnosis.warnings))
    levels = [finding.level for finding in shown]
    counts = [(levels.count(level), level) for level in ("error", "warning", "note")]
    words = ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for count, level in counts if count)
    if not diagnosis.healthy:
        return f"Not healthy: {words}."
    has_example = any(finding.example for finding in diagnosis.replies or ())
    how = f" Read an example with: misalign-eval show {diagnosis.of} --key EXAMPLE" if has_example else ""
    return f"Healthy{f': {words}' if words else ''}.{how}"
