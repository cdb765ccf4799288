"""run.json: what was planned and with what. It never counts what came; that is read from the rows."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from misalign_eval.records.base import Record
from misalign_eval.records.definition import Definition
from misalign_eval.records.digest import digest
from misalign_eval.records.gate import Stopping
from misalign_eval.records.headers import WrittenHeaders
from misalign_eval.records.plan import PlannedControl
from misalign_eval.records.suite import OwnGrader

MOST_SHARDS = 100_000
FORMAT_VERSION = 1
# 1: first format


def _moment(text: str) -> str:
    datetime.fromisoformat(text)  # raises ValueError
    return text


class TargetInfo(Record):
    """The model under test, as it was addressed. No key, no user name, no query string."""

    provider: str
    model: str
    host: str  # host and port; "" for targets without a network
    options: dict[str, JsonValue] = {}
    given: str | None = None  # its name in misalign-eval.yaml
    served_as: tuple[str, ...] = ()  # names and patterns that were accepted for the model that answers
    headers: WrittenHeaders | None = None  # extra request headers; None: none were sent

    @property
    def name(self) -> str:
        """`provider/model`, as on the command line."""
        return f"{self.provider}/{self.model}"

    @property
    def called(self) -> str:
        """By the name that the user gave it, with the model behind it."""
        return f"{self.given} ({self.name})" if self.given else self.name

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over provider, model, options and headers; the host is left out: a server may move."""
        headers = [self.headers.model_dump(mode="json")] if self.headers else []
        return digest([self.provider, self.model, dict(self.options), *headers])


class Shard(Record):
    """A part of a plan: every `count`-th prompt from number `index` on, both counted from 1."""

    index: Annotated[int, Field(gt=0)]
    count: Annotated[int, Field(gt=0, le=MOST_SHARDS)]

    def __str__(self) -> str:
        """`2/4`, as on the command line."""
        return f"{self.index}/{self.count}"


class RunManifest(Record):
    """The content of run.json."""

    format: int = FORMAT_VERSION
    tool_version: str
    created: Annotated[str, AfterValidator(_moment)]  # UTC, ISO 8601
    name: str
    suite: str
    suite_version: str
    suite_digest: str
    suite_file: str
    definition: Definition
    definition_digest: str
    target: TargetInfo
    rules: dict[str, OwnGrader] = {}  # graders that the suite configured itself
    canary: str | None = None  # of the suite
    seed: int | None = None
    overrides: dict[str, JsonValue] = {}  # --samples, --temperature …; sampling also by the settings of the target
    mapped: dict[str, str] = {}  # --map as given: columns of a question table
    selection: dict[str, JsonValue] = {}  # --tag, --category, --probe, --limit as given
    stopping: Stopping | None = None  # the rule of --stop-when-decided
    primary: dict[str, str] = {}  # grader → identity whose grades are reported
    shard: Shard | None = None  # the part that this folder was to collect; the plan beside it is that of all shards
    labels: dict[str, str] = {}  # step, group …: free labels of the user
    versions: dict[str, str] = {}  # Python, SDKs
    git_commit: str | None = None
    example: bool = False  # ships with the package: what only reads it leaves it as it is
    controls: tuple[PlannedControl, ...] = ()  # written replies that the judges read beside those of the target
    planned_prompts: int
    planned_replies: int

    @property
    def mark(self) -> str:
        """What tells this run from any other, wherever its folder lies: the target, and when it began."""
        return f"{self.target.name} of {self.created}"
