"""Tables of edge values, the same for a real Trino and for us, for generated expressions."""

from __future__ import annotations

import random
from pathlib import Path

from tests.conformance.fetch import CACHE
from tests.differential.engine_harness import open_one, write_rows
from tests.differential.trino_client import TrinoClient

EDGES: dict[str, tuple[str, ...]] = {
    "boolean": ("true", "false", "NULL"),
    "tinyint": ("0", "1", "-1", "127", "-128", "NULL", "7"),
    "smallint": ("0", "-3", "32767", "-32768", "NULL", "12"),
    "integer": ("0", "1", "-7", "2147483647", "-2147483648", "NULL", "100", "3"),
    "bigint": ("0", "2", "-1", "9223372036854775807", "-9223372036854775808", "NULL", "5", "64"),
    "real": ("0", "-1.5", "3.4028235e38", "nan()", "infinity()", "NULL", "0.1", "2.5"),
    "double": (
        "0e0", "-0e0", "1.115e0", "-2.5e0", "1e308", "nan()", "infinity()", "-infinity()", "NULL",
        "1234567890.0e0", "0.5e0",
    ),
    "decimal(5,2)": ("0", "-1.25", "999.99", "-999.99", "NULL", "0.05", "2.50"),
    "decimal(18,6)": ("0", "123456789012.345678", "-0.000001", "NULL", "1.115", "7.5"),
    "decimal(38,10)": ("0", "1234567890123456789012345678.9", "-1e-10", "NULL", "2.5", "-3"),
    "varchar": ("''", "'a'", "'Äß ü'", "'12'", "' 1.5 '", "'2020-02-29'", "NULL", "'a,b,,c'"),
    "varbinary": ("X''", "X'00ff'", "to_utf8('abc')", "NULL"),
    "date": (
        "DATE '2020-02-29'", "DATE '1969-12-31'", "DATE '0001-01-01'", "DATE '9999-12-31'", "NULL",
        "DATE '2021-03-28'",
    ),
    "timestamp(3)": (
        "TIMESTAMP '2020-02-29 23:59:59.999'", "TIMESTAMP '1969-12-31 12:00:00.500'", "NULL",
        "TIMESTAMP '2021-03-28 02:30:00'", "TIMESTAMP '1600-01-01 00:00:00.001'",
    ),
    "timestamp(6)": (
        "TIMESTAMP '2020-02-29 23:59:59.999999'", "TIMESTAMP '1970-01-01 00:00:00.000001'", "NULL",
    ),
    "time(3)": ("TIME '00:00:00'", "TIME '23:59:59.999'", "NULL"),
    "array(bigint)": ("ARRAY[]", "ARRAY[1,2,3]", "ARRAY[3,NULL,1,3]", "NULL", "ARRAY[-1]"),
    "array(varchar)": ("ARRAY['a','b']", "ARRAY[NULL,'','a']", "NULL", "ARRAY[]"),
    "array(double)": ("ARRAY[1e0,nan(),NULL]", "ARRAY[2.5e0,-1e0]", "NULL"),
    "map(varchar,bigint)": ("MAP(ARRAY['a','b'],ARRAY[1,NULL])", "MAP()", "NULL"),
    "timestamp(3) with time zone": (
        "TIMESTAMP '2021-03-28 01:30:00.000 UTC'", "TIMESTAMP '1969-12-31 23:59:59.999 UTC'",
        "TIMESTAMP '2021-11-07 06:15:00.250 UTC'", "TIMESTAMP '2020-02-29 12:00:00.000 UTC'",
        "NULL",
    ),
    "char(5)": ("'ab'", "'äbcde'", "''", "NULL", "' a'"),
    "json": (
        """JSON '{"a": [1, 2.5, null], "b": {"c": "x"}}'""", """JSON '[1, "2", true]'""",
        "JSON '1e3'", "JSON 'null'", """JSON '"t"'""", "NULL",
    ),
    "row(x bigint,y varchar)": ("ROW(1, 'a')", "ROW(NULL, 'b')", "ROW(-5, NULL)", "NULL"),
    "interval day to second": (
        "INTERVAL '1' DAY", "INTERVAL '-3:05:06.789' HOUR TO SECOND", "INTERVAL '0' SECOND", "NULL",
    ),
    "interval year to month": ("INTERVAL '14' MONTH", "INTERVAL '-1' YEAR", "NULL"),
}  # fmt: skip
TABLES = 8
"""How many tables there are: the same values beside others."""
ROWS = 24
_DIRECTORY = CACHE / "edges"
_STORED_AS = {
    "timestamp(3) with time zone": "timestamp(3)",
    "json": "varchar",
    "char(5)": "varchar",
    "interval day to second": "varchar",
    "interval year to month": "varchar",
}
"""Types that a file does not have as they are, and what such a column is stored as."""
_ZONE = "America/New_York"


def column(kind: str) -> str:
    """The name of the tables' column of this type."""
    return "c_" + "".join(ch if ch.isalnum() else "_" for ch in kind).strip("_")


def name_of(number: int) -> str:
    """What one of the tables is called."""
    return f"edges_{number}"


def head(number: int) -> str:
    """A query named `t` over one of the tables, with every column of its own type."""
    items = ", ".join(f"{_read(kind)} AS {column(kind)}" for kind in EDGES)
    return f"WITH t AS (SELECT id, g, h, {items} FROM {name_of(number)})"


def _read(kind: str) -> str:
    """A column as its type. Intervals are made of numbers, and moments get a zone of their own."""
    name = column(kind)
    match kind:
        case "json":
            return f"json_parse({name})"
        case "timestamp(3) with time zone":
            return f"at_timezone(CAST({name} AS {kind}), '{_ZONE}')"
        case "interval day to second":
            return f"(INTERVAL '0.001' SECOND * CAST({name} AS bigint))"
        case "interval year to month":
            return f"(INTERVAL '1' MONTH * CAST({name} AS bigint))"
    return f"CAST({name} AS {kind})"


def _stored(kind: str, value: str) -> str:
    """A value as it is stored."""
    if value == "NULL":
        return f"CAST(NULL AS {_STORED_AS.get(kind, kind)})"
    match kind:
        case "json":
            return f"json_format({value})"
        case "interval day to second":
            return f"CAST(to_milliseconds({value}) AS varchar)"
        case "interval year to month":
            return f"CAST(12 * extract(YEAR FROM {value}) + extract(MONTH FROM {value}) AS varchar)"
    return f"CAST({value} AS {_STORED_AS.get(kind, kind)})"


def query(number: int) -> str:
    """The rows of one of the tables, each column in an order of its own."""
    dice = random.Random(f"edges {number}")  # noqa: S311 - the same everywhere, no secret
    cells = {kind: [dice.choice(values) for _ in range(ROWS)] for kind, values in EDGES.items()}
    rows = (
        f"SELECT {n} AS id, {n % 3} AS g, {n % 2} AS h, "
        + ", ".join(f"{_stored(kind, cells[kind][n])} AS {column(kind)}" for kind in EDGES)
        for n in range(ROWS)
    )
    return " UNION ALL ".join(rows)


def create_tables(client: TrinoClient) -> None:
    """The tables, in the schema that the client is in, unless they are there."""
    for number in range(TABLES):
        client.run_command(f"CREATE TABLE IF NOT EXISTS {name_of(number)} AS {query(number)}")


def write_tables() -> Path:
    """The tables as files, unless they are there."""
    if not _DIRECTORY.is_dir():
        made = _DIRECTORY.with_name("edges.new")
        (made / "empty").mkdir(parents=True, exist_ok=True)
        session = open_one(made / "empty", made / "spill")
        for number in range(TABLES):
            write_rows(session, query(number), made / f"{name_of(number)}.parquet")
        session.close()
        made.rename(_DIRECTORY)
    return _DIRECTORY
