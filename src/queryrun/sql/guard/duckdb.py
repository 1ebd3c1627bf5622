"""The guard checks whether a statement may become a run. It runs in a process of its own.

DuckDB's parser decides for DuckDB's SQL, never a pattern of ours. Importing this module imports
DuckDB, which takes 100 ms and 50 MB. A statement of maximum size takes seconds: the caller sets the
time limit, and treats a guard process that dies as a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import duckdb

from queryrun.sql.guard.policy import objection_to
from queryrun.sql.guard.tree import NotSerializableError, read_tree
from queryrun.sql.guard.trino import check_trino
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS, Refusal, Verdict
from queryrun.sql.nesting import TOO_DEEP, too_deep_at
from queryrun.sql.parameters import Parameter
from queryrun.sql.position import SourcePosition, position_after

_BAD_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TOO_DEEP_FOR_DUCKDB = "Max expression depth limit"
_connections: list[duckdb.DuckDBPyConnection] = []


def check_statement(
    statement: str, guard: str = "duckdb", parameters: Sequence[Parameter] = ()
) -> Verdict:
    """Whether one statement may run, and as what text. `guard`: a `GuardName`.

    For `session` only the text is checked here: the engine's session judges the statement
    (as `engines/spark/guard.py` does), and the run fails.

    A statement that does not parse is accepted (contract H8): its run fails with the engine's
    message, line and column. An accepted statement is one SELECT according to DuckDB's tree, and
    may still name tables and columns that do not exist. This check gives early, clear refusals; the
    session's sandbox is what protects data. `parameters` are for Trino's SQL alone.
    """
    refused = _check_text(statement)
    if refused:
        return refused
    return _GUARDS[guard](statement, parameters)


def one_statement(statement: str) -> str:
    """The statement without surrounding semicolons and comments.

    Its positions are those of the text as submitted. The text must parse as one statement.
    """
    tokens = [(at, kind.name) for at, kind in duckdb.tokenize(statement)]
    data = bytearray(statement.encode())
    words = [at for at, kind in tokens if kind != "comment" and data[at : at + 1] != b";"]
    if not words:
        return ""
    _blank_leading_semicolons(data, tokens, words[0])
    return data[: _end_of(tokens, words[-1], len(data))].decode().rstrip()


def _too_deep_at(statement: str) -> int | None:
    """By DuckDB's own tokens, whose offsets are bytes."""
    data = statement.encode()
    tokens = duckdb.tokenize(statement)
    return too_deep_at((at, chr(data[at])) for at, kind in tokens if kind.name == "operator")


def _check_text(statement: str) -> Verdict | None:
    """Before any parser: control characters and surrogates break logs, databases and parsers."""
    if len(statement) > MAX_STATEMENT_CHARS:
        return _refused(
            Refusal.TOO_LONG, f"The statement is longer than {MAX_STATEMENT_CHARS} characters"
        )
    bad = _BAD_CHARACTER.search(statement)
    if bad:
        position = position_after(statement[: bad.start()].encode(errors="replace"))
        return _refused(
            Refusal.BAD_CHARACTER,
            f"The statement has a character that is not text: U+{ord(bad.group()):04X}",
            position,
        )
    if not statement.strip():
        return _refused(Refusal.BLANK, "The statement is blank")
    return None


def _check_statements(statement: str) -> Verdict:
    if (at := _too_deep_at(statement)) is not None:
        return _refused(Refusal.TOO_COMPLEX, TOO_DEEP, position_after(statement.encode()[:at]))
    connection = _connection()  # outside of `try`: a guard that cannot parse must not accept
    try:
        parsed = connection.extract_statements(statement)
    except duckdb.Error as error:
        return _unparsable(statement, str(error))
    if not parsed:
        return _refused(Refusal.BLANK, "The statement is blank")
    if len(parsed) > 1:
        return _refused(Refusal.SEVERAL_STATEMENTS, "Only one statement is allowed")
    if parsed[0].type is not duckdb.StatementType.SELECT:
        return _not_a_query(parsed[0].type)
    return _check_tree(one_statement(statement))


def _check_tree(statement: str) -> Verdict:
    """A tree that DuckDB cannot serialize cannot be checked, so its statement is refused."""
    try:
        objection = objection_to(read_tree(_connection(), statement))
    except NotSerializableError:
        return _refused(Refusal.NOT_ALLOWED, "This kind of statement is not supported")
    if objection is None or objection.is_unknown:
        return Verdict(statement)
    refusal = Refusal.NOT_READ_ONLY if objection.writes else Refusal.NOT_ALLOWED
    data = statement.encode()
    position = None if objection.offset is None else position_after(data[: objection.offset])
    return _refused(refusal, objection.message, position)


def _unparsable(statement: str, error: str) -> Verdict:
    if _TOO_DEEP_FOR_DUCKDB in error:
        return _refused(Refusal.TOO_COMPLEX, TOO_DEEP)
    return Verdict(statement)


def _not_a_query(kind: duckdb.StatementType) -> Verdict:
    """PIVOT parses as several statements, of which none is the user's: it gets no kind's name."""
    if kind is duckdb.StatementType.MULTI:
        return _refused(Refusal.NOT_ALLOWED, "This kind of statement is not supported")
    name = kind.name.replace("_", " ")
    return _refused(
        Refusal.NOT_READ_ONLY,
        f"Only SELECT, SHOW and DESCRIBE statements are allowed, not {name}",
    )


def _refused(refusal: Refusal, message: str, position: SourcePosition | None = None) -> Verdict:
    line, column = (position.line, position.column) if position else (None, None)
    return Verdict("", refusal, message, line, column)


def _blank_leading_semicolons(data: bytearray, tokens: list[tuple[int, str]], first: int) -> None:
    for at, kind in tokens:
        if at < first and kind != "comment":
            data[at : at + 1] = b" "


def _end_of(tokens: list[tuple[int, str]], last_word: int, end: int) -> int:
    """The offset of what follows the last word: a semicolon, a comment, or the end."""
    return next((at for at, _ in tokens if at > last_word), end)


def _connection() -> duckdb.DuckDBPyConnection:
    """One connection per process, without access to files or the network: it only parses."""
    if not _connections:
        connection = duckdb.connect(
            ":memory:", config={"threads": 1, "autoload_known_extensions": "false"}
        )
        connection.execute("SET enable_external_access=false; SET lock_configuration=true")
        _connections.append(connection)
    return _connections[0]


_NATIVE = "Parameters are for sources that speak Trino's SQL; this one has its engine's own dialect"


def _unbound(check: Callable[[str], Verdict]) -> Callable[[str, Sequence[Parameter]], Verdict]:
    """A guard of a dialect into which nothing of ours can bind values."""

    def checked(statement: str, parameters: Sequence[Parameter]) -> Verdict:
        return _refused(Refusal.BAD_PARAMETERS, _NATIVE) if parameters else check(statement)

    return checked


_GUARDS: dict[str, Callable[[str, Sequence[Parameter]], Verdict]] = {
    "trino": check_trino,
    "duckdb": _unbound(_check_statements),
    "session": _unbound(Verdict),
}
