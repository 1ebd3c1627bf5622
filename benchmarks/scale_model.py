"""The load of a cluster on its PostgreSQL, its bucket and its engines, as arithmetic.

Pure: costs go in (measured by `scale_costs.py`), loads and limits come out. The constants are read
off the program's own settings, so the model changes with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from queryrun.db.postgres.connections import ConnectionCounts
from queryrun.db.postgres.node_notifier import PROBE_EVERY_S
from queryrun.runs.sources import CHECK_INTERVAL_S
from queryrun.runs.sweep import INTERVAL as SWEEP_INTERVAL
from queryrun.settings import LeaseSettings, ResultSettings, WorkerSettings

NODES = (10, 100, 1_000)
KEPT = (10**6, 10**8, 10**9)
Rows = list[list[str]]
DAY_S = 86_400


@dataclass(frozen=True)
class Costs:
    """What was measured. Each field is printed under its name, rounded, and used as printed."""

    transactions_per_run: float
    rows_written_per_run: float
    wal_bytes_per_run: float
    db_cpu_ms_per_run: float
    node_cpu_ms_per_run: float
    kept_table_bytes_per_run: float
    kept_index_bytes_per_run: float
    key_bytes_per_run: float
    hints_per_run: float
    s3_requests_per_run: float
    idle_transactions_per_node_s: float
    idle_db_cpu_ms_per_node_s: float
    claim_ms: float
    claim_more_ms: float
    empty_claim_ms: float
    empty_claim_cpu_ms: float
    beat_cpu_ms: float
    hint_cpu_us_per_listener: float
    hint_received_us: float
    removal_ms_per_run: float

    @classmethod
    def printed(cls, rows: Sequence[Sequence[str]]) -> Costs:
        """Costs as they stand in the table that `rows` prints."""
        given = {row[0].strip("`"): float(row[1].replace(",", "")) for row in rows}
        return cls(**{field.name: given[field.name] for field in fields(cls)})

    def rounded(self) -> Costs:
        """Three digits, as printed: more would suggest a precision that is not there."""
        return Costs.printed(self.rows())

    def rows(self) -> Rows:
        """The table of costs."""
        return [
            [f"`{field.name}`", _digits(getattr(self, field.name)), _MEANING[field.name]]
            for field in fields(self)
        ]


_MEANING = {
    "transactions_per_run": "submit with a key, one read that waits, claim, handle, end",
    "rows_written_per_run": "inserted, updated, deleted",
    "wal_bytes_per_run": "with full-page images, as they fall in a short test",
    "db_cpu_ms_per_run": "all of PostgreSQL's processes",
    "node_cpu_ms_per_run": "the node and its worker, for `SELECT 1`",
    "kept_table_bytes_per_run": "run, statement of 300 characters, attempt, events; after VACUUM",
    "kept_index_bytes_per_run": "their indexes",
    "key_bytes_per_run": "the idempotency key's row, kept 24 hours",
    "hints_per_run": "changes sent to the other nodes",
    "s3_requests_per_run": "to write a small result; a large one takes one per 16 MiB more",
    "idle_transactions_per_node_s": "of a node with nothing to do: polls, probes, the reaper",
    "idle_db_cpu_ms_per_node_s": "the same, in PostgreSQL",
    "claim_ms": "a claim of one run, holding the lock of its source",
    "claim_more_ms": "each further run of the same claim",
    "empty_claim_ms": "a claim that finds nothing, holding the same lock",
    "empty_claim_cpu_ms": "the same, in PostgreSQL",
    "beat_cpu_ms": "extending the leases of five attempts, in PostgreSQL",
    "hint_cpu_us_per_listener": "one NOTIFY to one more listening node, in PostgreSQL",
    "hint_received_us": "one hint, in each node that receives it",
    "removal_ms_per_run": "a run past its retention, in batches, in PostgreSQL; without its file",
}


@dataclass(frozen=True)
class Constants:
    """The defaults of the program, read from its settings."""

    slots: int = WorkerSettings().slots
    poll_s: float = LeaseSettings().poll_s
    heartbeat_s: float = LeaseSettings().heartbeat_s
    reap_interval_s: float = LeaseSettings().reap_interval_s
    probe_every_s: float = PROBE_EVERY_S
    connections: int = (
        ConnectionCounts().durable + ConnectionCounts().relaxed + ConnectionCounts().reads + 2
    )
    source_check_interval_s: float = CHECK_INTERVAL_S
    sweep_every_s: float = SWEEP_INTERVAL.total_seconds()
    retention_days: float = ResultSettings().retention_days

    def rows(self) -> Rows:
        """The table of constants."""
        return [[f"`{field.name}`", f"{getattr(self, field.name):g}"] for field in fields(self)]


@dataclass(frozen=True)
class Assumed:
    """Assumptions about the environment of the nodes."""

    statement_s: float = 5.0
    """Mean length of a statement: all slots busy means slots / statement_s runs/s and node."""
    db_cores: float = 16.0
    """Of the kind measured on."""
    db_connections: float = 500.0
    wal_bytes_per_s: float = 200e6
    s3_requests_per_s: float = 3_500.0
    """Writes that S3 takes below one prefix before it splits it (AWS's own figure)."""
    s3_list_keys: float = 1_000.0
    s3_list_s: float = 0.1
    engine_requests_per_s: float = 100.0
    """Small requests about status and orphans to a Trino coordinator or a Spark Connect server."""
    restore_bytes_per_s: float = 200e6

    def rows(self) -> Rows:
        """The table of assumptions."""
        return [[f"`{field.name}`", _digits(getattr(self, field.name))] for field in fields(self)]


@dataclass(frozen=True)
class ScaleLimit:
    """A limited resource: its load by `n` nodes per second, and its capacity."""

    name: str
    unit: str
    load: Callable[[float], float]
    capacity: float
    change: str

    def first(self) -> int | None:
        """The smallest number of nodes that is too many; None: not below 100,000."""
        low, high = 0, 100_000
        if self.load(high) <= self.capacity:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.load(middle) > self.capacity else (middle, high)
        return high


class Model:
    """The arithmetic, for one set of costs."""

    def __init__(
        self, costs: Costs, constants: Constants | None = None, assumed: Assumed | None = None
    ) -> None:
        self.costs = costs
        self.constants = constants or Constants()
        self.assumed = assumed or Assumed()

    def runs_per_s(self, nodes: float) -> float:
        """All slots of all nodes busy."""
        return nodes * self.constants.slots / self.assumed.statement_s

    def claim_lock_ms(self, nodes: float) -> float:
        """How long the claims of one source must hold its lock per second.

        Polls that hints and timers cause come on top, but do not add up: a node has at most one
        at a time, which serves every hint before it. When the lock is full runs wait a
        little, nodes have more slots free, and a claim takes as many runs as there are
        (`scale_claims.py` shows it).
        """
        slots = self.constants.slots
        claim_ms = self.costs.claim_ms + (slots - 1) * self.costs.claim_more_ms
        return self.runs_per_s(nodes) / slots * claim_ms

    def db_cores(self, nodes: float) -> float:
        """Cores of PostgreSQL: runs, idling, beats, hints sent to everyone, checks that find
        nothing (as many as the lock lets through)."""
        costs, runs = self.costs, self.runs_per_s(nodes)
        polls = min(runs * nodes, 1_000 / costs.empty_claim_ms)
        hints_us = runs * costs.hints_per_run * nodes * costs.hint_cpu_us_per_listener
        return (
            runs * costs.db_cpu_ms_per_run
            + nodes * costs.idle_db_cpu_ms_per_node_s
            + nodes / self.constants.heartbeat_s * costs.beat_cpu_ms
            + hints_us / 1_000
            + polls * costs.empty_claim_cpu_ms
            + runs * costs.removal_ms_per_run
        ) / 1_000

    def node_core_share(self, nodes: float) -> float:
        """The share of one core in each node that receiving all hints takes."""
        return self.runs_per_s(nodes) * self.costs.hints_per_run * self.costs.hint_received_us / 1e6

    def engine_requests(self, nodes: float) -> float:
        """Requests to one remote source without statements: every node checks whether it is up,
        one looks for orphaned work."""
        return nodes / self.constants.source_check_interval_s + 1 / self.constants.reap_interval_s

    def limits(self) -> list[ScaleLimit]:
        """Every limited resource whose load grows with the nodes."""
        costs, assumed = self.costs, self.assumed
        return [
            ScaleLimit(
                "claim lock of a source",
                "ms/s",
                self.claim_lock_ms,
                1_000,
                "more slots per node, so that a claim takes more at once; several sources",
            ),
            ScaleLimit(
                "connections",
                "",
                lambda n: n * self.constants.connections,
                assumed.db_connections,
                "nodes with one role need fewer; a pool in session mode does not help, ours are"
                " sessions; fewer, larger nodes do",
            ),
            ScaleLimit(
                "status requests to one remote source",
                "/s",
                self.engine_requests,
                assumed.engine_requests_per_s,
                "one node checks whether it is up (as one checks for orphans) and tells the others",
            ),
            ScaleLimit(
                "PostgreSQL's CPU",
                "cores",
                self.db_cores,
                assumed.db_cores,
                "hints only to nodes that wait for or hold the run (a channel per node); then a"
                " database per tenant group",
            ),
            ScaleLimit(
                "PostgreSQL's WAL",
                "B/s",
                lambda n: self.runs_per_s(n) * costs.wal_bytes_per_run,
                assumed.wal_bytes_per_s,
                "ids that sort by time (UUIDv7): fewer pages touched, fewer images of them",
            ),
            ScaleLimit(
                "requests to the bucket",
                "/s",
                lambda n: self.runs_per_s(n) * costs.s3_requests_per_run,
                assumed.s3_requests_per_s,
                "nothing: keys begin with random ids, so S3 splits the prefix by itself",
            ),
            ScaleLimit(
                "one core of every node, receiving hints",
                "cores",
                self.node_core_share,
                1.0,
                "hints only to nodes that wait for or hold the run",
            ),
        ]

    def limit_rows(self) -> Rows:
        """How full each is at 10, 100, 1,000 nodes, where it is reached, and what to do then."""
        limits = sorted(self.limits(), key=lambda limit: limit.first() or 10**9)
        return [
            [limit.name]
            + [f"{limit.load(n) / limit.capacity:.0%}" for n in NODES]
            + [f"{limit.first():,}" if limit.first() else "none below 100,000", limit.change]
            for limit in limits
        ]

    def load_rows(self) -> Rows:
        """The load of 10, 100 and 1,000 nodes with all slots busy, per second."""
        costs, k = self.costs, self.constants
        lines: list[tuple[str, Callable[[float], float]]] = [
            ("runs", self.runs_per_s),
            ("transactions for them", lambda n: self.runs_per_s(n) * costs.transactions_per_run),
            ("transactions of nodes that idle", lambda n: n * costs.idle_transactions_per_node_s),
            ("of these, polls", lambda n: n / k.poll_s),
            ("lease extensions", lambda n: n / k.heartbeat_s),
            ("hints sent", lambda n: self.runs_per_s(n) * costs.hints_per_run),
            ("hints received, all nodes", lambda n: self.runs_per_s(n) * costs.hints_per_run * n),
            ("WAL, MB", lambda n: self.runs_per_s(n) * costs.wal_bytes_per_run / 1e6),
            ("PostgreSQL's cores", self.db_cores),
            ("connections", lambda n: n * k.connections),
            ("requests to the bucket", lambda n: self.runs_per_s(n) * costs.s3_requests_per_run),
            ("status requests to a remote source", self.engine_requests),
        ]
        return [[name, *(_digits(load(n)) for n in NODES)] for name, load in lines]

    def one_node_rows(self) -> Rows:
        """The capacity of one node, whatever its database allows."""
        costs = self.costs
        return [
            ["runs/s per core, `SELECT 1`", _digits(1_000 / costs.node_cpu_ms_per_run)],
            ["runs/s with all slots busy", _digits(self.runs_per_s(1))],
            ["runs/s of PostgreSQL, per core", _digits(1_000 / costs.db_cpu_ms_per_run)],
        ]

    def kept_rows(self) -> Rows:
        """The size of 10^6, 10^8 and 10^9 stored runs."""
        costs, assumed, k = self.costs, self.assumed, self.constants
        each = costs.kept_table_bytes_per_run + costs.kept_index_bytes_per_run
        lines: list[tuple[str, Callable[[float], float]]] = [
            ("runs/s at which they come and go", lambda kept: kept / k.retention_days / DAY_S),
            ("tables, GB", lambda kept: kept * costs.kept_table_bytes_per_run / 1e9),
            ("indexes, GB", lambda kept: kept * costs.kept_index_bytes_per_run / 1e9),
            ("keys of 24 hours, GB", lambda kept: kept / k.retention_days
             * costs.key_bytes_per_run / 1e9),
            ("WAL, GB a day", lambda kept: kept / k.retention_days
             * costs.wal_bytes_per_run / 1e9),
            ("restore of a copy, hours", lambda kept: kept * each / assumed.restore_bytes_per_s
             / 3_600),
            ("requests of one sweep of the bucket", lambda kept: kept / assumed.s3_list_keys),
            ("hours that it takes (one node begins one an hour)",
             lambda kept: kept / assumed.s3_list_keys * assumed.s3_list_s / 3_600),
        ]  # fmt: skip
        return [[name, *(_digits(load(kept)) for kept in KEPT)] for name, load in lines]


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{float(f'{value:.3g}'):.10g}"
