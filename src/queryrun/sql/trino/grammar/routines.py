"""`WITH FUNCTION` in Trino's grammar: functions that a statement defines, and their statements."""

from __future__ import annotations

from collections.abc import Callable

from queryrun.errors import FailureCode
from queryrun.sql.trino.grammar.parts import PartParser
from queryrun.sql.trino.records import routines as r
from queryrun.sql.trino.records.ast import Expr, Ident
from queryrun.sql.trino.records.extra import ExtraControl
from queryrun.sql.trino.tokens import failure_at


def at_functions(p: PartParser) -> bool:
    """Whether `WITH FUNCTION name` comes next; `WITH function AS (…)` names a query."""
    follower = p.lookahead(2)
    is_name = follower.kind == "quoted" or (follower.kind == "word" and follower.text != "AS")
    return p.at_words("WITH", "FUNCTION") and is_name


def functions(p: PartParser) -> tuple[r.Routine, ...]:
    """`WITH FUNCTION …, FUNCTION …`, where the statement begins so."""
    if p.at_words("WITH", "SESSION") and p.lookahead(3).text in {"=", "."}:
        p.refuse("WITH SESSION is not supported", p.token.at)
    if not at_functions(p):
        return ()
    p.advance()
    found = [_function(p)]
    while p.at_op(",") and p.lookahead().text == "FUNCTION":
        p.advance()
        found.append(_function(p))
    return tuple(found)


def _function(p: PartParser) -> r.Routine:
    at = p.expect_word("FUNCTION").at
    name = p.name()
    path = name.text
    while p.take_op("."):
        path += f".{p.name().text}"
    if path != name.text:
        _wrong(p, f"Inline function names cannot be qualified: {path}", at)
    p.expect_op("(")
    params = [] if p.at_op(")") else [_parameter(p)]
    while p.take_op(","):
        params.append(_parameter(p))
    p.expect_op(")")
    p.expect_word("RETURNS")
    returns = p.type_name()
    deterministic, null_on_null = _characteristics(p)
    return r.Routine(name, params, returns, deterministic, null_on_null, _control(p), at)


def _parameter(p: PartParser) -> r.Parameter:
    """A name and a type, or a type alone."""
    at = p.token.at
    follower = p.lookahead()
    has_name = follower.kind in {"word", "quoted"} and not p.at_words("DOUBLE", "PRECISION")
    name = p.name() if has_name else None
    return r.Parameter(name, p.type_name(), at)


def _characteristics(p: PartParser) -> tuple[bool | None, bool]:
    """What stands between RETURNS and the body: DETERMINISTIC or not, NULL or not on NULL."""
    seen: dict[str, bool] = {}
    while True:
        at = p.token.at
        if p.at_word("LANGUAGE"):
            _once(p, seen, "language", True, at)
            p.advance()
            language = p.name()
            if language.key != "sql":
                p.refuse(f"Unsupported function language: {language.text.upper()}", language.at)
        elif p.at_word("NOT", "DETERMINISTIC"):
            _once(p, seen, "deterministic", not p.take_word("NOT"), at)
            p.expect_word("DETERMINISTIC")
        elif p.at_words("RETURNS", "NULL") or p.at_words("CALLED", "ON"):
            _once(p, seen, "null-call", p.at_word("CALLED"), at)
            words = ("CALLED", "ON") if p.at_word("CALLED") else ("RETURNS", "NULL", "ON")
            p.take_words(*words)
            p.expect_word("NULL")
            p.expect_word("INPUT")
        elif p.at_word("SECURITY"):
            p.refuse("Security mode not supported for inline functions", at)
        elif p.at_word("COMMENT"):
            _once(p, seen, "comment", True, at)
            p.advance()
            p.text()
        else:
            return seen.get("deterministic"), not seen.get("null-call", True)


def _once(p: PartParser, seen: dict[str, bool], what: str, value: bool, at: int) -> None:
    if what in seen:
        _wrong(p, f"Multiple {what} clauses specified", at)
    seen[what] = value


def _wrong(p: PartParser, message: str, at: int) -> None:
    raise failure_at(FailureCode.SYNTAX_ERROR, message, p.statement, at)


# --- statements -----------------------------------------------------------------------------


def _control(p: PartParser) -> ExtraControl:
    reader = _READERS.get(p.token.text) if p.token.kind == "word" else None
    label = None
    if reader is None and p.at_name() and p.lookahead().text == ":":
        label = p.name()
        p.expect_op(":")
        reader = _READERS.get(p.token.text)
        if reader is None or p.token.text not in _LOOPS:
            p.fail("expected LOOP or WHILE or REPEAT")
    if reader is None:
        p.fail("expected a statement of a function (RETURN, SET, IF, CASE, BEGIN, LOOP, …)")
    p.enter()
    found = reader(p)
    p.leave()
    if isinstance(found, r.Loop):
        found.label = label
    return found


def _statements(p: PartParser, *ends: str) -> list[ExtraControl]:
    """One or more, each with its semicolon, up to one of these words."""
    found = [_one(p)]
    while not p.at_word(*ends):
        found.append(_one(p))
    return found


def _one(p: PartParser) -> ExtraControl:
    found = _control(p)
    p.expect_op(";")
    return found


def _end(p: PartParser, word: str) -> None:
    p.expect_word("END")
    p.expect_word(word)


def _return(p: PartParser) -> ExtraControl:
    at = p.advance().at
    return r.Return(p.value_expression(), at)


def _set(p: PartParser) -> ExtraControl:
    at = p.advance().at
    target = p.name()
    p.expect_op("=")
    return r.Assign(target, p.expression(), at)


def _if(p: PartParser) -> ExtraControl:
    at = p.advance().at
    whens = [_when(p, "ELSEIF", "ELSE", "END")]
    while p.take_word("ELSEIF"):
        whens.append(_when(p, "ELSEIF", "ELSE", "END"))
    otherwise = _statements(p, "END") if p.take_word("ELSE") else []
    _end(p, "IF")
    return r.Branches("IF", None, whens, otherwise, at)


def _case(p: PartParser) -> ExtraControl:
    at = p.advance().at
    operand: Expr | None = None if p.at_word("WHEN") else p.expression()
    if not p.at_word("WHEN"):
        p.fail("expected WHEN")
    whens = []
    while p.take_word("WHEN"):
        whens.append(_when(p, "WHEN", "ELSE", "END"))
    otherwise = _statements(p, "END") if p.take_word("ELSE") else []
    _end(p, "CASE")
    return r.Branches("CASE", operand, whens, otherwise, at)


def _when(p: PartParser, *ends: str) -> tuple[Expr, list[ExtraControl]]:
    condition = p.expression()
    p.expect_word("THEN")
    return condition, _statements(p, *ends)


def _jump(p: PartParser) -> ExtraControl:
    token = p.advance()
    return r.Jump(token.text, p.name(), token.at)


def _compound(p: PartParser) -> ExtraControl:
    at = p.advance().at
    variables = []
    while p.at_word("DECLARE"):
        variables.append(_declared(p))
        p.expect_op(";")
    body = [] if p.at_word("END") else _statements(p, "END")
    p.expect_word("END")
    return r.Compound(variables, body, at)


def _declared(p: PartParser) -> r.Declared:
    at = p.advance().at
    names: list[Ident] = [p.name()]
    while p.take_op(","):
        names.append(p.name())
    kind = p.type_name()
    default = p.value_expression() if p.take_word("DEFAULT") else None
    return r.Declared(names, kind, default, at)


def _loop(p: PartParser) -> ExtraControl:
    at = p.advance().at
    body = _statements(p, "END")
    _end(p, "LOOP")
    return r.Loop("LOOP", None, None, body, at)


def _while(p: PartParser) -> ExtraControl:
    at = p.advance().at
    condition = p.expression()
    p.expect_word("DO")
    body = _statements(p, "END")
    _end(p, "WHILE")
    return r.Loop("WHILE", None, condition, body, at)


def _repeat(p: PartParser) -> ExtraControl:
    at = p.advance().at
    body = _statements(p, "UNTIL")
    p.expect_word("UNTIL")
    condition = p.expression()
    _end(p, "REPEAT")
    return r.Loop("REPEAT", None, condition, body, at)


_LOOPS = ("LOOP", "WHILE", "REPEAT")
_READERS: dict[str, Callable[[PartParser], ExtraControl]] = {
    "RETURN": _return,
    "SET": _set,
    "IF": _if,
    "CASE": _case,
    "ITERATE": _jump,
    "LEAVE": _jump,
    "BEGIN": _compound,
    "LOOP": _loop,
    "WHILE": _while,
    "REPEAT": _repeat,
}
