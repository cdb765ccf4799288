"""What the judges of a run say of each single reply."""

from dataclasses import dataclass
from pathlib import Path

from misalign_eval.analysis.provenance import provenance
from misalign_eval.analysis.selection import ALL_SPLITS, Headline, headline
from misalign_eval.analysis.tally import Tally
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Provenance
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.plan import ReplyKey
from misalign_eval.records.reply import Reply
from misalign_eval.results.folder import RunFolder, open_run
from misalign_eval.workflows.counting import Choices, chosen_definition, chosen_graders, grade_table, needed


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A run as one reading of its grades counts it, reply by reply."""

    folder: RunFolder
    definition: Definition
    graders: tuple[GraderIdentity, ...]
    outcomes: dict[ReplyKey, Outcome]  # of every planned request that got a reply
    judged: frozenset[ReplyKey]  # replies that some grader of the definition graded
    tally: Tally
    provenance: Provenance

    def head(self, split: str | None) -> Headline:
        """The headline's cells; `all` takes every split in every form."""
        cells = self.tally.cells()
        if split == ALL_SPLITS:
            splits = tuple(dict.fromkeys(cell.prompt.split for cell in cells))
            return Headline(cells, splits, None)
        return headline(cells, split)

    def inside(self, split: str | None) -> dict[ReplyKey, Outcome]:
        """Outcomes of the headline's replies."""
        names = {(cell.prompt.probe, cell.prompt.prompt, cell.prompt.variant) for cell in self.head(split).cells}
        return {key: found for key, found in self.outcomes.items() if key[:3] in names}


def verdicts(path: Path, choices: Choices) -> Verdicts:
    """Read a run once. Raises UsageError for choices that do not fit, or a definition without yes and no."""
    folder = open_run(path)
    definition = chosen_definition(folder, choices)
    refuse_means(definition)
    return read_verdicts(folder, definition, chosen_graders(folder, definition, choices.use_judge))


def read_verdicts(folder: RunFolder, definition: Definition, graders: tuple[GraderIdentity, ...]) -> Verdicts:
    """The same by these graders."""
    table, decided = grade_table(folder, graders), folder.decided_at
    tally = Tally(needed(folder.plan(), decided), definition)
    outcomes: dict[ReplyKey, Outcome] = {}
    judged: set[ReplyKey] = set()
    for row in folder.replies():
        if decided is not None and row.sample >= decided:
            continue
        grades = table.of(row.key)
        found = tally.add(row, grades)
        if found is not None and isinstance(row, Reply):
            outcomes[row.key] = found
            if grades:
                judged.add(row.key)
    tally.differing, tally.first_digits = folder.differing, folder.first_digits(graders)
    source = provenance(folder.manifest, definition, graders)
    return Verdicts(folder, definition, graders, outcomes, frozenset(judged), tally, source)


def refuse_means(definition: Definition) -> None:
    """Raise UsageError for a definition that gives a mean score."""
    if definition.measure == "mean":
        raise UsageError(
            f"definition `{definition.name}` gives a mean score, and labels say yes or no. "
            "Choose a definition with `measure: rate` (--definition)"
        )
