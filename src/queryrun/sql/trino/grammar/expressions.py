"""Trino's expressions: tokens in, records out. Precedence as in Trino 476's grammar."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from queryrun.errors import FailureCode
from queryrun.sql.trino.grammar import json as json_forms
from queryrun.sql.trino.grammar.forms import READERS, FormParser
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records.ast import Expr
from queryrun.sql.trino.records.patterns import Mode
from queryrun.sql.trino.tokens import RESERVED, Token, failure_at
from queryrun.sql.trino.unicode_text import unescaped

_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")
_TYPED_LITERALS = frozenset(
    [
        "DATE",
        "VARBINARY",
        "TIME",
        "TIMESTAMP",
        "DECIMAL",
        "REAL",
        "DOUBLE",
        "BIGINT",
        "INTEGER",
        "INT",
        "SMALLINT",
        "TINYINT",
        "VARCHAR",
        "CHAR",
        "BOOLEAN",
        "JSON",
        "UUID",
        "IPADDRESS",
    ]
)
_NOT_OFFERED = frozenset(["JSON_TABLE", "GRAPH_TABLE"])


class ExpressionParser(FormParser):
    """Reads expressions."""

    def expression(self) -> Expr:
        """Any expression."""
        if self._stands_alone():
            return self._primary()
        self.enter()
        found = self._or()
        self.leave()
        return found

    def _stands_alone(self) -> bool:
        """Whether one token is the whole expression: most are, in long lists all of them."""
        if self.token.kind in {"operator", "end"}:
            return False
        follower = self.tokens[self.index + 1]
        return follower.kind == "end" or follower.text in {",", ")", "]"}

    def _or(self) -> Expr:
        at = self.token.at
        terms = [self._and()]
        while self.take_word("OR"):
            terms.append(self._and())
        return terms[0] if len(terms) == 1 else ast.Logical("OR", terms, at)

    def _and(self) -> Expr:
        at = self.token.at
        terms = [self._not()]
        while self.take_word("AND"):
            terms.append(self._not())
        return terms[0] if len(terms) == 1 else ast.Logical("AND", terms, at)

    def _not(self) -> Expr:
        if not self.at_word("NOT"):
            return self._predicate()
        at = self.advance().at
        self.enter()
        found = ast.Not(self._not(), at)
        self.leave()
        return found

    # --- predicates -------------------------------------------------------------------------

    def _predicate(self) -> Expr:
        left = self._concat()
        while True:
            token = self.token
            if token.kind == "operator" and token.text in _COMPARISONS:
                left = self._comparison(left)
            elif self.at_word("IS"):
                left = self._is(left)
            elif self.at_word("BETWEEN", "IN", "LIKE") or (
                self.at_word("NOT") and self.lookahead().text in {"BETWEEN", "IN", "LIKE"}
            ):
                left = self._range(left)
            else:
                return left

    def _comparison(self, left: Expr) -> Expr:
        token = self.advance()
        op = "<>" if token.text == "!=" else token.text
        if self.at_word("ALL", "ANY", "SOME") and self.lookahead().text == "(":
            quantifier = self.advance().text
            self.expect_op("(")
            query = self.query()
            self.expect_op(")")
            return ast.Quantified(op, left, quantifier.replace("SOME", "ANY"), query, token.at)
        return ast.Binary(op, left, self._concat(), token.at)

    def _is(self, left: Expr) -> Expr:
        at = self.advance().at
        negated = self.take_word("NOT")
        if self.take_word("NULL"):
            return ast.IsNull(left, negated, at)
        if self.take_words("DISTINCT", "FROM"):
            return ast.IsDistinct(left, self._concat(), negated, at)
        self.fail("expected NULL or DISTINCT FROM")

    def _range(self, left: Expr) -> Expr:
        negated = self.take_word("NOT")
        token = self.advance()
        if token.text == "BETWEEN":
            low = self._concat()
            self.expect_word("AND")
            return ast.Between(left, low, self._concat(), negated, token.at)
        if token.text == "LIKE":
            pattern = self._concat()
            escape = self._concat() if self.take_word("ESCAPE") else None
            return ast.Like(left, pattern, escape, negated, token.at)
        self.expect_op("(")
        if self._at_query():
            query = self.query()
            self.expect_op(")")
            return ast.InQuery(left, query, negated, token.at)
        items = self._expressions()
        self.expect_op(")")
        return ast.InList(left, items, negated, token.at)

    # --- arithmetic -------------------------------------------------------------------------

    def _concat(self) -> Expr:
        left = self._sum()
        while self.at_op("||"):
            at = self.advance().at
            left = ast.Binary("||", left, self._sum(), at)
        return left

    def _sum(self) -> Expr:
        left = self._product()
        while self.at_op("+", "-"):
            token = self.advance()
            left = ast.Binary(token.text, left, self._product(), token.at)
        return left

    def _product(self) -> Expr:
        left = self._unary()
        while self.at_op("*", "/", "%"):
            token = self.advance()
            left = ast.Binary(token.text, left, self._unary(), token.at)
        return left

    def _unary(self) -> Expr:
        if not self.at_op("-", "+"):
            return self._at_zone()
        token = self.advance()
        self.enter()
        found = ast.Unary(token.text, self._unary(), token.at)
        self.leave()
        return found

    def _at_zone(self) -> Expr:
        left = self._postfix()
        while self.at_words("AT", "TIME", "ZONE"):
            at = self.token.at
            self.take_words("AT", "TIME", "ZONE")
            left = ast.AtZone(left, self._postfix(), at)
        return left

    def _postfix(self) -> Expr:
        found = self._primary()
        while self.at_op("[") or (self.at_op(".") and self.lookahead().text != "*"):
            token = self.advance()
            if token.text == "[":
                index = self.expression()
                self.expect_op("]")
                found = ast.Subscript(found, index, token.at)
            else:
                found = ast.FieldOf(found, self.name(), token.at)
        return found

    # --- primaries --------------------------------------------------------------------------

    def _primary(self) -> Expr:
        token = self.token
        if token.kind in {"integer", "decimal", "double"}:
            self.advance()
            return ast.Literal(token.kind, token.text.replace("_", ""), token.at)
        if token.kind == "string":
            return ast.Literal("string", self.text(), token.at)
        if token.kind == "binary":
            self.advance()
            return ast.Literal("binary", token.text[2:-1].replace(" ", ""), token.at)
        if token.kind == "quoted":
            return self._name()
        if token.kind == "operator" and token.text == "(":
            return self._brackets()
        if token.kind == "word":
            return self._worded()
        if token.text == "[":
            return self._items()
        if token.kind == "unicode":
            return self._unicode_text(token)
        if self.at_marker():
            name, at, length = self.marker()
            return self.markers.value(name, self.statement, at, length)
        self.fail("expected an expression")

    def _unicode_text(self, token: Token) -> Expr:
        """`U&'\\2603' UESCAPE '#'`: a character by its number of four or, after +, six digits."""
        self.advance()
        written = token.raw[token.raw.index("'") + 1 : -1].replace("''", "'")
        escape = self.text() if self.take_word("UESCAPE") else "\\"
        if len(escape) != 1 or escape in "+'\" \t\n" or escape in "0123456789abcdefABCDEF":
            message = "Invalid Unicode escape character"
            raise failure_at(FailureCode.SYNTAX_ERROR, message, self.statement, token.at)
        try:
            text = unescaped(written, escape)
        except ValueError as error:
            raise failure_at(
                FailureCode.SYNTAX_ERROR, str(error), self.statement, token.at
            ) from error
        return ast.Literal("string", text, token.at)

    def _brackets(self) -> Expr:
        at = self.expect_op("(").at
        if self._at_query():
            query = self.query()
            self.expect_op(")")
            return ast.ScalarQuery(query, at)
        if self.at_op(")"):
            self.advance()
            return self._lambda([], at)
        items = self._expressions()
        self.expect_op(")")
        if self.at_op("->"):
            return self._lambda(self._as_params(items), at)
        return items[0] if len(items) == 1 else ast.RowOf(items, at)

    def _as_params(self, items: list[Expr]) -> list[ast.Ident]:
        params = []
        for item in items:
            if not isinstance(item, ast.Name) or len(item.parts) != 1:
                self.fail("the parameters of a lambda must be names")
            params.append(item.parts[0])
        return params

    def _lambda(self, params: list[ast.Ident], at: int) -> Expr:
        self.expect_op("->")
        return ast.Lambda(params, self.expression(), at)

    def _worded(self) -> Expr:
        token = self.token
        word = token.text
        json_reader = json_forms.READERS.get(word)
        if json_reader is not None and self.lookahead().text == "(":
            return json_reader(self)
        reader = READERS.get(word)
        if reader is not None and (found := reader(self)) is not None:
            return found
        if (
            word == "DOUBLE"
            and self.lookahead().text == "PRECISION"
            and self.lookahead(2).kind == "string"
        ):
            self.advance()
            self.advance()
            return ast.TypedLiteral("double", self.text(), token.at)
        if word in _TYPED_LITERALS and self.lookahead().kind == "string":
            self.advance()
            return ast.TypedLiteral(word.lower(), self.text(), token.at)
        is_mode = word in {"RUNNING", "FINAL"} and self.lookahead(2).text == "("
        if is_mode and self.lookahead().kind in {"word", "quoted"}:
            return self._mode()
        if word in _NOT_OFFERED:
            self.refuse(f"{word} is not supported", token.at)
        if not self.at_name():
            self.fail("expected an expression")
        return self._name()

    def _names_window(self) -> bool:
        """Whether a window follows: OVER can be a name as well."""
        token = self.lookahead()
        is_name = token.kind == "quoted" or (token.kind == "word" and token.text not in RESERVED)
        return token.text == "(" or is_name

    def _mode(self) -> Expr:
        token = self.advance()
        call = self._worded() if self.token.kind == "word" else self._name()
        if not isinstance(call, ast.Call):
            self.fail("expected a function")
        return Mode(token.text, call, token.at)

    def _name(self) -> Expr:
        first = self.name()
        if self.at_op("->"):
            return self._lambda([first], first.at)
        if self.at_op("("):
            return self._call(first.key, first.at)
        parts = [first]
        while self.at_op(".") and self.lookahead().kind in {"word", "quoted"}:
            self.advance()
            parts.append(self.name())
        if self.at_word("OVER") and self._names_window():
            self.refuse("A measure of a row pattern OVER a window is not supported", first.at)
        if self.at_op("("):
            self.refuse("Functions with a schema in front are not supported", first.at)
        return ast.Name(parts, first.at)
