"""The guard for Trino's SQL: what is refused before there is a run. Parses, and no more.

An allow-list by nature: the parser knows no statement that writes, and the translator no function
and no construct but those it has a form for. What it cannot read becomes a run that fails with
line and column (contract H8), unless it is plain that another kind of statement was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile.reading import read
from queryrun.sql.guard.verdict import BEYOND_THE_CONTRACT, Refusal, Verdict
from queryrun.sql.nesting import TOO_DEEP
from queryrun.sql.parameters import Parameter
from queryrun.sql.trino.grammar.queries import ONE_ALONE
from queryrun.sql.trino.immediate import opened
from queryrun.sql.trino.markers import ParameterMismatchError, Value, values_of
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import Token, statements_in, tokens_of

_OTHER_KINDS = frozenset(
    [
        "ALTER", "ANALYZE", "CALL", "CHECKPOINT", "COMMENT", "COMMIT", "COPY", "CREATE",
        "DEALLOCATE", "DELETE", "DENY", "DROP", "EXECUTE", "EXPORT", "GRANT", "IMPORT",
        "INSERT", "INSTALL", "LOAD", "MERGE", "PREPARE", "REFRESH", "RESET", "REVOKE", "ROLLBACK",
        "SET", "START", "TRUNCATE", "UPDATE", "USE", "ATTACH", "DETACH", "PRAGMA", "VACUUM",
    ]
)  # fmt: skip

_ABOUT_SESSIONS = {"roles", "role", "current", "grants"}


def check_trino(statement: str, parameters: Sequence[Parameter] = ()) -> Verdict:
    """Whether a statement in Trino's SQL may become a run. For a text that is not blank."""
    try:
        found = opened(statement, values_of(parameters))
    except ParameterMismatchError as mismatch:
        return _bad_parameters(mismatch)
    except RunFailed as failed:
        if failed.failure.code is FailureCode.NOT_ALLOWED:
            return Verdict("", Refusal.SEVERAL_STATEMENTS, failed.failure.message)
        return _too_deep(failed) or Verdict(statement)
    verdict = _check(found.text, found.values)
    if verdict.line is None or verdict.column is None:
        return verdict
    line, column = found.position(verdict.line, verdict.column)
    return replace(verdict, line=line, column=column)


def _check(statement: str, values: Sequence[Value]) -> Verdict:
    try:
        tokens = tokens_of(statement)
    except RunFailed as failed:
        return _too_deep(failed) or Verdict(statement)
    if statements_in(tokens) == 0:
        return Verdict("", Refusal.BLANK, "The statement is blank")
    has_functions = any(tokens[n].text == "FUNCTION" for n in range(1, min(4, len(tokens))))
    if not has_functions and statements_in(tokens) > 1:
        return Verdict("", Refusal.SEVERAL_STATEMENTS, ONE_ALONE)
    first = next(token for token in tokens if token.text not in {";", "("})
    if first.kind == "word" and first.text in _OTHER_KINDS:
        return _wrong_kind(statement, first)
    return _parsed(statement, tokens, first, values)


def _parsed(statement: str, tokens: list[Token], first: Token, values: Sequence[Value]) -> Verdict:
    node = None
    try:
        node = read(statement, values).node
    except ParameterMismatchError as mismatch:
        return _bad_parameters(mismatch)
    except RunFailed as failed:
        if refused := _too_deep(failed):
            return refused
        if failed.failure.message == ONE_ALONE:
            return Verdict("", Refusal.SEVERAL_STATEMENTS, ONE_ALONE)
        written = _writing(statement, tokens, failed)
        if written:
            return _wrong_kind(statement, written)
    kind = _kind(tokens, first, node)
    if not kind:
        return Verdict(statement)
    return Verdict(statement, None, "", *_position(statement, first), kind=kind)


def _too_deep(failed: RunFailed) -> Verdict | None:
    failure = failed.failure
    if not failure.message.startswith(TOO_DEEP):
        return None
    return Verdict("", Refusal.TOO_COMPLEX, TOO_DEEP, failure.line, failure.column)


def _bad_parameters(mismatch: ParameterMismatchError) -> Verdict:
    failure = mismatch.failure
    return Verdict("", Refusal.BAD_PARAMETERS, failure.message, failure.line, failure.column)


def _kind(tokens: list[Token], first: Token, node: object) -> str:
    """Which of `BEYOND_THE_CONTRACT` it is; by its first words, should it not be ours to read."""
    if first.kind != "word":
        return ""
    if first.text == "EXPLAIN":
        return "explain"
    if first.text == "SHOW":
        what = tokens[tokens.index(first) + 1].text.lower()
        what = "session" if what in _ABOUT_SESSIONS else what
        return what if what in BEYOND_THE_CONTRACT else ""
    while isinstance(node, ast.Query):
        node = node.body
    is_table = isinstance(node, ast.Values | ast.Table) or first.text in {"VALUES", "TABLE"}
    return "values" if is_table else ""


def _writing(statement: str, tokens: list[Token], failed: RunFailed) -> Token | None:
    """The word that the parser stumbled over, if it begins a statement that writes."""
    failure = failed.failure
    if failure.code is not FailureCode.SYNTAX_ERROR or failure.line is None:
        return None
    before = statement.split("\n")[: failure.line - 1]
    at = sum(len(line) + 1 for line in before) + (failure.column or 1) - 1
    token = next((token for token in tokens if token.at == at), None)
    is_writing = token is not None and token.kind == "word" and token.text in _OTHER_KINDS
    return token if is_writing else None


def _wrong_kind(statement: str, token: Token) -> Verdict:
    message = f"Only SELECT, SHOW and DESCRIBE statements are allowed, not {token.text}"
    return Verdict("", Refusal.NOT_READ_ONLY, message, *_position(statement, token))


def _position(statement: str, token: Token) -> tuple[int, int]:
    line_start = statement.rfind("\n", 0, token.at) + 1
    return statement.count("\n", 0, token.at) + 1, token.at - line_start + 1
