"""Rows turned into the records of `runs/model.py`, and back, as `runs/fields.py` describes them.

Both databases have the same tables and columns, so both stores use these functions. Nothing here
knows a column's position: it is looked up by name once, when this module is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter, itemgetter
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from queryrun.db.times import from_ms, from_ms_or_none, to_ms
from queryrun.runs.fields import STORED_FIELDS, FieldKind, RunField, Table
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    AttemptRef,
    Run,
    RunEventRecord,
    RunRequest,
    Stage,
)
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome, RequestState
from queryrun.runs.state import RunEvent, RunState
from queryrun.runs.store import Usage
from queryrun.sql.parameters import Parameter

Row = tuple[Any, ...]
Values = Mapping[str, object]
"""What a statement binds, by the names of its parameters."""

ALIASES = {Table.RUNS: "r", Table.RUN_REQUESTS: "q"}
"""What the statements call the tables of a run."""

_JSON = msgspec.json.Encoder()
_PAIRS = msgspec.json.Decoder(tuple[tuple[str, str], ...])
_WORDS = msgspec.json.Decoder(tuple[str, ...])
_PARAMETERS = msgspec.json.Decoder(tuple[Parameter, ...])


LISTENER_GRACE_MS = 3000
"""How long after its delay a new run without a listener is kept: for the request to arrive."""

CANCELLABLE = frozenset({RunState.ACCEPTED, RunState.IN_PROGRESS})
"""States in which a cancel has an effect."""


def json_text(items: Sequence[object]) -> str:
    """Compact JSON, as text, for columns that hold short lists."""
    return _JSON.encode(items).decode()


def statement_bytes(request: RunRequest) -> int:
    """What is kept of the statement: its text and the values of its parameters, which are nothing
    when there are none (`[]`). The statements that remove runs subtract the same."""
    return len(request.sql.encode()) + len(_JSON.encode(request.parameters)) - len("[]")


def values_before(known: Values, names: Iterable[str]) -> Values:
    """`name_before` for each of these: a statement changes only what is still as it was read."""
    return {f"{name}_before": known[name] for name in names}


def words(text: str) -> tuple[str, ...]:
    """A list of words stored as JSON."""
    return _WORDS.decode(text)


# --- one value ------------------------------------------------------------------------------


def _decoder(field: RunField) -> Callable[[Any], Any] | None:
    """From a column's value, which is not NULL, to the record's; None when they are the same."""
    if field.choices is not None:
        return {choice.value: choice for choice in field.choices}.__getitem__
    decoders: dict[FieldKind, Callable[[Any], Any]] = {
        FieldKind.TIME: from_ms,
        FieldKind.PAIRS: _PAIRS.decode,
        FieldKind.WORDS: _WORDS.decode,
        FieldKind.PARAMETERS: _PARAMETERS.decode,
    }
    return decoders.get(field.kind)


_AS_JSON = (FieldKind.PAIRS, FieldKind.WORDS, FieldKind.PARAMETERS)


def _encoder(field: RunField) -> Callable[[Any], Any] | None:
    """From the record's value, which is not None, to the column's; None when they are the same."""
    if field.kind is FieldKind.TIME:
        return to_ms
    return json_text if field.kind in _AS_JSON else None


# --- from a row to a run --------------------------------------------------------------------

_POSITIONS = {field.attribute: position for position, field in enumerate(STORED_FIELDS, start=1)}
_DECODERS = {field.attribute: _decoder(field) for field in STORED_FIELDS}
_RUN_WIDTH = 1 + len(STORED_FIELDS)
_UPDATED_MS = _POSITIONS["updated_time"]

Make = Callable[[Row], Any]


def _maker(record: type[Any], path: str = "") -> Make:
    """A function from a row to a `record` whose attributes are stored under `path`.

    Stores mostly read runs, so positions are resolved here, once. Each row then costs one
    `itemgetter` and the conversion of the values that need one.
    """
    positions: list[int] = []
    decoders: list[tuple[int, Callable[[Any], Any]]] = []
    nested: list[tuple[int, Make]] = []
    hints = get_type_hints(record)
    for n, attribute in enumerate(field.name for field in fields(record)):
        part = _record_in(hints[attribute])
        if part is not None:
            positions.append(0)
            nested.append((n, _part_maker(part, hints[attribute], f"{path}{attribute}.")))
            continue
        positions.append(_POSITIONS[path + attribute])
        if (decode := _DECODERS[path + attribute]) is not None:
            decoders.append((n, decode))
    pick = itemgetter(*positions)

    def make(row: Row) -> Any:
        values = list(pick(row))
        for n, decode in decoders:
            if values[n] is not None:
                values[n] = decode(values[n])
        for n, make_part in nested:
            values[n] = make_part(row)
        return record(*values)

    return make


def _part_maker(part: type[Any], hint: Any, path: str) -> Make:
    """Like `_maker`; a part that may be missing is there when its first attribute is."""
    make = _maker(part, path)
    if hint is part:
        return make
    first = _POSITIONS[path + fields(part)[0].name]
    return lambda row: None if row[first] is None else make(row)


def _record_in(hint: Any) -> type[Any] | None:
    """The dataclass that the type is, or may be; None when it is a plain value."""
    if get_origin(hint) is tuple:
        return None
    candidates = get_args(hint) or (hint,)
    return next((one for one in candidates if isinstance(one, type) and is_dataclass(one)), None)


_make_run = _maker(Run)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run and the values that only the store uses."""

    seq: int
    updated_ms: int
    run: Run

    def next_ms(self, now_ms: int) -> int:
        """The time of the run's next change: now, yet always after its last change."""
        return max(now_ms, self.updated_ms + 1)


def stored_run(row: Row) -> StoredRun:
    """Read `{run_columns}`; what follows them in the row is ignored."""
    return StoredRun(row[0], row[_UPDATED_MS], _make_run(row))


# --- from a run to its columns --------------------------------------------------------------

_CREATED = tuple(field for field in STORED_FIELDS if field.set_by is None)
_CREATED_COLUMNS = tuple(field.column for field in _CREATED)
_created_attributes = attrgetter(*(field.attribute for field in _CREATED))
_CREATED_ENCODERS = tuple(
    (field.column, encode) for field in _CREATED if (encode := _encoder(field)) is not None
)


def created_columns(table: Table) -> tuple[RunField, ...]:
    """The fields of the table that are written when a run is created."""
    return tuple(field for field in _CREATED if field.table is table)


def set_columns(event: RunEvent) -> tuple[RunField, ...]:
    """The fields that the event sets, from its detail, in addition to the state."""
    return tuple(field for field in STORED_FIELDS if field.set_by is event)


def creation_values(run: Run) -> Values:
    """A new run as its columns hold it, by their names."""
    values = dict(zip(_CREATED_COLUMNS, _created_attributes(run), strict=True))
    for column, encode in _CREATED_ENCODERS:
        if values[column] is not None:
            values[column] = encode(values[column])
    return values


def event_values(event: RunEvent, detail: object) -> Values:
    """The values for `set_columns(event)`. The detail has the attributes of a run."""
    return {field.column: _value(field, detail) for field in set_columns(event)}


def _value(field: RunField, source: Any) -> object:
    """The field's value as its column holds it; None when a record on its path is missing."""
    for name in field.attribute.split("."):
        if source is None:
            return None
        source = getattr(source, name)
    encode = _encoder(field)
    return source if source is None or encode is None else encode(source)


# --- attempts, progress, events, requests ---------------------------------------------------


def attempt_of(row: Row) -> Attempt:
    """Read `expired_leases`: a run and its attempt."""
    run = stored_run(row).run
    number, node, lease_until_ms, handle, file_key = row[_RUN_WIDTH:]
    return Attempt(AttemptRef(run.id, number), run, node, from_ms(lease_until_ms), handle, file_key)


def progress_of(row: Row) -> AttemptProgress:
    """Read `progress`."""
    stage, *numbers = row
    return AttemptProgress(Stage(stage), *numbers)


PROGRESS_NAMES = ("stage", "percent", "rows", "size_bytes", "cpu_ms", "memory_bytes")


def progress_values(progress: AttemptProgress | None) -> Values:
    """Progress as columns hold it; all None when nothing is known."""
    if progress is None:
        return dict.fromkeys(PROGRESS_NAMES)
    return {
        "stage": progress.stage.value,
        "percent": progress.percent,
        "rows": progress.rows,
        "size_bytes": progress.size_bytes,
        "cpu_ms": progress.cpu_ms,
        "memory_bytes": progress.peak_memory_bytes,
    }


def ref_values(ref: AttemptRef) -> Values:
    """The parameters that identify an attempt."""
    return {"run_id": ref.run_id, "number": ref.number}


def event_record_of(run_id: str, row: Row) -> RunEventRecord:
    """Read `events`."""
    at_ms, attempt, event, state, detail = row
    return RunEventRecord(
        run_id,
        attempt,
        None if event is None else RunEvent(event),
        RunState(state),
        from_ms(at_ms),
        detail,
    )


def new_request_values(request: NewRequest) -> Values:
    """An asynchronous request as it is added."""
    return {
        "id": request.id,
        "tenant_id": request.tenant_id,
        "entity_id": request.entity_id,
        "client_id": request.client_id,
        "operation": request.operation,
        "run_id": request.run_id,
        "track_id": request.track_id,
    }


def callout_values(request: NewRequest, outcome: RequestOutcome) -> Values:
    """What callouts are told of an outcome, as it is announced."""
    return {
        "request_id": request.id,
        "tenant_id": request.tenant_id,
        "entity_id": request.entity_id,
        "client_id": request.client_id,
        "run_id": request.run_id,
        "event": f"request.{outcome.state}",
        "content": outcome.callout,
    }


def async_request_of(row: Row) -> AsyncRequest:
    """Read `async_request_by_id`."""
    request_id, tenant_id, entity_id, client_id, operation, run_id, track_id, *progress = row
    state, created_ms, completed_ms, response = progress
    finished = RequestState(state) is not RequestState.IN_PROGRESS
    return AsyncRequest(
        NewRequest(request_id, tenant_id, entity_id, client_id, operation, run_id, track_id),
        from_ms(created_ms),
        from_ms_or_none(completed_ms),
        RequestOutcome(RequestState(state), response) if finished else None,
    )


def usage_of(rows: Iterable[Row], client_id: str) -> tuple[Usage, Usage]:
    """Read `usage_of_entity`: the sum over all clients, and over this one."""
    entity, client = [0, 0, 0], [0, 0, 0]
    for of_client, *used in rows:
        for index, used_bytes in enumerate(used):
            entity[index] += used_bytes
            client[index] += used_bytes if of_client == client_id else 0
    return Usage(*entity), Usage(*client)
