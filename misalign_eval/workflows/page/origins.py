"""How a run came about, read from its folder: what to type to make such a run again, versions, digests, cost."""

import shlex
from collections.abc import Iterator

from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.page import Origin
from misalign_eval.records.run import RunManifest
from misalign_eval.reports.spending import cost_lines
from misalign_eval.results.folder import RunFolder
from misalign_eval.workflows.spent import spent

FLAGS = {"samples": "--samples", "temperature": "--temperature", "max_tokens": "--max-tokens"}
FLAGS |= {"reasoning_effort": "--reasoning-effort", "tags": "--tag", "categories": "--category"}
FLAGS |= {"probes": "--probe", "limit": "--limit"}


def origin(folder: RunFolder, definition: Definition, digest: str) -> Origin:
    """Read one folder. `definition` is the one that the page counts by, `digest` its digest."""
    manifest, graders = folder.manifest, folder.grader_identities()
    return Origin(
        run=manifest.name,
        facts=tuple(_facts(manifest, graders, definition, digest)),
        command=shlex.join(_command(manifest, graders)),
        cost=tuple(line.strip() for line in cost_lines(spent(folder))),
    )


def _facts(
    manifest: RunManifest, graders: list[GraderIdentity], definition: Definition, digest: str
) -> Iterator[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    yield (
        "target",
        f"{manifest.target.called} at {manifest.target.host}" if manifest.target.host else manifest.target.called,
    )
    yield "suite", f"{manifest.suite} {manifest.suite_version}, digest {manifest.suite_digest}"
    yield "counted by", f"definition {definition.name} {definition.version}, digest {digest}"
    if manifest.definition_digest != digest:
        yield "made for", f"definition {manifest.definition.name}, digest {manifest.definition_digest}"
    for who in graders:
        by = f" by {who.judge}{f' at {who.host}' if who.host else ''}" if who.judge else ""
        rubric = f", rubric {who.rubric_digest}" if who.rubric_digest else ""
        yield f"grader {who.grader}", f"{who.kind}{by}, identity {who.identity}{rubric}"
    yield "planned", f"{manifest.planned_replies} replies to {manifest.planned_prompts} prompts"
    yield "seed", "none sent" if manifest.seed is None else str(manifest.seed)
    yield "started", manifest.created
    yield "made with", f"misalign-eval {manifest.tool_version}{f', {versions}' if versions else ''}"
    if manifest.git_commit:
        yield "git commit", manifest.git_commit


def _command(manifest: RunManifest, graders: list[GraderIdentity]) -> Iterator[str]:
    """The options that the folder keeps; an address and the name of a key's variable are not among them."""
    yield from ("misalign-eval", "run", manifest.suite_file, "--target", manifest.target.given or manifest.target.name)
    primary = [who for who in graders if manifest.primary.get(who.grader) == who.identity]
    for judge in dict.fromkeys(name for who in primary if who.judge for name in who.judge.split(" + ")):
        yield from ("--judge", judge)
    for name, value in {**manifest.overrides, **manifest.selection}.items():
        for one in value if isinstance(value, list) else [value]:
            if name in FLAGS and one is not None:
                yield from (FLAGS[name], str(one))
    if manifest.seed is not None:
        yield from ("--seed", str(manifest.seed))
    for pair in manifest.mapped.items():
        yield from ("--map", "=".join(pair))
    for label in manifest.labels.items():
        yield from ("--label", "=".join(label))
