"""Calibration files of a run folder, and the choice of the one that fits a run's judge."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from misalign_eval.analysis import definitions
from misalign_eval.analysis.counts import Headline
from misalign_eval.analysis.estimates import counted
from misalign_eval.analysis.judges import of_definition
from misalign_eval.errors import InputError, Problem
from misalign_eval.files import atomic_write, make_folder
from misalign_eval.records.base import Estimated, digest
from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.labels import Calibration
from misalign_eval.records.summary import CalibrationNote, CorrectedRate
from misalign_eval.stats.difference import effective_rate
from misalign_eval.stats.judge_error import KnownErrorRates, lang_reiczigel
from misalign_eval.store import lock
from misalign_eval.store.rows import read_content
from misalign_eval.workflows.options import RESULTS, file_name

STORE = RESULTS / lock.CALIBRATIONS  # of judges, for the runs below `results`


def store(calibration: Calibration, folders: Sequence[Path]) -> list[Path]:
    """Write it under the judge's identity into every folder; gives the files. Raises OSError."""
    files = []
    for folder in folders:
        make_folder(folder)
        file = folder / f"{_name(calibration)}.json"
        atomic_write(file, [calibration.model_dump_json(indent=2).encode("utf-8", "backslashreplace"), b"\n"])
        files.append(file)
    return files


def _name(calibration: Calibration) -> str:
    """`aligned@3fa9c1d20b7e`, or for several graders together `betley-2025@0c4e…` with the run behind."""
    if calibration.design == "examples":
        ((grader, identity),) = calibration.graders.items()
        by_hand = (
            "" if calibration.definition else f"--{file_name(calibration.yes or 'yes')}"
        )  # another yes is another result
        return f"{grader}@{identity}{by_hand}"
    who = digest([calibration.definition_digest, dict(calibration.graders)])[:12]
    return f"{file_name(calibration.definition or 'definition')}@{who}--{file_name(calibration.run or 'run')}"


def judge_note(
    path: Path, definition: Definition, graders: Sequence[GraderIdentity], head: Headline
) -> CalibrationNote | None:
    """What is stored about the judge of this run: of its own labels first, then the one with the most labels.

    None where nothing is stored about these graders. Raises InputError for a stored file that cannot be read.
    """
    if definition.measure == "mean" or not any(grader.kind != "rule" for grader in graders):
        return None
    own = list(_read(path / lock.CALIBRATIONS))
    # Looked for beside the run, not where the user stands: a report is the same from wherever it is made.
    shared = (made for folder in path.resolve().parents[:2] for made in _read(folder / lock.CALIBRATIONS))
    found = [(made in own, made) for made in (*own, *shared) if made.design != "judges"]
    about = [(is_own, made) for is_own, made in found if set(made.graders) & {grader.grader for grader in graders}]
    if not about:
        return None
    fits = [(is_own, made) for is_own, made in about if _fits(made, definition, graders)]
    is_own, made = max(fits or about, key=lambda fit: (fit[0], fit[1].n, fit[1].created))
    return CalibrationNote(
        matches=bool(fits),
        design=made.design,
        source=made.run or made.reference,
        target=made.target,
        graders=made.graders,
        n=made.n,
        sensitivity=made.sensitivity,
        specificity=made.specificity,
        corrected_rate=_corrected(made, definition, head, is_own=is_own) if fits else CorrectedRate(),
        of_this_run=is_own and made.design != "examples",
    )


def _read(folder: Path) -> Iterator[Calibration]:
    for file in sorted(folder.glob("*.json")):
        try:
            yield Calibration.model_validate_json(read_content(file))
        except ValidationError as error:
            fix = "Make it anew with `misalign-eval calibrate`, or move it away"
            raise InputError([Problem(str(file), None, "", "no calibration that this version reads", fix)]) from error


def _fits(calibration: Calibration, definition: Definition, graders: Sequence[GraderIdentity]) -> bool:
    """The same judges, rubrics and settings; and the same meaning of yes."""
    used = {grader.grader: grader.identity for grader in graders}
    if calibration.design == "examples":
        ((grader, identity),) = calibration.graders.items()
        yes = of_definition(grader, definition)
        decides = any(
            rule.when.grader == grader and rule.outcome in definition.numerator for rule in definition.outcomes
        )
        return decides and used.get(grader) == identity and yes is not None and yes.words == calibration.yes
    return calibration.graders == used and calibration.definition_digest == definitions.digest(definition)


def _corrected(calibration: Calibration, definition: Definition, head: Headline, *, is_own: bool) -> CorrectedRate:
    """Of the run's own labels as it was found then; of an external set by Lang & Reiczigel, if Se + Sp > 1.2."""
    cells = counted(head.cells, definition)
    if cells is None:
        return CorrectedRate()
    if is_own:
        graded = sum(cell.count(definition.denominator) for cell in head.cells)
        return calibration.corrected_rate if calibration.graded == graded else CorrectedRate()
    if calibration.design == "two-phase":  # its sensitivity is weighted, and stands on no simple number of labels
        return CorrectedRate()
    (neither, wrong), (missed, both) = calibration.table
    if not (both + missed and neither + wrong):
        return CorrectedRate()
    rate = effective_rate(cells)
    corrected = lang_reiczigel(
        KnownErrorRates(rate.rate, rate.trials),
        KnownErrorRates(both / (both + missed), both + missed),
        KnownErrorRates(neither / (neither + wrong), neither + wrong),
    )
    if corrected is None:
        return CorrectedRate()
    known = Estimated(estimate=corrected.estimate, low=corrected.interval.low, high=corrected.interval.high)
    return CorrectedRate(**dict(known), method="lang-reiczigel")
