"""Which rows a statement in Trino's SQL sees, written into the statement: text in, text out. Pure.

For engines that run Trino's SQL themselves (contract F3, C10). A table whose rows are restricted
stands afterwards as `(SELECT * FROM t WHERE …) AS t`; everything else stays as it was written, so
positions in the new text can be mapped to the old one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from queryrun.errors import FailureCode
from queryrun.sql.position import SourcePosition
from queryrun.sql.trino.markers import Mark, printed
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import patterns as ast_patterns
from queryrun.sql.trino.records.samples import Sampled
from queryrun.sql.trino.spelling import name, text
from queryrun.sql.trino.tokens import failure_at, tokens_of
from queryrun.sql.trino.walk import records, tables_named

DELETED = "deleted"
"""The column that marks deleted rows (contract F3)."""
_MARKED = {
    "exclude": f"NOT coalesce({DELETED}, false)",
    "only": f"coalesce({DELETED}, false)",
}
_NO_CTES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RowRules:
    """Which rows are to be seen: `deleted` is exclude, include or only; see `engines.base.Visible`.

    With no ids there is no restriction by org.
    """

    deleted: str = "exclude"
    org_column: str = ""
    org_ids: tuple[str, ...] = ()
    barrier: str = ""
    """What the engine moves no predicate across, written behind the restriction by org."""

    @property
    def is_by_org(self) -> bool:
        """Whether rows of other orgs must be kept out."""
        return bool(self.org_column and self.org_ids)

    @property
    def restrict_nothing(self) -> bool:
        """Whether no table's columns matter."""
        return self.deleted not in _MARKED and not self.is_by_org


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to know of a table: its columns' types by lower-case name, in Trino's words.

    `condition` is what the engine itself restricts the table by; empty for nothing.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference to a table, not to a WITH entry.

    `is_body`: it is a whole query, `TABLE t`. `shows_deleted`: the SELECT around it selects this
    table's `deleted`, and so sees both kinds of its rows.
    """

    table: ast.Table
    is_aliased: bool
    is_body: bool
    shows_deleted: bool


DescribeTables = Callable[[Sequence[ast.Table]], Sequence[Facts]]
"""Facts of these tables, one each and in the same order; none of them is named twice.

A table that does not exist has no facts (`Facts()`): the engine reports it, with the position.
"""


def restricted(
    statement: str,
    node: ast.Query,
    rules: RowRules,
    describe: DescribeTables,
    marks: Sequence[Mark] = (),
) -> Rewritten:
    """The statement so that it sees only the rows that the rules allow.

    `node` is what `translate.read` made of `statement`; where its `marks` are, literals are written
    for an engine that reads the text anew. Raises `RunFailed` for what cannot be
    restricted with certainty.
    """
    found = list(references(statement, node))
    if rules.is_by_org:
        _refuse_what_tells_of_hidden_rows(statement, found)
    tables = {_key(reference.table): reference.table for reference in found}
    facts = dict(zip(tables, describe(list(tables.values())) if tables else [], strict=True))
    edits = [_Edit(one.at, one.length, f" {printed(one.value)} ", one.at) for one in marks]
    long_names: set[tuple[str, ...]] = set()
    for reference in found:
        known = facts[_key(reference.table)]
        condition = _condition(reference, rules, known)
        if condition:
            barrier = rules.barrier if _tells_orgs_apart(rules, known) else ""
            edits += _edits(statement, reference, condition, barrier)
            if not reference.is_aliased:
                long_names.add(_key(reference.table))
    return Rewritten.of(statement, edits + list(_shortened(node, long_names)))


def references(statement: str, node: ast.Query) -> Iterator[Reference]:
    """Every reference to a table, in no particular order."""
    return _Finder(statement).query(node, _NO_CTES)


def end_of(table: ast.Table) -> int:
    """The character after a table's name as it is written."""
    last = table.parts[-1]
    return last.at + (len(name(last.text)) if last.is_quoted else len(last.text))


# --- positions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Edit:
    """At offset `at` of the old text, `added` replaces `removed` characters."""

    at: int
    removed: int
    added: str
    origin_at: int
    """The offset in the old text that is reported for positions within `added`."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A new text, which maps each of its positions to one in the statement as submitted."""

    text: str
    _starts: Sequence[int]
    """The offsets in the new text where a part of the old text, or an addition, begins."""
    _origins: Sequence[tuple[int, bool]]
    """For each start: the offset in the old text, and whether the part is copied from there."""
    _statement: str

    @classmethod
    def of(cls, statement: str, edits: Sequence[_Edit]) -> Rewritten:
        """The statement with all edits made; they do not overlap."""
        starts, origins, parts, length, at = [], [], [], 0, 0
        for edit in sorted(edits, key=lambda edit: edit.at):
            for part, origin in (
                (statement[at : edit.at], (at, True)),
                (edit.added, (edit.origin_at, False)),
            ):
                starts.append(length)
                origins.append(origin)
                parts.append(part)
                length += len(part)
            at = edit.at + edit.removed
        return cls(
            "".join(parts) + statement[at:],
            [*starts, length],
            [*origins, (at, True)],
            statement,
        )

    def position(self, line: int, column: int) -> SourcePosition:
        """The position in the statement as submitted. Lines and columns count from 1."""
        at = _offset(self.text, line, column)
        number = bisect_right(self._starts, at) - 1
        origin, is_copied = self._origins[number]
        old = origin + (at - self._starts[number] if is_copied else 0)
        before = self._statement[:old]
        return SourcePosition(before.count("\n") + 1, old - before.rfind("\n"))


def _offset(whole: str, line: int, column: int) -> int:
    """The inverse of a position: engines report lines and columns, edits are offsets."""
    start = 0
    for _ in range(line - 1):
        end = whole.find("\n", start)
        if end < 0:
            break
        start = end + 1
    return min(start + column - 1, len(whole))


# --- what becomes of a table ----------------------------------------------------------------


def _condition(reference: Reference, rules: RowRules, facts: Facts) -> str:
    """Only columns that the table has can restrict it, so other tables are left as they are."""
    parts = [facts.condition]
    if not reference.shows_deleted and facts.columns.get(DELETED) == "boolean":
        parts.append(_MARKED.get(rules.deleted, ""))
    if _tells_orgs_apart(rules, facts):
        ids = ", ".join(text(org) for org in rules.org_ids)
        parts.append(f"CAST({name(rules.org_column)} AS varchar) IN ({ids})")
    return " AND ".join(part for part in parts if part)


def _tells_orgs_apart(rules: RowRules, facts: Facts) -> bool:
    return rules.is_by_org and rules.org_column.lower() in facts.columns


def _refuse_what_tells_of_hidden_rows(statement: str, found: Sequence[Reference]) -> None:
    """Plans have estimates, and `t$partitions` and its like the bounds and counts, of all rows."""
    first = next(token for token in tokens_of(statement) if token.text not in {";", "("})
    at = first.at if first.text == "EXPLAIN" and first.kind == "word" else None
    for reference in found:
        if "$" in reference.table.parts[-1].text:
            at = reference.table.at
    if at is not None:
        message = "This tells of rows of other orgs, and is not allowed where rows are restricted"
        raise failure_at(FailureCode.NOT_ALLOWED, message, statement, at)


def _shortened(node: ast.Query, long_names: set[tuple[str, ...]]) -> Iterator[_Edit]:
    """`schema.t.column` becomes `t.column`: the table has lost its long name."""
    lengths = {len(key) for key in long_names} - {1}
    for item in records(node) if lengths else ():
        if isinstance(item, ast.Name):
            keys = tuple(part.key for part in item.parts)
            for length in sorted(lengths, reverse=True):
                if keys[:length] in long_names and len(keys) > length:
                    start, end = item.parts[0].at, item.parts[length - 1].at
                    yield _Edit(start, end - start, "", origin_at=start)
                    break


def _edits(statement: str, reference: Reference, condition: str, barrier: str) -> list[_Edit]:
    """A table without an alias gets its own name as one, so that its columns still resolve."""
    table = reference.table
    last = table.parts[-1]
    after = f" WHERE {condition}{barrier})"
    if not reference.is_aliased and not reference.is_body:
        after += f" AS {statement[last.at : end_of(table)]}"
    return [
        _before(statement, reference),
        _Edit(end_of(table), 0, after, origin_at=table.at),
    ]


def _before(statement: str, reference: Reference) -> _Edit:
    at = reference.table.at
    if not reference.is_body:
        return _Edit(at, 0, "(SELECT * FROM ", origin_at=at)
    keyword = next(token for token in reversed(tokens_of(statement)) if token.at < at).at
    return _Edit(keyword, len("TABLE"), "(SELECT * FROM", origin_at=keyword)


# --- finding --------------------------------------------------------------------------------


class _Finder:
    """Walks a statement with the names of the WITH entries that are in scope at each reference."""

    def __init__(self, statement: str) -> None:
        self._statement = statement

    def query(self, node: ast.Query, ctes: frozenset[str]) -> Iterator[Reference]:
        self._refuse_queries_in(node.functions)
        for cte in node.ctes:
            inner = ctes
            if node.is_recursive and self._is_recursive(cte):
                inner = ctes | {cte.name.key}
            yield from self.query(cte.query, inner)
            ctes = ctes | {cte.name.key}
        yield from self._body(node.body, ctes)
        yield from self._inside(node.order, ctes)

    def _refuse_queries_in(self, functions: Sequence[object]) -> None:
        """Trino refuses them too; the restriction does not rest on that."""
        for item in records(functions):
            if isinstance(item, ast.Query):
                message = "Queries are not allowed in functions"
                raise failure_at(FailureCode.TYPE_MISMATCH, message, self._statement, item.at)

    def _is_recursive(self, cte: ast.Cte) -> bool:
        """Whether its own name means the entry itself in there, as Trino sees it.

        Where Trino would take the name for a table's, or refuse it, nothing is left to chance.
        """
        if not tables_named(cte.query, cte.name.key):
            return False
        body = cte.query.body
        is_union = isinstance(body, ast.SetOperation) and body.op == "UNION"
        if isinstance(body, ast.SetOperation) and is_union and len(body.terms) == 2:
            is_plain = not (cte.query.ctes or cte.query.order)
            if is_plain and not tables_named(body.terms[0], cte.name.key):
                return True
        raise failure_at(
            FailureCode.NOT_SUPPORTED,
            "A recursive query that is no UNION of two, the second reading the first, "
            "is not supported",
            self._statement,
            cte.at,
        )

    def _body(self, body: ast.Body, ctes: frozenset[str]) -> Iterator[Reference]:
        match body:
            case ast.Query():
                yield from self.query(body, ctes)
            case ast.SetOperation():
                for term in body.terms:
                    yield from self._body(term, ctes)
            case ast.Table():
                yield from self._table(body, ctes, is_body=True)
            case ast.Values():
                yield from self._inside(body.rows, ctes)
            case ast.Select():
                yield from self._select(body, ctes)

    def _select(self, node: ast.Select, ctes: frozenset[str]) -> Iterator[Reference]:
        if node.source is not None:
            showing_deleted = _qualifiers_of_deleted(node.items)
            yield from self._relation(node.source, ctes, showing_deleted)
        for slot in ("items", "where", "group", "having", "windows"):
            yield from self._inside(getattr(node, slot), ctes)

    def _relation(
        self, node: ast.Relation, ctes: frozenset[str], showing_deleted: set[str | None]
    ) -> Iterator[Reference]:
        """What a FROM clause reads; a chain of joins may be longer than Python's stack."""
        pending: list[ast.Relation] = [node]
        while pending:
            match pending.pop():
                case ast.Table() as table:
                    yield from self._table(table, ctes, showing_deleted=showing_deleted)
                case ast.Aliased(relation=ast.Table() as table, alias=alias):
                    yield from self._table(
                        table, ctes, alias=alias.key, showing_deleted=showing_deleted
                    )
                case ast.Aliased(relation=relation):
                    pending.append(relation)
                case ast.Join() as join:
                    pending += [join.left, join.right]
                    yield from self._inside(join.on, ctes)
                case ast.Derived(query=query):
                    yield from self.query(query, ctes)
                case Sampled(at=at):
                    message = "TABLESAMPLE is not supported"
                    raise failure_at(FailureCode.NOT_SUPPORTED, message, self._statement, at)
                case ast_patterns.Matched() as matched:
                    pending.append(matched.relation)
                    for slot in ("partition", "order", "measures", "definitions"):
                        yield from self._inside(getattr(matched, slot), ctes)
                case other:
                    yield from self._inside(other, ctes)

    def _table(
        self,
        table: ast.Table,
        ctes: frozenset[str],
        alias: str = "",
        showing_deleted: set[str | None] | None = None,
        is_body: bool = False,
    ) -> Iterator[Reference]:
        """A name of a WITH entry hides a table of that name, so it is no reference."""
        if len(table.parts) == 1 and table.parts[0].key in ctes:
            return
        known_as = alias or table.parts[-1].key
        shows_deleted = bool((showing_deleted or set()) & {None, known_as})
        yield Reference(table, bool(alias), is_body, shows_deleted)

    def _inside(self, node: object, ctes: frozenset[str]) -> Iterator[Reference]:
        """The queries within expressions, without recursion through the expressions."""
        pending = [node]
        while pending:
            item = pending.pop()
            if isinstance(item, ast.Query):
                yield from self.query(item, ctes)
            else:
                pending.extend(_children(item))


def _children(item: object) -> Iterator[object]:
    if isinstance(item, list | tuple):
        yield from item
    elif isinstance(item, dict):
        yield from item.values()
    else:
        for slot in getattr(item, "__slots__", ()):
            yield getattr(item, slot)


def _qualifiers_of_deleted(items: Sequence[ast.SelectItem]) -> set[str | None]:
    """What `deleted` is selected of: a relation's name, or None when it is not said."""
    found: set[str | None] = set()
    for item in items:
        if isinstance(item.expr, ast.Name) and item.expr.parts[-1].key == DELETED:
            parts = item.expr.parts
            found.add(parts[-2].key if len(parts) > 1 else None)
    return found


def _key(table: ast.Table) -> tuple[str, ...]:
    return tuple(part.key for part in table.parts)
