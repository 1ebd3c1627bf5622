"""Expressions that begin with a word of their own: CASE, CAST, INTERVAL, TRIM and their like."""

from __future__ import annotations

from queryrun.errors import FailureCode
from queryrun.sql.trino.grammar.parts import INTERVAL_FIELDS, PartParser
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records.ast import Expr
from queryrun.sql.trino.tokens import failure_at

_NOW = {
    "CURRENT_DATE": "current_date",
    "CURRENT_TIMESTAMP": "current_timestamp",
    "LOCALTIMESTAMP": "localtimestamp",
    "CURRENT_TIME": "current_time",
    "LOCALTIME": "localtime",
    "CURRENT_USER": "current_user",
    "CURRENT_CATALOG": "current_catalog",
    "CURRENT_SCHEMA": "current_schema",
    "CURRENT_PATH": "current_path",
}
_WITH_PRECISION = frozenset(["CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "CURRENT_TIME", "LOCALTIME"])
_TRIMS = {"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}


EXTRACTED = (
    "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DAY_OF_MONTH", "DAY_OF_WEEK", "DOW",
    "DAY_OF_YEAR", "DOY", "YEAR_OF_WEEK", "YOW", "HOUR", "MINUTE", "SECOND", "TIMEZONE_MINUTE",
    "TIMEZONE_HOUR",
)  # fmt: skip
"""What EXTRACT takes, in the order in which Trino lists it."""

_BARE_TRIM = (
    "The 'trim' function must have specification, char or both arguments when it takes FROM"
)


class FormParser(PartParser):
    """Reads the forms."""

    def _constant(self) -> Expr:
        token = self.advance()
        kind = "null" if token.text == "NULL" else "boolean"
        return ast.Literal(kind, token.text.lower(), token.at)

    def _now(self) -> Expr:
        token = self.advance()
        args: list[Expr] = []
        if token.text in _WITH_PRECISION and self.take_op("("):
            if self.token.kind != "integer":
                self.fail("expected an integer")
            args = [ast.Literal("integer", self.advance().text, token.at)]
            self.expect_op(")")
        return ast.Call(_NOW[token.text], args, token.at)

    def _case(self) -> Expr:
        at = self.advance().at
        self.enter()
        operand = None if self.at_word("WHEN") else self.expression()
        whens = []
        while self.take_word("WHEN"):
            condition = self.expression()
            self.expect_word("THEN")
            whens.append((condition, self.expression()))
        if not whens:
            self.fail("expected WHEN")
        otherwise = self.expression() if self.take_word("ELSE") else None
        self.expect_word("END")
        self.leave()
        return ast.Case(operand, whens, otherwise, at)

    def _cast(self) -> Expr | None:
        if self.lookahead().text != "(":
            return None
        token = self.advance()
        self.expect_op("(")
        operand = self.expression()
        self.expect_word("AS")
        kind = self.type_name()
        self.expect_op(")")
        return ast.Cast(operand, kind, token.text == "TRY_CAST", token.at)

    def _exists(self) -> Expr:
        at = self.advance().at
        self.expect_op("(")
        query = self.query()
        self.expect_op(")")
        return ast.Exists(query, at)

    def _extract(self) -> Expr:
        at = self.advance().at
        self.expect_op("(")
        field = self.name().text
        self.expect_word("FROM")
        operand = self.expression()
        self.expect_op(")")
        if field.upper() not in EXTRACTED:
            message = f"Invalid EXTRACT field {field}, valid fields are: {', '.join(EXTRACTED)}"
            raise failure_at(FailureCode.SYNTAX_ERROR, message, self.statement, at)
        return ast.Extract(field.lower(), operand, at)

    def _interval(self) -> Expr | None:
        """None: INTERVAL is a name here. `INTERVAL '1'` without a field is of a type so named."""
        signs = int(self.lookahead().text in {"+", "-"})
        has_text = self.lookahead(1 + signs).kind == "string"
        if not has_text or not (signs or self.lookahead(2).text in INTERVAL_FIELDS):
            return None
        at = self.advance().at
        negative = self.take_op("-")
        if not negative:
            self.take_op("+")
        text = self.text()
        unit = self.expect_word(*INTERVAL_FIELDS).text
        to_unit = self.expect_word(*INTERVAL_FIELDS).text if self.take_word("TO") else ""
        return ast.IntervalLiteral(text, negative, unit, to_unit, at)

    def _row(self) -> Expr | None:
        if self.lookahead().text != "(" or self.lookahead(2).text == ")":
            return None
        at = self.advance().at
        self.expect_op("(")
        items = self._expressions()
        self.expect_op(")")
        return ast.RowOf(items, at)

    def _array(self) -> Expr | None:
        if self.lookahead().text != "[":
            return None
        at = self.advance().at
        return self._items(at)

    def _items(self, at: int | None = None) -> Expr:
        """The items of an array, with or without the word in front."""
        bracket = self.expect_op("[")
        at = bracket.at if at is None else at
        items = [] if self.at_op("]") else self._expressions()
        self.expect_op("]")
        return ast.ArrayOf(items, at)

    def _position(self) -> Expr | None:
        """POSITION(a IN b) is strpos(b, a). There is no function of this name."""
        if self.lookahead().text != "(":
            return None
        at = self.advance().at
        self.expect_op("(")
        needle = self._concat()
        if self.at_op(",", ")"):
            message = "Function 'position' not registered; write POSITION(part IN text)"
            raise failure_at(FailureCode.NAME_NOT_FOUND, message, self.statement, at)
        self.expect_word("IN")
        haystack = self._concat()
        self.expect_op(")")
        return ast.Call("strpos", [haystack, needle], at)

    def _substring(self) -> Expr | None:
        if self.lookahead().text != "(":
            return None
        at = self.advance().at
        self.expect_op("(")
        args = [self.expression()]
        if self.take_word("FROM"):
            args.append(self.expression())
            if self.take_word("FOR"):
                args.append(self.expression())
        else:
            while self.take_op(","):
                args.append(self.expression())
        self.expect_op(")")
        return ast.Call("substring", args, at)

    def _trim(self) -> Expr:
        at = self.advance().at
        self.expect_op("(")
        side = self.advance().text if self.at_word(*_TRIMS) else ""
        chars = [] if self.at_word("FROM") else [self.value_expression()]
        if self.take_word("FROM"):
            args = [self.value_expression(), *chars]
            if not side and not chars:
                raise failure_at(FailureCode.SYNTAX_ERROR, _BARE_TRIM, self.statement, at)
        elif side:
            self.fail("expected FROM")
        else:
            args = [*chars, self.value_expression()] if self.take_op(",") else chars
        self.expect_op(")")
        return ast.Call(_TRIMS[side or "BOTH"], args, at)

    def _normalize(self) -> Expr:
        at = self.advance().at
        self.expect_op("(")
        args = [self.expression()]
        if self.take_op(","):
            form = self.expect_word("NFC", "NFD", "NFKC", "NFKD")
            args.append(ast.Literal("string", form.text, form.at))
        self.expect_op(")")
        return ast.Call("normalize", args, at)

    def _grouping(self) -> Expr:
        at = self.advance().at
        self.expect_op("(")
        args = self._expressions()
        if not all(isinstance(one, ast.Name | ast.FieldOf) for one in args):
            self.fail("expected names of columns")
        self.expect_op(")")
        return ast.Call("grouping", args, at)

    def _listagg(self) -> Expr:
        call = self._call("listagg", self.advance().at)
        if isinstance(call, ast.Call) and not call.order:
            self.fail("expected WITHIN GROUP")
        return call


READERS = {
    "CASE": FormParser._case,
    "CAST": FormParser._cast,
    "TRY_CAST": FormParser._cast,
    "EXISTS": FormParser._exists,
    "EXTRACT": FormParser._extract,
    "INTERVAL": FormParser._interval,
    "ROW": FormParser._row,
    "ARRAY": FormParser._array,
    "POSITION": FormParser._position,
    "SUBSTRING": FormParser._substring,
    "TRIM": FormParser._trim,
    "NORMALIZE": FormParser._normalize,
    "GROUPING": FormParser._grouping,
    "LISTAGG": FormParser._listagg,
    "NULL": FormParser._constant,
    "TRUE": FormParser._constant,
    "FALSE": FormParser._constant,
} | dict.fromkeys(_NOW, FormParser._now)
