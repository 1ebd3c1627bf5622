"""Every limit there is, one entry each, and what applies to whom. Pure.

A limit is set for a tenant, an entity, a client, or for what each tenant does on a source. All that
apply count: the tightest decides. To add a kind, add an entry to `LIMITS`, and measure it where its
period says (`runs/limiter.py`, `runs/caps.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Protocol

from queryrun.errors import TooManyRequests
from queryrun.runs.usage import UsageSums

MAX_VALUE = 2**53 - 1
"""What every JSON reader takes for itself."""
ANYONE = "*"
"""The subject of a limit in the settings that each tenant, entity, client or source has."""


class Level(StrEnum):
    """Whose limit it is."""

    TENANT = "tenant"
    ENTITY = "entity"
    CLIENT = "client"
    SOURCE = "source"
    """Of what each tenant does on the source."""


class Period(StrEnum):
    """Over what a limit is counted."""

    STATEMENT = "statement"
    """Of one attempt of a run."""
    NOW = "now"
    MINUTE = "minute"
    """The last minute."""
    DAY = "day"
    """Since midnight, UTC."""
    MONTH = "month"
    """Since the first of the month, UTC."""


@dataclass(frozen=True, slots=True)
class LimitKind:
    """One kind of limit. `figure` is the field of the ledger that days and months add up."""

    name: str
    unit: str
    period: Period
    meaning: str
    figure: str = ""
    is_size: bool = False
    levels: tuple[Level, ...] = tuple(Level)
    min_value: int = 0
    """What runs may at least be allowed: with 0 nothing is."""
    again: str = ""
    """When there is something left again, of what does not begin anew at a known time."""


_OF_STATEMENT = (
    LimitKind("time_s", "s", Period.STATEMENT, "time of an attempt"),
    LimitKind("rows", "rows", Period.STATEMENT, "rows of the result"),
    LimitKind("result_bytes", "bytes", Period.STATEMENT, "size of the result file", is_size=True),
    LimitKind("read_bytes", "bytes", Period.STATEMENT, "bytes read of tables", is_size=True),
    LimitKind("cpu_s", "s", Period.STATEMENT, "CPU time"),
    LimitKind(
        "spill_bytes", "bytes", Period.STATEMENT, "intermediate results on disk", is_size=True
    ),
)
_OF_NOW = (
    LimitKind("queued", "runs", Period.NOW, "runs that wait on a source"),
    LimitKind("running", "runs", Period.NOW, "runs that run on a source", min_value=1),
    LimitKind(
        "stored_bytes", "bytes", Period.NOW, "result files that are kept", is_size=True,
        levels=(Level.TENANT, Level.ENTITY, Level.CLIENT),
        again="once files are removed with their runs, after the retention",
    ),
    LimitKind("submits_per_minute", "runs", Period.MINUTE, "submits in a minute"),
)  # fmt: skip
_ADDED_UP = (
    ("time_s", "s", "time of attempts", "wall_ms"),
    ("rows", "rows", "rows of results", "result_rows"),
    ("read_bytes", "bytes", "bytes read of tables", "read_bytes"),
    ("cpu_s", "s", "CPU time", "cpu_ms"),
    ("written_bytes", "bytes", "result files written", "written_bytes"),
    ("spill_bytes", "bytes", "intermediate results on disk", "spilled_bytes"),
    ("downloaded_bytes", "bytes", "result files downloaded", "downloaded_bytes"),
    ("runs", "runs", "runs that ended after an attempt", "runs"),
)
_OF_PERIODS = tuple(
    LimitKind(f"{name}_per_{period}", unit, period, f"{meaning}, in a {period}", figure,
              is_size=unit == "bytes")
    for period in (Period.DAY, Period.MONTH)
    for name, unit, meaning, figure in _ADDED_UP
)  # fmt: skip

LIMITS: Mapping[str, LimitKind] = {
    kind.name: kind for kind in (*_OF_STATEMENT, *_OF_NOW, *_OF_PERIODS)
}
"""All limits by name."""


@dataclass(frozen=True, slots=True)
class LimitValue:
    """A limit that somebody has set. `subject` is a tenant, an id, or a source's name."""

    level: Level
    subject: str
    name: str
    value: int

    @property
    def kind(self) -> LimitKind:
        """What it limits."""
        return LIMITS[self.name]

    @property
    def whose(self) -> str:
        """Whose it is, for a caller."""
        return "this source" if self.level is Level.SOURCE else f"your {self.level}"


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit, and what is used of it. `used` and `resets` are None where nothing adds up."""

    limit: LimitValue
    used: int | None = None
    resets: datetime | None = None

    @property
    def left(self) -> int | None:
        """What is left; never below 0."""
        return None if self.used is None else max(0, self.limit.value - self.used)

    def sentence(self) -> str:
        """Which limit, how much, when again."""
        limit, kind = self.limit, self.limit.kind
        used = "" if self.used is None else f"; {self.used} are used"
        again = kind.again if self.resets is None else f"from {self.resets.isoformat()} on"
        again = f", again {again}" if again else ""
        return f"limit '{limit.name}' of {limit.whose}: {limit.value} {kind.unit}{used}{again}"


class LimitReached(TooManyRequests):
    """A limit refuses a run before it is accepted."""

    def __init__(self, state: LimitState, now: datetime, reason: str = "") -> None:
        after_s = 3600 if state.limit.kind.again else 60
        if state.resets is not None:
            after_s = max(1, ceil((state.resets - now).total_seconds()))
        super().__init__(reason or state.sentence(), after_s)
        self.state = state


class Limited(Protocol):
    """Whose limits are meant: those of a run, or of a caller who has not submitted one."""

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        ...

    @property
    def entity_id(self) -> str:
        """The entity."""
        ...

    @property
    def client_id(self) -> str:
        """The client."""
        ...

    @property
    def source(self) -> str:
        """The source."""
        ...

    @property
    def org_ids(self) -> tuple[str, ...]:
        """The orgs whose rows it may see; none when all."""
        ...


@dataclass(frozen=True, slots=True)
class LimitScope:
    """A caller on a source (`Limited`)."""

    tenant_id: str
    entity_id: str
    client_id: str
    source: str
    org_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubmitCount:
    """Submits of the last minute, and in how many seconds the first of them is older than that."""

    used: int
    again_s: float


class LimitStore(Protocol):
    """The limits that were set over HTTP. They hold on every node within a second."""

    async def limits_of(self, subjects: Sequence[tuple[Level, str]]) -> list[LimitValue]:
        """Those of these subjects."""
        ...

    async def limits(self, level: Level | None = None, name: str | None = None) -> list[LimitValue]:
        """All, or those of a level or name, by level, subject and name."""
        ...

    async def set_limit(self, level: Level, subject: str, name: str, value: int | None) -> None:
        """Set one; None removes it. Durable."""
        ...

    async def count_submit(
        self, limits: Sequence[LimitValue], *, is_counted: bool
    ) -> list[SubmitCount]:
        """What each of these limits of a minute has used, of all nodes. Unless one of them is used
        up, or somebody only wants to know, count one more submit for each, in the same step."""
        ...


def subjects_of(request: Limited) -> tuple[tuple[Level, str], ...]:
    """Whose limits a run is under."""
    return (
        (Level.TENANT, request.tenant_id),
        (Level.ENTITY, request.entity_id),
        (Level.CLIENT, request.client_id),
        (Level.SOURCE, request.source),
    )


_OF_RESULTS = frozenset({"runs", "written_bytes", "result_rows", "downloaded_bytes"})
_OF_OWN_ROWS = frozenset({"stored_bytes", "submits_per_minute"})


def visible_to(request: Limited, state: LimitState) -> LimitState:
    """What this caller is told of a limit. A client of orgs is told what its own runs have used,
    and of that nothing that rows have a part in which it may not see: reading them is counted."""
    kind = state.limit.kind
    is_of_own_rows = kind.figure in _OF_RESULTS or kind.name in _OF_OWN_ROWS
    if not request.org_ids or (state.limit.level is Level.CLIENT and is_of_own_rows):
        return state
    return replace(state, used=None)


def figure_of(kind: LimitKind, sums: UsageSums) -> int:
    """What the ledger says is used of a limit of a day or a month."""
    value = int(getattr(sums, kind.figure))
    return value // 1000 if kind.figure.endswith("_ms") else value


def period_of(period: Period, now: datetime) -> tuple[datetime, datetime]:
    """When the current day or month began, and when the next one does."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period is Period.DAY:
        return day, day + timedelta(days=1)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def tightest(limits: Iterable[LimitValue], name: str) -> LimitValue | None:
    """The smallest limit of this name; None for no limit."""
    return min((one for one in limits if one.name == name), key=lambda one: one.value, default=None)
