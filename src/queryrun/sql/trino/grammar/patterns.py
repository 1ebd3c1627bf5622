"""MATCH_RECOGNIZE in Trino's grammar."""

from __future__ import annotations

from queryrun.errors import FailureCode
from queryrun.sql.trino.grammar.parts import PartParser
from queryrun.sql.trino.records import patterns as ap
from queryrun.sql.trino.records.ast import Expr, Ident, Relation
from queryrun.sql.trino.tokens import failure_at


def match_recognize(p: PartParser, relation: Relation) -> ap.Matched:
    """`MATCH_RECOGNIZE (…)` behind a relation."""
    at = p.expect_word("MATCH_RECOGNIZE").at
    p.expect_op("(")
    partition: list[Expr] = []
    if p.take_words("PARTITION", "BY"):
        partition = p.expressions()
    order = p.order_by() if p.at_words("ORDER", "BY") else []
    measures = _measures(p) if p.take_word("MEASURES") else []
    rows = _rows(p)
    skip = _skip(p)
    if p.at_word("INITIAL", "SEEK"):
        word = p.token.text
        message = f"Pattern search modifier: {word} is not allowed in MATCH_RECOGNIZE clause"
        p.refuse(message, p.token.at)
    p.expect_word("PATTERN")
    p.expect_op("(")
    pattern = _pattern(p)
    p.expect_op(")")
    subsets = _subsets(p) if p.take_word("SUBSET") else []
    p.expect_word("DEFINE")
    definitions = _definitions(p)
    p.expect_op(")")
    return ap.Matched(
        relation, partition, order, measures, rows, skip, pattern, subsets, definitions, at
    )


def label_of(ident: Ident) -> str:
    """A label as CLASSIFIER() tells it: in upper case unless it is quoted."""
    return ident.text if ident.is_quoted else ident.text.upper()


def _measures(p: PartParser) -> list[ap.MeasureItem]:
    found = [_measure(p)]
    while p.take_op(","):
        found.append(_measure(p))
    return found


def _measure(p: PartParser) -> ap.MeasureItem:
    expr = p.expression()
    p.expect_word("AS")
    return ap.MeasureItem(expr, p.name())


def _rows(p: PartParser) -> str:
    if p.take_words("ONE", "ROW", "PER", "MATCH"):
        return "one"
    if not p.take_words("ALL", "ROWS", "PER", "MATCH"):
        return "one"
    if p.take_words("SHOW", "EMPTY", "MATCHES"):
        return "all"
    if p.take_words("OMIT", "EMPTY", "MATCHES"):
        return "omit"
    return "unmatched" if p.take_words("WITH", "UNMATCHED", "ROWS") else "all"


def _skip(p: PartParser) -> ap.Skip:
    at = p.token.at
    if not p.take_words("AFTER", "MATCH"):
        return ap.Skip("past", "", at)
    p.expect_word("SKIP")
    if p.take_words("PAST", "LAST", "ROW"):
        return ap.Skip("past", "", at)
    p.expect_word("TO")
    if p.take_words("NEXT", "ROW"):
        return ap.Skip("next", "", at)
    where = "last"
    follower = p.lookahead()
    is_label = follower.kind == "quoted" or (
        follower.kind == "word" and follower.text not in {"PATTERN", "INITIAL", "SEEK"}
    )
    if p.at_word("FIRST", "LAST") and is_label:
        where = p.advance().text.lower()
    at = p.token.at
    return ap.Skip(where, label_of(p.name()), at)


def _subsets(p: PartParser) -> list[ap.Subset]:
    found = []
    while True:
        name = p.name()
        p.expect_op("=")
        members = [label_of(ident) for ident in p.names_in_brackets()]
        if not members:
            p.fail("expected '('")
        found.append(ap.Subset(label_of(name), members, name.at))
        if not p.take_op(","):
            return found


def _definitions(p: PartParser) -> list[ap.Definition]:
    found = []
    while True:
        name = p.name()
        p.expect_word("AS")
        found.append(ap.Definition(label_of(name), p.expression(), name.at))
        if not p.take_op(","):
            return found


# --- patterns -------------------------------------------------------------------------------


def _pattern(p: PartParser) -> ap.Pattern:
    """Alternatives bind least."""
    at = p.token.at
    p.enter()
    parts = [_sequence(p)]
    while p.take_op("|"):
        parts.append(_sequence(p))
    p.leave()
    return parts[0] if len(parts) == 1 else ap.Alternatives(parts, at)


def _sequence(p: PartParser) -> ap.Pattern:
    at = p.token.at
    parts = [_quantified(p)]
    while p.at_name() or p.at_op("(", "^", "$", "{"):
        parts.append(_quantified(p))
    return parts[0] if len(parts) == 1 else ap.Sequence(parts, at)


def _quantified(p: PartParser) -> ap.Pattern:
    part = _primary(p)
    at = p.token.at
    if p.at_op("{") and p.lookahead().text == "-":
        return part
    if p.take_op("*"):
        bounds: tuple[int, int | None] = (0, None)
    elif p.take_op("+"):
        bounds = (1, None)
    elif p.take_op("?"):
        bounds = (0, 1)
    elif p.take_op("{"):
        bounds = _range(p, at)
    else:
        return part
    return ap.Repeated(part, *bounds, not p.take_op("?"), at)


def _range(p: PartParser, at: int) -> tuple[int, int | None]:
    lowest = int(p.advance().text) if p.token.kind == "integer" else None
    highest = lowest
    if p.take_op(","):
        highest = int(p.advance().text) if p.token.kind == "integer" else None
    elif lowest is None:
        p.fail("expected a number")
    p.expect_op("}")
    if highest is not None and highest < max(lowest or 0, 1):
        message = "Pattern quantifier upper bound must not be lower than its lower bound and 1"
        raise failure_at(FailureCode.INVALID_VALUE, message, p.statement, at)
    return lowest or 0, highest


def _primary(p: PartParser) -> ap.Pattern:
    token = p.token
    if p.at_op("^", "$"):
        return ap.Anchor(p.advance().text, token.at)
    if p.take_op("{"):
        p.expect_op("-")
        part = _pattern(p)
        p.expect_op("-")
        p.expect_op("}")
        return ap.Excluded(part, token.at)
    if p.take_op("("):
        if p.take_op(")"):
            return ap.Sequence([], token.at)
        part = _pattern(p)
        p.expect_op(")")
        return part
    if token.kind == "word" and token.text == "PERMUTE" and p.lookahead().text == "(":
        return _permutation(p)
    return ap.Variable(label_of(p.name()), token.at)


def _permutation(p: PartParser) -> ap.Pattern:
    at = p.advance().at
    p.expect_op("(")
    parts = [_pattern(p)]
    while p.take_op(","):
        parts.append(_pattern(p))
    p.expect_op(")")
    return ap.Permutation(parts, at)
