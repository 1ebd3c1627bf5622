"""What a real Trino 476 answered, by a digest of the statement; asked once, and kept.

The answers are kept beside the fetched sources, which are not committed; a fixed sample of them is
(`sample.json`), without a word of the statements.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import httpx2 as httpx

from tests.conformance.extract import Statement
from tests.conformance.fetch import CACHE
from tests.differential.suite import Recorded
from tests.differential.trino_client import TrinoClient

RECORDED = CACHE / "answers.jsonl"
MAX_ROWS = 5_000
"""A longer result is not compared: it proves no more."""
_THREADS = 4


def read_answers(path: Path = RECORDED) -> dict[str, Recorded]:
    """The recorded answers by their statements' keys."""
    if not path.is_file():
        return {}
    return dict(map(_read, path.read_text("utf-8").splitlines()))


def ask(url: str, asked: Sequence[Statement]) -> None:
    """Ask what is not recorded yet, some at a time, and record it: a stop loses nothing."""
    known = read_answers()
    missing = [statement for statement in asked if statement.key not in known]
    lock = Lock()
    with RECORDED.open("a", encoding="utf-8") as file, ThreadPoolExecutor(_THREADS) as threads:

        def one(statements: Sequence[Statement]) -> None:
            client = TrinoClient(url, schema="tiny", catalog="tpch")
            for statement in statements:
                line = _line(statement.key, _answer(client, statement.sql))
                with lock:
                    file.write(line)
                    file.flush()

        list(threads.map(one, _batches(missing)))


def _batches(statements: Sequence[Statement]) -> Iterator[Sequence[Statement]]:
    for start in range(0, len(statements), 50):
        yield statements[start : start + 50]


def _answer(client: TrinoClient, sql: str) -> Recorded:
    try:
        result = client.query(sql, max_rows=MAX_ROWS)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Recorded(error=f"NO_ANSWER {type(error).__name__}")
    return Recorded(result.columns, result.rows, result.error)


def _line(key: str, answer: Recorded) -> str:
    entry: dict[str, Any] = {"key": key, "columns": answer.columns, "rows": answer.rows}
    if answer.error:
        entry = {"key": key, "error": answer.error}
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _read(line: str) -> tuple[str, Recorded]:
    entry = json.loads(line)
    columns = [(name, kind) for name, kind in entry.get("columns", [])]
    return entry["key"], Recorded(columns, entry.get("rows", []), entry.get("error", ""))
