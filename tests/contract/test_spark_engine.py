"""Spark keeps the Engine's contract, in its own SQL and in Trino's, on a cluster of two workers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from queryrun.engines.base import (
    EngineLimits,
    EngineSession,
    RemoteEndpoint,
    RowFilter,
    Rows,
    work_name,
)
from queryrun.engines.spark.remote import SparkRemote
from queryrun.engines.spark.session import SparkSession, open_session
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.results.formats import ContentType
from queryrun.results.local import LocalResultStore
from queryrun.results.request import WriteRequest
from queryrun.results.write import write_result
from queryrun.sql.trino.markers import Value
from tests.contract.engine import EngineContract, Statements
from tests.contract.parameters import ParameterContract
from tests.contract.relayed import relayed_session
from tests.retrying_remote import RetryingRemote
from tests.spark_server import SparkServer, sql

pytestmark = pytest.mark.xdist_group("spark_server")

SPARK = RetryingRemote(SparkRemote())
SCHEMA = f"contract_{uuid.uuid4().hex[:8]}"
STRANGER = f"{SCHEMA}_stranger"
ENDLESS = (
    "SELECT count(*) FROM range(10000000) a CROSS JOIN range(10000000) b WHERE a.id * b.id = 3"
)
ALL_TYPES = """
SELECT timestamp_ntz '2024-01-02 03:04:05.678901' AS plain,
  timestamp '2024-07-01 00:00:00' AS moment, CAST(1.5 AS DECIMAL(38, 10)) AS exact,
  X'00ff' AS bytes, map('a', 1) AS pairs, array(date '2024-01-01') AS list,
  named_struct('x', 1, 'y', 'z') AS parts, CAST(1 AS TINYINT) AS tiny, interval '1' day AS length,
  NULL AS nothing, CAST('a' AS CHAR(3)) AS text, CAST(0.5 AS FLOAT) AS half
"""


@pytest.fixture(scope="module")
def tables(spark_server: SparkServer) -> SparkServer:
    """A schema with a table `account`, one that marks its deleted rows, and a stranger's."""
    sql(
        spark_server,
        f"CREATE SCHEMA {SCHEMA}",
        f"CREATE TABLE {SCHEMA}.account USING parquet AS SELECT * FROM VALUES (1), (2), (3) t(id)",
        f"CREATE TABLE {SCHEMA}.marked USING parquet AS "
        "SELECT id, id = 2 AS deleted, concat('o', id % 2) AS org FROM range(1, 4)",
        f"CREATE SCHEMA {STRANGER}",
        f"CREATE TABLE {STRANGER}.account USING parquet AS SELECT 42 AS id",
    )
    return spark_server


@pytest.fixture
def options(tables: SparkServer) -> dict[str, str]:
    """The engine's options of a source over that schema."""
    return {"url": tables.url, "ui_url": tables.ui_url, "schema": SCHEMA, "user": "ann"}


@pytest.fixture
def limits(tmp_path: Path) -> EngineLimits:
    """Enough for the encoder."""
    spill = tmp_path / "spill"
    spill.mkdir()
    return EngineLimits(256 * 1024**2, 2, str(spill), 64 * 1024**2)


@pytest.fixture
def session(options: dict[str, str], limits: EngineLimits) -> Iterator[SparkSession]:
    """A session as a worker has it, closed after the test. What runs on in Spark is then stopped as
    a node does it: a worker cannot reach Spark's UI."""
    session = RememberingSession(relayed_session("spark", options, limits))
    yield cast("SparkSession", session)
    session.close()
    endpoint = RemoteEndpoint(options)
    for name in session.interrupted | (set(session.names) & set(SPARK.names(endpoint))):
        SPARK.stop(endpoint, name)


class RememberingSession:
    """A session, and the names under which its statements have started."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session
        self.names: list[str] = []
        self.interrupted: set[str] = set()
        """Spark may yet submit a job of theirs, which nobody sees now and which would take all of
        its processors from the other tests."""

    def interrupt(self) -> None:
        """End what runs."""
        self.interrupted.update(self.names)
        self._session.interrupt()

    def plan(
        self,
        statement: str,
        row_filter: RowFilter | None = None,
        name: str = "",
        values: Sequence[Value] = (),
    ) -> Rows:
        """Under a name of its own where none is given."""
        name = name or work_name(uuid.uuid4().hex, 1)
        self.names.append(name)
        return self._session.plan(statement, row_filter, name, values)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._session, attribute)


def rows(session: SparkSession, statement: str, row_filter: RowFilter | None = None) -> list[Any]:
    """All rows of a statement."""
    planned = session.plan(statement, row_filter)
    return planned.connection.execute(f"FROM (\n{planned.relation}\n)").fetchall()


def failure(session: SparkSession, statement: str, row_filter: RowFilter | None = None) -> Failure:
    """Why a statement is refused before it has rows."""
    with pytest.raises(RunFailed) as failed:
        session.plan(statement, row_filter)
    return failed.value.failure


class TestSpark(EngineContract):
    """In Spark's own SQL."""

    @pytest.fixture
    def statements(self) -> Statements:
        """Spark's words."""
        return Statements(
            endless=ENDLESS, bad_cast="SELECT id,\n CAST('v' || id AS INT) FROM account"
        )

    def test_values_arrive_as_spark_has_them(
        self, options: dict[str, str], limits: EngineLimits
    ) -> None:
        session = open_session(options, limits, "Europe/Berlin")
        planned = session.plan(ALL_TYPES)
        assert [column.type for column in planned.columns] == [
            "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DECIMAL(38,10)", "BLOB",
            "MAP(VARCHAR, INTEGER)", "DATE[]", "STRUCT(x INTEGER, y VARCHAR)", "TINYINT",
            "INTERVAL", '"NULL"', "VARCHAR", "FLOAT",
        ]  # fmt: skip
        texts = ", ".join(f'CAST("{column.name}" AS VARCHAR)' for column in planned.columns)
        found = planned.connection.execute(f"SELECT {texts} FROM ({planned.relation})").fetchone()
        assert found == (
            "2024-01-02 03:04:05.678901", "2024-07-01 00:00:00+02", "1.5000000000", r"\x00\xFF",
            "{a=1}", "[2024-01-01]", "{'x': 1, 'y': z}", "1", "24:00:00", None, "a", "0.5",
        )  # fmt: skip
        session.close()

    @pytest.mark.parametrize("value", ["parse_json('{}')", "interval '1' month"])
    def test_a_type_that_cannot_be_written_is_refused(
        self, session: SparkSession, value: str
    ) -> None:
        refused = failure(session, f"SELECT {value} AS odd")
        assert refused.code is FailureCode.NOT_SUPPORTED
        assert refused.message.startswith("Column 'odd' has the type")

    def test_two_columns_may_have_one_name(self, session: SparkSession) -> None:
        assert rows(session, "SELECT 1 AS a, 2 AS a") == [(1, 2)]

    def test_no_rows_are_a_result_too(self, session: SparkSession) -> None:
        assert rows(session, "SELECT id FROM account WHERE id > 9") == []

    def test_an_order_is_preserved(self, session: SparkSession) -> None:
        found = rows(session, "SELECT id FROM range(100000) ORDER BY id DESC")
        assert found == [(number,) for number in reversed(range(100_000))]

    def test_its_tables_can_be_listed(self, session: SparkSession) -> None:
        assert [name for _, name, _ in rows(session, "SHOW TABLES")] == ["account", "marked"]
        session.renew()
        assert rows(session, "DESCRIBE account") == [("id", "int", None)]

    @pytest.mark.parametrize(
        "statement",
        [
            "DROP TABLE account",
            "SELECT 1; DROP TABLE account",
            "SELECT 1) x; DROP TABLE account",
            "CREATE TEMPORARY VIEW v AS SELECT 1",
            "SET spark.sql.ansi.enabled = false",
            "WITH x AS (SELECT 4 AS id) INSERT INTO account SELECT * FROM x",
            "SELECT reflect('java.lang.System', 'exit', 3)",
            "SELECT `java_method` /* */ ('java.lang.System', 'getenv')",
            "SELECT TRANSFORM (id) USING 'cat' FROM account",
            "SELECT * FROM STRANGER.account",
            "SELECT * FROM IDENTIFIER('STRANGER.account')",
            "WITH x AS (TABLE STRANGER.account) SELECT * FROM x",
            "SELECT _metadata FROM account",
            "SHOW TABLES IN STRANGER",
            "DESCRIBE EXTENDED account",
        ],
    )
    def test_what_is_no_query_over_its_own_tables_is_refused(
        self, session: SparkSession, statement: str
    ) -> None:
        assert failure(session, statement.replace("STRANGER", STRANGER)).code in {
            FailureCode.NOT_ALLOWED,
            FailureCode.NOT_SUPPORTED,
            FailureCode.SYNTAX_ERROR,
        }
        session.renew()
        assert len(rows(session, "SELECT id FROM account")) == 3

    def test_a_path_is_no_table(self, session: SparkSession, tmp_path: Path) -> None:
        refused = failure(session, f"SELECT * FROM parquet.`{tmp_path}`")
        assert refused.code is FailureCode.NOT_ALLOWED

    def test_a_syntax_error_has_its_position(self, session: SparkSession) -> None:
        refused = failure(session, "SELECT 1\nFORM account x y")
        assert refused.code is FailureCode.SYNTAX_ERROR
        assert refused.line == 2

    def test_a_query_that_would_leave_its_parentheses_is_refused(
        self, session: SparkSession
    ) -> None:
        refused = failure(session, "SELECT 1) UNION ALL (SELECT 2")
        assert refused.code is FailureCode.NOT_SUPPORTED

    @pytest.mark.parametrize(
        ("row_filter", "ids"),
        [
            (RowFilter(), [1, 3]),
            (RowFilter("only"), [2]),
            (RowFilter("include"), [1, 2, 3]),
            (RowFilter("include", "ORG", ("o1", "o'\\")), [1, 3]),
            (RowFilter("exclude", "org", ("o0",)), []),
        ],
    )
    def test_only_visible_rows_are_seen(
        self, session: SparkSession, row_filter: RowFilter, ids: list[int]
    ) -> None:
        found = rows(session, "SELECT id FROM Marked ORDER BY id", row_filter)
        assert [number for (number,) in found] == ids

    def test_nothing_of_the_callers_is_evaluated_on_rows_of_other_orgs(
        self, session: SparkSession
    ) -> None:
        by_org = RowFilter("include", "org", ("o1",))
        predicate = "1 / (CASE org WHEN 'o1' THEN 1 ELSE 0 END) = 1"
        found = rows(session, f"SELECT id FROM marked WHERE {predicate} ORDER BY id", by_org)
        assert found == [(1,), (3,)]

    def test_a_qualified_name_does_not_bypass_the_org(self, session: SparkSession) -> None:
        by_org = RowFilter("include", "org", ("o1",))
        refused = failure(session, f"SELECT id FROM {SCHEMA}.marked", by_org)
        assert refused.code is FailureCode.NOT_ALLOWED

    def test_an_unknown_time_zone_is_refused(
        self, options: dict[str, str], limits: EngineLimits
    ) -> None:
        with pytest.raises(RunFailed, match="invalid_value"):
            open_session(options, limits, "Mars/Olympus")

    def test_an_unreachable_server_is_retryable(
        self, options: dict[str, str], limits: EngineLimits
    ) -> None:
        session = open_session({**options, "url": "sc://127.0.0.1:1"}, limits)
        refused = failure(session, "SELECT 1")
        assert refused.code is FailureCode.ENGINE_UNAVAILABLE
        assert refused.code.retryable
        session.close()

    def test_a_result_becomes_a_file(self, session: SparkSession, tmp_path: Path) -> None:
        (tmp_path / "results").mkdir()
        store = LocalResultStore(tmp_path / "results")
        job = WriteRequest(
            "SELECT id, 'x' AS note FROM account ORDER BY id", "one.csv", ContentType.CSV
        )
        written = write_result(session, job, store, _Silent())
        assert written.rows == 3
        (file,) = (path for path in (tmp_path / "results").rglob("*") if path.is_file())
        assert file.read_text() == "id,note\n1,x\n2,x\n3,x\n"


class TestSparkInTrinosSql(ParameterContract, EngineContract):
    """The same in the SQL that every source speaks, unless it is set otherwise."""

    @pytest.fixture
    def options(self, tables: SparkServer) -> dict[str, str]:
        """As above, in Trino's dialect."""
        endpoint = {"url": tables.url, "ui_url": tables.ui_url, "user": "ann"}
        return {**endpoint, "schema": SCHEMA, "dialect": "trino"}

    @pytest.fixture
    def statements(self) -> Statements:
        """Trino's words."""
        numbers = "UNNEST(sequence(1, 10000))"
        endless = ", ".join(f"{numbers} AS t{n}(x{n})" for n in range(5))
        return Statements(
            endless=f"SELECT count(*) FROM {endless} WHERE x0 * x1 * x2 * x3 = x4",
            bad_cast="SELECT id,\n CAST('v' || CAST(id AS varchar) AS integer) FROM account",
        )

    def test_an_error_while_it_runs_is_translated(
        self, session: EngineSession, statements: Statements
    ) -> None:
        """Without a position: Spark reports one in the translation, which is another text."""
        planned = session.plan(statements.bad_cast)
        with pytest.raises(Exception, match="arrow_rows") as raised:
            planned.connection.execute(f"FROM ({planned.relation})").fetchall()
        failed = session.failure_of(raised.value)
        assert isinstance(failed, RunFailed)
        assert failed.failure.code is FailureCode.INVALID_VALUE

    @pytest.mark.parametrize("divided", ["1/0", "1%0", "mod(1, 0)", "1.5/0"])
    def test_a_division_by_zero_has_trinos_words_and_its_position(
        self, session: EngineSession, divided: str
    ) -> None:
        planned = session.plan(f"SELECT 1 AS a,\n  {divided} AS b")
        with pytest.raises(Exception, match="arrow_rows") as raised:
            planned.connection.execute(f"FROM ({planned.relation})").fetchall()
        failed = session.failure_of(raised.value)
        assert isinstance(failed, RunFailed)
        assert failed.failure.message == "Division by zero"
        assert failed.failure.line == 2

    @pytest.mark.parametrize(
        ("row_filter", "ids"),
        [
            (RowFilter(), [1, 3]),
            (RowFilter("only"), [2]),
            (RowFilter("include"), [1, 2, 3]),
            (RowFilter("include", "org", ("o1",)), [1, 3]),
        ],
    )
    def test_only_visible_rows_are_seen(
        self, session: SparkSession, row_filter: RowFilter, ids: list[int]
    ) -> None:
        found = rows(session, "SELECT id FROM marked ORDER BY id", row_filter)
        assert [number for (number,) in found] == ids

    def test_nothing_of_the_callers_is_evaluated_on_rows_of_other_orgs(
        self, session: SparkSession
    ) -> None:
        by_org = RowFilter("include", "org", ("o1",))
        predicate = "1 / (CASE org WHEN 'o1' THEN 1 ELSE 0 END) = 1"
        found = rows(session, f"SELECT id FROM marked WHERE {predicate} ORDER BY id", by_org)
        assert found == [(1,), (3,)]

    def test_its_tables_can_be_listed(self, session: SparkSession) -> None:
        assert rows(session, "SHOW TABLES") == [("account",), ("marked",)]

    def test_a_limit_of_spark_is_not_reported_as_the_statements_mistake(
        self, session: SparkSession
    ) -> None:
        """Trino orders by such a subquery; Spark does not find the outer column in it."""
        inner = "SELECT max(m.id) FROM marked m WHERE m.id < account.id"
        refused = failure(session, f"SELECT id FROM account ORDER BY ({inner})")
        assert refused.code is FailureCode.NOT_SUPPORTED
        assert refused.message.startswith("Spark cannot run this statement: column 'id' cannot")

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT id, count(*) FROM account",
            "SELECT id FROM account WHERE count(*) > 1",
            "SELECT sum(count(*)) FROM account GROUP BY id",
            "SELECT id FROM account WHERE rank() OVER (ORDER BY id) > 1",
        ],
    )
    def test_rules_of_grouping_are_the_statements_own(
        self, session: SparkSession, statement: str
    ) -> None:
        """Which are Spark's to check, also for statements in Trino's SQL."""
        assert failure(session, statement).code is FailureCode.TYPE_MISMATCH

    def test_names_that_mean_nothing_have_their_position(self, session: SparkSession) -> None:
        """They are found before Spark gets the statement."""
        refused = failure(session, "SELECT id,\n nothing FROM account")
        assert refused.code is FailureCode.NAME_NOT_FOUND
        assert (refused.line, refused.column) == (2, 2)


class _Silent:
    """A report that is ignored."""

    def stage(self, stage: str) -> None:
        """Ignored."""

    def written(self, rows: int, size_bytes: int) -> None:
        """Ignored."""
