"""Parts of expressions: calls with what follows them, windows, sort items, types."""

from __future__ import annotations

from queryrun.sql.trino.grammar.reader import Reader
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records.ast import Expr
from queryrun.sql.trino.records.patterns import LabelRows

_INTERVAL_FIELDS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


class PartParser(Reader):
    """Reads what other parts of the grammar are made of."""

    def query(self) -> ast.Query:
        """A query; `QueryParser` knows how."""
        raise NotImplementedError

    def expression(self) -> Expr:
        """Any expression; `ExpressionParser` knows how."""
        raise NotImplementedError

    def _concat(self) -> Expr:
        """What `||` joins; `ExpressionParser` knows how."""
        raise NotImplementedError

    def value_expression(self) -> Expr:
        """An expression without AND, OR, NOT and comparisons at its top."""
        return self._concat()

    # --- calls ------------------------------------------------------------------------------

    def _call(self, name: str, at: int) -> Expr:
        call = ast.Call(name, [], at)
        self.expect_op("(")
        self._arguments(call)
        self.expect_op(")")
        self._after_call(call)
        return call

    def _arguments(self, call: ast.Call) -> None:
        if self.take_op("*"):
            call.is_star = True
            return
        if self.at_op(")"):
            return
        if self.at_name() and [self.lookahead(n).text for n in (1, 2, 3)] == [".", "*", ")"]:
            ident = self.name()
            label = ident.text if ident.is_quoted else ident.text.upper()
            call.args = [LabelRows(label, ident.at)]
            self.advance()
            self.advance()
            return
        call.is_distinct = self.take_word("DISTINCT")
        if not call.is_distinct:
            self.take_word("ALL")
        call.args = self._expressions()
        if self.at_words("ORDER", "BY"):
            call.order = self.order_by()
        if self.at_words("ON", "OVERFLOW"):
            self.advance()
            self.advance()
            call.overflow = self._overflow()

    def _overflow(self) -> str:
        """What LISTAGG does with too much text: its filler and count are of longer ones only."""
        if self.take_word("ERROR"):
            return ""
        self.expect_word("TRUNCATE")
        if self.token.kind == "string":
            self.text()
        if not self.take_word("WITH"):
            self.expect_word("WITHOUT")
        self.expect_word("COUNT")
        return "truncate"

    def _after_call(self, call: ast.Call) -> None:
        if self.take_words("WITHIN", "GROUP"):
            self.expect_op("(")
            call.order = self.order_by()
            self.expect_op(")")
        if self.at_word("FILTER") and self.lookahead().text == "(":
            self.advance()
            self.expect_op("(")
            self.expect_word("WHERE")
            call.filter = self.expression()
            self.expect_op(")")
        for nulls in ("IGNORE", "RESPECT"):
            if self.take_words(nulls, "NULLS"):
                call.nulls = nulls.lower()
        if self.at_word("OVER"):
            call.over = self._over()

    def _over(self) -> ast.Window:
        at = self.advance().at
        if not self.at_op("("):
            return ast.Window(self.name().key, [], [], "", None, None, at)
        return self.window(at)

    def window(self, at: int) -> ast.Window:
        """`( [name] [PARTITION BY …] [ORDER BY …] [frame] )`."""
        self.expect_op("(")
        window = ast.Window("", [], [], "", None, None, at)
        if self.at_name() and not self.at_word("PARTITION", "ROWS", "RANGE", "GROUPS"):
            window.name = self.name().key
        if self.take_words("PARTITION", "BY"):
            window.partition = self._expressions()
        if self.at_words("ORDER", "BY"):
            window.order = self.order_by()
        if self.at_word("ROWS", "RANGE", "GROUPS"):
            self._frame(window)
        if not self.at_op(")") and self.at_word("MEASURES", "AFTER", "INITIAL", "SEEK", "PATTERN"):
            self.refuse("Row pattern recognition is not supported", self.token.at)
        self.expect_op(")")
        return window

    def _frame(self, window: ast.Window) -> None:
        window.unit = self.advance().text
        if self.take_word("BETWEEN"):
            window.start = self._bound()
            self.expect_word("AND")
            window.end = self._bound()
        else:
            window.start = self._bound()

    def _bound(self) -> ast.Bound:
        if self.take_words("CURRENT", "ROW"):
            return ast.Bound("CURRENT ROW", None)
        offset = None if self.take_word("UNBOUNDED") else self.expression()
        direction = self.expect_word("PRECEDING", "FOLLOWING").text
        return ast.Bound(direction, offset)

    # --- parts ------------------------------------------------------------------------------

    def order_by(self) -> list[ast.SortItem]:
        """ORDER BY and its entries."""
        self.expect_word("ORDER")
        self.expect_word("BY")
        items = [self._sort_item()]
        while self.take_op(","):
            items.append(self._sort_item())
        return items

    def refuse_lone_marker(self, expr: Expr, at: int) -> None:
        """A number there would be a column's position, which a value must not become."""
        if self.markers.is_mark(expr):
            message = "A parameter is a value, and cannot say what is grouped or ordered by"
            self.refuse(message, at)

    def _sort_item(self) -> ast.SortItem:
        at = self.token.at
        expr = self.expression()
        self.refuse_lone_marker(expr, at)
        descending = self.take_word("DESC")
        if not descending:
            self.take_word("ASC")
        first = False
        if self.take_word("NULLS"):
            first = self.expect_word("FIRST", "LAST").text == "FIRST"
        return ast.SortItem(expr, descending, first, at)

    def expressions(self) -> list[Expr]:
        """One or more, with commas between."""
        return self._expressions()

    def _expressions(self) -> list[Expr]:
        found = [self.expression()]
        while self.take_op(","):
            found.append(self.expression())
        return found

    def _at_query(self) -> bool:
        index = self.index
        if self.at_op("("):
            index = self.brackets.inside[index]
        token = self.tokens[index]
        if token.kind != "word" or token.text not in {"SELECT", "WITH", "VALUES", "TABLE"}:
            return False
        return index == self.index or self._is_nested_query(index - 1)

    def _is_nested_query(self, innermost: int) -> bool:
        """`((SELECT 1) UNION …)` is a query; `((SELECT 1) + 1)` begins with one."""
        end = len(self.tokens) - 1
        after = self.tokens[min(self.brackets.closing.get(innermost, end) + 1, end)]
        return after.text in {"UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH"}

    def type_name(self) -> ast.TypeName:
        """A type in a CAST."""
        self.enter()
        found = self._type_name()
        self.leave()
        return found

    def _type_name(self) -> ast.TypeName:
        token = self.token
        if token.kind not in {"word", "quoted"}:
            self.fail("expected a type")
        self.advance()
        found = ast.TypeName(token.raw.strip('"').lower(), [], [], token.at)
        if found.name == "double":
            self.take_word("PRECISION")
        if found.name == "interval" and self.at_word(*_INTERVAL_FIELDS):
            found.name += f" {self._interval_fields()}"
        if self.take_op("("):
            self._type_arguments(found)
            self.expect_op(")")
        elif self.take_op("<"):
            self._type_arguments(found)
            self.expect_op(">")
        is_zoned = not self.take_words("WITHOUT", "TIME", "ZONE") and self.take_words(
            "WITH", "TIME", "ZONE"
        )
        if is_zoned:
            found.name += " with time zone"
        while self.take_word("ARRAY"):
            found = ast.TypeName("array", [found], [], token.at)
        return found

    def _interval_fields(self) -> str:
        """`DAY TO SECOND` of the type's name; others than Trino's two types have no values."""
        first = last = self.expect_word(*_INTERVAL_FIELDS)
        if self.take_word("TO"):
            last = self.expect_word(*_INTERVAL_FIELDS)
        return f"{first.text} to {last.text}".lower()

    def _type_arguments(self, found: ast.TypeName) -> None:
        while True:
            if self.token.kind == "integer":
                found.arguments.append(int(self.advance().text))
            elif found.name == "row":
                named = self.lookahead().kind in {"word", "quoted"} and not self.at_words(
                    self.token.text, "WITH"
                )
                found.fields.append(_field_name(self.name()) if named else "")
                found.arguments.append(self.type_name())
            else:
                found.arguments.append(self.type_name())
            if not self.take_op(","):
                return


def _field_name(ident: ast.Ident) -> str:
    """Of a row's type. Trino keeps the case of a quoted one only."""
    return ident.text if ident.is_quoted else ident.key
