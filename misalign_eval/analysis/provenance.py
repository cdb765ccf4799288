"""Provenance: run, target, suite, definition and graders of the numbers, printed with every table."""

from collections.abc import Sequence

from misalign_eval.analysis.comparability import headers_digest, options_digest
from misalign_eval.analysis.definitions import digest
from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.run import RunManifest
from misalign_eval.records.summary import CalibrationNote, Provenance


def provenance(
    manifest: RunManifest,
    definition: Definition,
    graders: Sequence[GraderIdentity],
    calibration: CalibrationNote | None = None,
) -> Provenance:
    """Name the run, the target, the suite, the definition and the graders whose grades were read."""
    judges = sorted({grader.judge for grader in graders if grader.judge})
    return Provenance(
        run=manifest.name,
        target=manifest.target.name,
        target_name=manifest.target.given,
        host=manifest.target.host,
        tls="not verified" if manifest.target.options.get("verify") is False else None,
        suite=manifest.suite,
        suite_version=manifest.suite_version,
        suite_digest=manifest.suite_digest,
        definition=definition.name,
        definition_digest=digest(definition),
        judge=", ".join(judges) or None,
        graders={grader.grader: grader.identity for grader in sorted(graders, key=lambda grader: grader.grader)},
        imported_judges=tuple(
            sorted({grader.judge for grader in graders if grader.kind == "imported" and grader.judge})
        ),
        created=manifest.created,
        labels=manifest.labels,
        target_options=options_digest(manifest.target),
        target_headers=headers_digest(manifest.target),
        calibration=calibration,
    )
