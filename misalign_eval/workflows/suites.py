"""`suites`: lists, shows, checks and imports suites."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.plan import plan
from misalign_eval.records.suite import Probe, Suite
from misalign_eval.suites import sources as suite_sources
from misalign_eval.suites import write
from misalign_eval.suites.advice import ClosePair, lint
from misalign_eval.suites.advice import closest as closest_pairs
from misalign_eval.suites.formats.convert import ConvertedFrom
from misalign_eval.suites.formats.detect import roles
from misalign_eval.suites.load import Loaded
from misalign_eval.workflows import load_suite


@dataclass(frozen=True, slots=True)
class CheckedSuite:
    """What was found in one suite. `suite` is None when there are errors."""

    source: str
    suite: Suite | None
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    origins: tuple[tuple[str, ConvertedFrom], ...] = ()  # of its files in foreign formats
    loaded: Loaded | None = None

    @property
    def summary(self) -> str:
        """What is in it, or how much is wrong."""
        if self.suite is None:
            return f"{len(self.errors)} error{'s' if len(self.errors) != 1 else ''}"
        row = listing(self.suite)
        counts = f"{row['probes']} probes, {row['prompts']} prompts, {row['replies']} replies"
        return f"{counts}, {len(self.warnings) or 'no'} warning{'s' if len(self.warnings) != 1 else ''}"

    def as_json(self) -> dict[str, Any]:
        """With every error and warning as file, line, where, what, fix."""
        return {
            "suite": self.source,
            "ok": not self.errors,
            "errors": [asdict(problem) for problem in self.errors],
            "warnings": [asdict(problem) for problem in self.warnings],
            **_origin(self.origins),
        }


def listed() -> list[dict[str, str | int]]:
    """A line for each bundled suite, with the name to type. Raises InputError when one is broken."""
    return [listing(load_suite.load_suite(name)) | {"name": name} for name in suite_sources.names()]


def listing(suite: Suite) -> dict[str, str | int]:
    """Its name, and how much it asks: paraphrases, and the replies of all forms and samples."""
    return {
        "name": suite.name,
        "version": suite.version,
        "description": suite.description,
        "probes": len(suite.probes),
        "prompts": sum(len(probe.prompts) for probe in suite.probes),
        "replies": plan(suite).replies,
    }


def shown(loaded: Loaded) -> dict[str, Any]:
    """The suite as `suites show --format json` prints it; of a foreign file also its format and losses."""
    suite = loaded.suite
    return {
        "name": suite.name,
        "version": suite.version,
        "definition": suite.definition.name,
        "probes": [_probe(probe) for probe in suite.probes],
        **_origin(loaded.origins),
    }


def checked(source: str, mapped: Mapping[str, str] | None = None) -> CheckedSuite:
    """Everything that is wrong or odd in a suite; raises nothing that the author of the suite can mend.

    Raises UsageError for a name in `mapped` (`--map`) that is none of ours.
    """
    roles(mapped or {})
    try:
        loaded = load_suite.load_suites(source, mapped=mapped)
        warnings = lint(loaded)
    except InputError as error:
        return CheckedSuite(source, None, error.problems)
    except UsageError as error:
        return CheckedSuite(source, None, (Problem(source, None, "", str(error)),))
    return CheckedSuite(source, loaded.suite, warnings=tuple(warnings), origins=loaded.origins, loaded=loaded)


def closest(suites: Sequence[CheckedSuite], most: int) -> list[ClosePair]:
    """The closest pairs of probes within and between the suites that can be read; at most so many of each kind.

    Raises UsageError for a number below 1.
    """
    if most < 1:
        raise UsageError(f"--closest {most}: at least 1")
    return closest_pairs([suite.loaded for suite in suites if suite.loaded is not None], most)


def pair_as_json(pair: ClosePair) -> dict[str, Any]:
    """With suite, probe, prompt, split and text of both."""
    sides = {
        name: {key: value for key, value in item._asdict().items() if key != "place"}
        for name, item in (("first", pair.first), ("second", pair.second))
    }
    return {"similarity": pair.similarity, "kinds": sorted(pair.kinds), **sides}


def imported(source: str, mapped: Mapping[str, str] | None = None) -> tuple[str, list[str]]:
    """A suite in a foreign format as a suite file of our own, and what to say of it.

    Raises UsageError for one that is ours already.
    """
    loaded = load_suite.load_suites(source, mapped=mapped)
    if not loaded.origins or len(loaded.sources) > 1:
        raise UsageError(f"{source}: a suite of misalign-eval already, which runs as it is")
    [(file, origin)] = loaded.origins
    name = Path(file).name
    remarks = [str(replace(loss, file=name)) for loss in origin.losses]
    text = write.text(loaded.sources[0].document.data, [f"{name}: read as {origin.format}", *remarks])
    return text, load_suite.suite_messages(loaded)


def _origin(origins: tuple[tuple[str, ConvertedFrom], ...]) -> dict[str, Any]:
    """What a foreign file was read as, and its losses; nothing of a suite of ours."""
    if not origins:
        return {}
    losses = [asdict(loss) for _, origin in origins for loss in origin.losses]
    return {"format": origins[0][1].format, "losses": losses}


def _probe(probe: Probe) -> dict[str, Any]:
    """A prompt of one turn is its text, a scripted conversation the list of its turns."""
    prompts = [
        turns[0].content if len(turns) == 1 else [turn.model_dump() for turn in turns] for turns in probe.prompts
    ]
    return {
        "id": probe.id,
        "category": probe.category,
        "split": probe.split,
        "prompts": prompts,
        "system": probe.system,
        "graders": list(probe.graders),
        **({} if probe.reference is None else {"reference": probe.reference}),
    }
