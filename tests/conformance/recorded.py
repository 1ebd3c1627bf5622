"""What a real Trino 476 answered, by a digest of the statement; statements once, and kept.

They are kept beside the fetched sources, which are not committed; a fixed sample of them is
(`sample.jsonl`), without a word of the statements.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

import httpx2 as httpx

from tests.conformance.extract import Statement
from tests.conformance.fetch import CACHE
from tests.differential.suite import Recorded
from tests.differential.trino_client import TrinoClient

RECORDED = CACHE / "responses.jsonl"
MAX_ROWS = 5_000
"""A longer result is not compared: it proves no more."""
_THREADS = 4
_AT_ONCE, _BOUND_AT_ONCE = 32, 12
_BOUND = " FROM (VALUES ROW("
_CLAUSE = re.compile(
    r"(?<!\bDISTINCT )\bFROM\b|^SELECT (DISTINCT|ALL)\b|--|;|\.\*"
    r"|\b(UNNEST|UNION|INTERSECT|EXCEPT|AS|LIMIT|WHERE|GROUP|HAVING|ORDER|WINDOW|OFFSET|FETCH)\b",
    re.I,
)
_NAMED = re.compile(r"""\.[\w"]+\s*$|[^=<>*/%+\s-]\s+[\w"]+\s*$""")
"""Ends with a word that may be its name: `a = b` does not."""
_NONE = {"EXCEEDED_TIME_LIMIT", "NO_ANSWER"}
"""No response is recorded: it took too long here."""
_SESSION = "query_max_execution_time=20s"


def read_recorded(path: Path = RECORDED) -> dict[str, Recorded]:
    """The recorded responses by their statements' keys."""
    if not path.is_file():
        return {}
    found = map(_read, path.read_text("utf-8").splitlines())
    return {key: response for key, response in found if response.error not in _NONE}


def record(url: str, statements: Sequence[Statement]) -> None:
    """Ask what is not recorded yet, some at a time, and record it: a stop loses nothing."""
    known = read_recorded()
    missing = [statement for statement in statements if statement.key not in known]
    lock = Lock()
    with RECORDED.open("a", encoding="utf-8") as file, ThreadPoolExecutor(_THREADS) as threads:

        def one(statements: Sequence[Statement]) -> None:
            client = TrinoClient(url, schema="tiny", catalog="tpch", session=_SESSION)
            for key, response in _responses(client, statements):
                line = _line(key, response)
                with lock:
                    file.write(line)
                    file.flush()

        list(threads.map(one, _batches(missing)))


def _batches(statements: Sequence[Statement]) -> Iterator[Sequence[Statement]]:
    for start in range(0, len(statements), 96):
        yield statements[start : start + 96]


def _responses(
    client: TrinoClient, statements: Sequence[Statement]
) -> Iterator[tuple[str, Recorded]]:
    """Each alone, and many scalars at once: a statement costs Trino some 50 ms whatever it asks."""
    scalars = [statement for statement in statements if _is_scalar(statement)]
    alone = [statement for statement in statements if not _is_scalar(statement)]
    bound = [statement for statement in scalars if _BOUND in statement.sql]
    plain = [statement for statement in scalars if _BOUND not in statement.sql]
    for some, at_once in ((plain, _AT_ONCE), (bound, _BOUND_AT_ONCE)):
        for start in range(0, len(some), at_once):
            yield from _together(client, some[start : start + at_once])
    for statement in alone:
        yield statement.key, _response(client, statement.sql)


def _is_scalar(statement: Statement) -> bool:
    """Whether it is one value without a name of its own, and can be asked beside others."""
    expression = _outermost(statement.sql.partition(_BOUND)[0])
    is_plain = statement.kind == "functions" and expression.startswith("SELECT ")
    is_plain = is_plain and "," not in expression  # two values would be one row beside others
    return is_plain and not _CLAUSE.search(expression) and not _NAMED.search(expression)


def _outermost(sql: str) -> str:
    """A statement without texts and without what stands in brackets."""
    found, depth = [], 0
    for part in re.findall(r"'[^']*'|[()\[\]]|[^'()\[\]]+|'", sql):
        depth -= part in {")", "]"}
        if depth <= 0:
            found.append("''" if part[0] == "'" else part)
        depth += part in {"(", "["}
    return "".join(found)


def _together(
    client: TrinoClient, statements: Sequence[Statement]
) -> Iterator[tuple[str, Recorded]]:
    """As columns of one statement; without the one that is named as wrong, otherwise by halves."""
    if not statements:
        return
    if len(statements) == 1:
        yield statements[0].key, _response(client, statements[0].sql)
        return
    items = [_item(statement.sql) for statement in statements]
    found = _response(client, f"SELECT {', '.join(items)}")
    if not found.error and len(found.rows) == 1 and len(found.rows[0]) == len(statements):
        for statement, (_, kind), value in zip(
            statements, found.columns, found.rows[0], strict=True
        ):
            yield statement.key, Recorded([("_col0", kind)], [[value]])
        return
    middle = len(statements) // 2
    parts = [statements[:middle], statements[middle:]]
    if named := re.match(r"line (\d+):", found.message):
        wrong = _item_at(items, int(named[1]))
        parts = [[statements[wrong]], [*statements[:wrong], *statements[wrong + 1 :]]]
    for part in parts:
        yield from _together(client, part)


def _item(sql: str) -> str:
    """Its value among others, on lines of its own. Many subqueries take Trino long to plan."""
    if _BOUND in sql:
        return f"(\n{sql}\n)"
    return "\n" + sql.removeprefix("SELECT ") + "\n"


def _item_at(items: Sequence[str], line: int) -> int:
    """The number of the item that such a line belongs to."""
    starts = accumulate((item.count("\n") for item in items[:-1]), initial=1)
    return max(bisect_left(list(starts), line) - 1, 0)


def _response(client: TrinoClient, sql: str) -> Recorded:
    try:
        result = client.query(sql, max_rows=MAX_ROWS)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Recorded(error="NO_ANSWER", message=type(error).__name__)
    return Recorded(result.columns, result.rows, result.error, result.message)


def _line(key: str, response: Recorded) -> str:
    entry: dict[str, Any] = {"key": key, "columns": response.columns, "rows": response.rows}
    if response.error:
        entry = {
            "key": key,
            "columns": response.columns,
            "error": response.error,
            "message": response.message[:500],
        }
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _read(line: str) -> tuple[str, Recorded]:
    entry = json.loads(line)
    columns = [(name, kind) for name, kind in entry.get("columns", [])]
    rows, error = entry.get("rows", []), entry.get("error", "")
    return entry["key"], Recorded(columns, rows, error, entry.get("message", ""))
