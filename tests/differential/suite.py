"""The statements of the differential suite and the results of a real Trino.

`statements/*.sql` has whole statements, each closed by a semicolon at the end of a line.
`statements/*.expr` has one expression a line; its first line is the statement they stand in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
STATEMENTS = HERE / "statements"
RECORDED_RESULTS = HERE / "recorded"
TRINO_VERSION = "476"
TPCDS = "tpcds"


@dataclass(frozen=True, slots=True)
class Case:
    """One statement. `is_approximate`: its result is an estimate by nature."""

    group: str
    number: int
    sql: str
    is_approximate: bool = False

    @property
    def id(self) -> str:
        """What a test report calls it."""
        return f"{self.group}-{self.number}"

    @property
    def schema(self) -> str:
        """Which tables it reads: TPC-DS's, or all the others."""
        return self.group if self.group == TPCDS else "default"

    @property
    def is_ordered(self) -> bool:
        """Whether the order of its rows is part of the result."""
        depth, last = 0, ""
        for word in self.sql.replace("(", " ( ").replace(")", " ) ").upper().split():
            depth += {"(": 1, ")": -1}.get(word, 0)
            if depth == 0 and last == "ORDER" and word == "BY":
                return True
            last = word if depth == 0 else ""
        return False


@dataclass(frozen=True, slots=True)
class Recorded:
    """Trino's result: columns with their types and rows, or an error's name."""

    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    error: str = ""
    message: str = ""


def cases() -> list[Case]:
    """Every statement, in the order of files and lines."""
    found: list[Case] = []
    for path in sorted(STATEMENTS.iterdir()):
        read = _expressions if path.suffix == ".expr" else _statements
        found += [
            Case(path.stem, number, sql, approximate)
            for number, (sql, approximate) in enumerate(read(path.read_text("utf-8")), 1)
        ]
    return found


def _expressions(text: str) -> list[tuple[str, bool]]:
    frame, *lines = [line for line in text.splitlines() if line.strip()]
    return [(frame.replace("{}", line.removeprefix("~ ")), line.startswith("~ ")) for line in lines]


def _statements(text: str) -> list[tuple[str, bool]]:
    parts = [part.strip() for part in text.split(";\n") if part.strip()]
    return [(part.removeprefix("-- ~\n"), part.startswith("-- ~\n")) for part in parts]


def recorded() -> dict[str, Recorded]:
    """The recorded results by statement."""
    found: dict[str, Recorded] = {}
    for path in sorted(RECORDED_RESULTS.glob("*.json")):
        for entry in json.loads(path.read_text("utf-8")):
            columns = [(name, kind) for name, kind in entry.get("columns", [])]
            result = Recorded(columns, entry.get("rows", []), entry.get("error", ""))
            found[entry["sql"]] = result
    return found


def own_tables() -> dict[str, str]:
    """The tables of our own: name -> query in Trino's SQL."""
    return tables_in(HERE / "tables.sql")


def tables_in(path: Path) -> dict[str, str]:
    """The tables of a file: name -> query in Trino's SQL."""
    found: dict[str, str] = {}
    for block in path.read_text("utf-8").split("\n-- ")[1:]:
        name, _, query = block.partition("\n")
        found[name.strip()] = query.strip()
    return found
