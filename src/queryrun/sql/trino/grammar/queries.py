"""Trino's queries and metadata statements: text in, a statement out."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Sequence

from queryrun.errors import FailureCode
from queryrun.sql.trino.grammar import json as json_forms
from queryrun.sql.trino.grammar import metadata as metadata_forms
from queryrun.sql.trino.grammar import patterns as pattern_forms
from queryrun.sql.trino.grammar import routines as routine_forms
from queryrun.sql.trino.grammar.expressions import ExpressionParser
from queryrun.sql.trino.markers import Mark, Value
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records.samples import Sampled
from queryrun.sql.trino.tokens import failure_at, statements_in

_CLAUSES = ("LIMIT", "OFFSET", "FETCH", "WINDOW", "TABLESAMPLE", "MATCH_RECOGNIZE")
_LOOSE = (
    ast.Binary, ast.Unary, ast.Logical, ast.Not, ast.Between, ast.InList, ast.InQuery, ast.Like,
    ast.IsNull, ast.IsDistinct, ast.Quantified,
)  # fmt: skip
"""What `.*` does not follow: it binds to their last operand, which is no row."""
ONE_ALONE = "Only one statement is allowed"


def parse(statement: str, values: Sequence[Value] = ()) -> tuple[ast.Statement, list[Mark]]:
    """The one statement that the text is, and its markers; trailing semicolons are allowed.

    `values` stand where `?` and `:name` do. Raises `RunFailed`: a syntax error with its position,
    what of Trino's we do not offer, and `ParameterMismatchError`.
    """
    parser = QueryParser(statement, values)
    return parser.statement_alone(), parser.markers.found


class QueryParser(ExpressionParser):
    """Reads whole statements."""

    def statement_alone(self) -> ast.Statement:
        """The statement, after which nothing but semicolons may come."""
        has_functions = routine_forms.at_functions(self)
        if not has_functions and statements_in(self.tokens) > 1:
            raise failure_at(FailureCode.NOT_ALLOWED, ONE_ALONE, self.statement, 0)
        while self.take_op(";"):
            pass
        found = self._statement()
        while self.take_op(";"):
            pass
        if self.token.kind != "end":
            if has_functions and self.tokens[self.index - 1].text == ";":
                raise failure_at(FailureCode.NOT_ALLOWED, ONE_ALONE, self.statement, 0)
            self.fail("the statement should end here")
        self.markers.check_all_used(self.statement)
        return found

    def _statement(self) -> ast.Statement:
        if self.at_words("WITH", "SESSION") and self.lookahead(3).text in {"=", "."}:
            message = "WITH SESSION is not supported: the source's settings count"
            self.refuse(message, self.token.at)
        if self.at_word("SHOW"):
            return metadata_forms.show(self)
        if self.at_word("DESCRIBE", "DESC"):
            at = self.advance().at
            return ast.Show("columns", metadata_forms.table_name(self), None, None, at)
        if self.at_word("EXPLAIN"):
            return metadata_forms.explain(self)
        return metadata_forms.whole_query(self)

    # --- queries ----------------------------------------------------------------------------

    def query(self) -> ast.Query:
        """WITH …, a body, ORDER BY, OFFSET, LIMIT."""
        self.enter()
        at = self.token.at
        ctes: list[ast.Cte] = []
        recursive = False
        if self.take_word("WITH"):
            recursive = self.take_word("RECURSIVE")
            ctes.append(self._cte())
            while self.take_op(","):
                ctes.append(self._cte())
        body = self._set_operation()
        order = self.order_by() if self.at_words("ORDER", "BY") else []
        offset, limit = self._offset(), self._limit()
        with_ties = self.tokens[self.index - 1].text == "TIES" and limit is not None
        self.leave()
        if with_ties and not order:
            message = "FETCH FIRST WITH TIES clause requires ORDER BY"
            raise failure_at(FailureCode.TYPE_MISMATCH, message, self.statement, at)
        return ast.Query(ctes, recursive, body, order, offset, limit, at, with_ties=with_ties)

    def _cte(self) -> ast.Cte:
        name = self.name()
        columns = self.names_in_brackets()
        self.expect_word("AS")
        self.expect_op("(")
        query = self.query()
        self.expect_op(")")
        return ast.Cte(name, columns, query, name.at)

    def _offset(self) -> int | None:
        if not self.take_word("OFFSET"):
            return None
        count = self._count()
        self.take_word("ROW", "ROWS")
        return count

    def _limit(self) -> int | None:
        if self.take_word("LIMIT"):
            return None if self.take_word("ALL") else self._count()
        if not self.take_word("FETCH"):
            return None
        self.expect_word("FIRST", "NEXT")
        at = self.token.at
        count = 1 if self.at_word("ROW", "ROWS") else self._count()
        if count == 0:
            message = "FETCH FIRST row count must be positive (actual value: 0)"
            raise failure_at(FailureCode.INVALID_VALUE, message, self.statement, at)
        self.expect_word("ROW", "ROWS")
        if not self.take_words("WITH", "TIES"):
            self.expect_word("ONLY")
        return count

    def _count(self) -> int:
        if self.at_marker():
            name, at, length = self.marker()
            return self.markers.count(name, self.statement, at, length)
        if self.token.kind != "integer":
            self.fail("expected a number of rows")
        return int(self.advance().text)

    def _set_operation(self) -> ast.Body:
        left = self._intersection()
        while self.at_word("UNION", "EXCEPT"):
            left = self._joined(left)
        return left

    def _intersection(self) -> ast.Body:
        left = self._query_term()
        while self.at_word("INTERSECT"):
            left = self._joined(left)
        return left

    def _joined(self, left: ast.Body) -> ast.Body:
        """One more term; a chain of the same operator stays one record, however long."""
        token = self.advance()
        is_all = self.take_word("ALL")
        if not is_all:
            self.take_word("DISTINCT")
        is_corresponding = self._corresponding()
        right = self._query_term() if token.text == "INTERSECT" else self._intersection()
        same = isinstance(left, ast.SetOperation) and left.op == token.text
        if (
            same
            and not is_corresponding
            and isinstance(left, ast.SetOperation)
            and not left.is_corresponding
            and left.is_all == is_all
        ):
            left.terms.append(right)
            return left
        return ast.SetOperation(token.text, is_all, [left, right], token.at, is_corresponding)

    def _corresponding(self) -> bool:
        if not self.take_word("CORRESPONDING"):
            return False
        if self.at_word("BY"):
            self.refuse("CORRESPONDING BY is not supported", self.token.at)
        return True

    def _query_term(self) -> ast.Body:
        if self.at_word("SELECT"):
            return self._select()
        if self.at_word("VALUES"):
            return self._values()
        if self.at_word("TABLE"):
            self.advance()
            return metadata_forms.table_name(self)
        if self.take_op("("):
            if self.at_word("WITH"):
                self.fail("expected SELECT, VALUES, TABLE or '('")
            query = self.query()
            self.expect_op(")")
            return query
        self.fail("expected a query (SELECT, WITH, VALUES, SHOW or DESCRIBE)")

    def _values(self) -> ast.Values:
        at = self.advance().at
        rows = [self.expression()]
        while self.take_op(","):
            rows.append(self.expression())
        lone = frozenset(n for n, row in enumerate(rows) if not isinstance(row, ast.RowOf))
        return ast.Values(
            [row.items if isinstance(row, ast.RowOf) else [row] for row in rows], at, lone
        )

    # --- SELECT -----------------------------------------------------------------------------

    def _select(self) -> ast.Select:
        at = self.advance().at
        distinct = self.take_word("DISTINCT")
        if not distinct:
            self.take_all()
        items = [self._item()]
        while self.take_op(","):
            items.append(self._item())
        source = self._from() if self.take_word("FROM") else None
        where = self.expression() if self.take_word("WHERE") else None
        group = self._group_by() if self.at_words("GROUP", "BY") else None
        having = self.expression() if self.take_word("HAVING") else None
        windows = self._windows() if self.at_word("WINDOW") else {}
        return ast.Select(distinct, items, source, where, group, having, windows, at)

    def _item(self) -> ast.SelectItem:
        token = self.token
        if self.take_op("*"):
            return ast.SelectItem(ast.Star(None, [], token.at), None)
        expr = self.expression()
        if self.at_op(".") and self.lookahead().text == "*" and not isinstance(expr, _LOOSE):
            self.advance()
            self.advance()
            aliases = self.names_in_brackets() if self.take_word("AS") else []
            aliases = [
                name if name.is_quoted else ast.Ident(name.text.upper(), False, name.at)
                for name in aliases
            ]
            return ast.SelectItem(ast.Star(expr, aliases, token.at), None)
        if self.take_word("AS"):
            return ast.SelectItem(expr, self.name())
        if self._at_alias():
            return ast.SelectItem(expr, self.name())
        return ast.SelectItem(expr, None)

    def _group_by(self) -> list[ast.Grouping]:
        self.take_words("GROUP", "BY")
        is_distinct = self.take_word("DISTINCT")
        if not is_distinct:
            self.take_all()
        found = [self._grouping_element()]
        while self.take_op(","):
            found.append(self._grouping_element())
        if is_distinct:
            found[0].is_distinct = True
        return found

    def _grouping_element(self) -> ast.Grouping:
        at = self.token.at
        if self.at_word("AUTO") and self.lookahead().text != ".":
            self.advance()
            return ast.Grouping("auto", [], at)
        if self.take_words("GROUPING", "SETS"):
            self.expect_op("(")
            sets = [self._grouping_set()]
            while self.take_op(","):
                sets.append(self._grouping_set())
            self.expect_op(")")
            return ast.Grouping("sets", sets, at)
        if self.at_word("ROLLUP", "CUBE"):
            kind = self.advance().text.lower()
            self.expect_op("(")
            sets = [] if self.at_op(")") else [self._grouping_set()]
            while self.take_op(","):
                sets.append(self._grouping_set())
            self.expect_op(")")
            return ast.Grouping(kind, sets, at)
        if self.at_op("(") and self.lookahead().text == ")":
            return ast.Grouping("simple", [self._grouping_set()], at)
        return ast.Grouping("simple", [self._grouping_set()], at)

    def _grouping_set(self) -> list[ast.Expr]:
        if self.at_op("(") and self.lookahead().text == ")":
            self.advance()
            self.advance()
            return []
        at = self.token.at
        found = self.expression()
        items: list[ast.Expr] = found.items if isinstance(found, ast.RowOf) else [found]
        for item in items:
            self.refuse_lone_marker(item, at)
        return items

    def _windows(self) -> dict[str, ast.Window]:
        self.advance()
        windows = {}
        while True:
            at, name = self.token.at, self.window_name()
            if name in windows:
                message = f"WINDOW name '{name}' specified more than once"
                raise failure_at(FailureCode.SYNTAX_ERROR, message, self.statement, at)
            self.expect_word("AS")
            windows[name] = self.window(at)
            if not self.take_op(","):
                return windows

    # --- FROM -------------------------------------------------------------------------------

    def _from(self) -> ast.Relation:
        left = self._relation()
        while self.at_op(","):
            at = self.advance().at
            left = ast.Join("CROSS", left, self._relation(), None, [], at)
        return left

    def _relation(self) -> ast.Relation:
        left = self._aliased()
        while self.at_word("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL"):
            left = self._join(left)
        return left

    def _join(self, left: ast.Relation) -> ast.Relation:
        token = self.token
        if token.text == "NATURAL":
            self.refuse("NATURAL JOIN is not supported", token.at)
        if self.take_word("CROSS"):
            self.expect_word("JOIN")
            return ast.Join("CROSS", left, self._aliased(), None, [], token.at)
        kind = "INNER" if self.at_word("JOIN") else self.advance().text
        self.take_word("OUTER")
        self.expect_word("JOIN")
        right = self._right_of_join()
        if self.take_word("ON"):
            return ast.Join(kind, left, right, self.expression(), [], token.at)
        if not self.take_word("USING"):
            self.fail("expected ON or USING")
        return ast.Join(kind, left, right, None, self.names_in_brackets(), token.at)

    def _right_of_join(self) -> ast.Relation:
        """`a JOIN b JOIN c ON … ON …`: what has its ON already is the right side."""
        right = self._aliased()
        while self.at_word("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL"):
            right = self._join(right)
        return right

    def _aliased(self) -> ast.Relation:
        relation = self._relation_primary()
        relation = self._with_alias(relation)
        if self._at_pattern():
            relation = self._with_alias(pattern_forms.match_recognize(self, relation))
        if self.at_word("TABLESAMPLE"):
            return self._sampled(relation)
        return relation

    def _sampled(self, relation: ast.Relation) -> ast.Relation:
        at = self.advance().at
        kind = self.expect_word("BERNOULLI", "SYSTEM").text
        self.expect_op("(")
        percentage = self.expression()
        self.expect_op(")")
        return Sampled(relation, kind, percentage, at)

    def _at_pattern(self) -> bool:
        return self.at_word("MATCH_RECOGNIZE") and self.lookahead().text == "("

    def _with_alias(self, relation: ast.Relation) -> ast.Relation:
        is_named = self._at_alias()
        if not self.take_word("AS") and not is_named:
            return relation
        alias = self.name()
        return ast.Aliased(relation, alias, self.names_in_brackets(), alias.at)

    def _at_alias(self) -> bool:
        """Whether a name without AS comes next: words that begin a clause are no reserved words."""
        return self.at_name() and (self.is_alone() or not self.at_word(*_CLAUSES))

    def _relation_primary(self) -> ast.Relation:
        token = self.token
        if self.take_word("UNNEST"):
            return self._unnest(token.at)
        if self.at_words("LATERAL") and self.lookahead().text == "(":
            self.advance()
            self.expect_op("(")
            query = self.query()
            self.expect_op(")")
            return ast.Derived(query, True, token.at)
        if self.at_word("TABLE") and self.lookahead().text == "(":
            self.refuse("Table functions are not supported", token.at)
        if self.at_op("("):
            return self._bracketed(token.at)
        if self.at_word("JSON_TABLE") and self.lookahead().text == "(":
            return json_forms.json_table(self)
        if token.text == "GRAPH_TABLE" and self.lookahead().text == "(":
            self.refuse(f"{token.text} is not supported", token.at)
        table = metadata_forms.table_name(self)
        if self.at_words("FOR", "TIMESTAMP") or self.at_words("FOR", "VERSION"):
            self.refuse("Versioned tables (FOR … AS OF) are not supported", self.token.at)
        return table

    def _unnest(self, at: int) -> ast.Relation:
        self.expect_op("(")
        args = self._expressions()
        self.expect_op(")")
        return ast.Unnest(args, self.take_words("WITH", "ORDINALITY"), at)

    def _bracketed(self, at: int) -> ast.Relation:
        self.advance()
        if self._at_query():
            query = self.query()
            self.expect_op(")")
            return ast.Derived(query, False, at)
        self.enter()
        relation = self._relation()
        self.leave()
        self.expect_op(")")
        return relation
