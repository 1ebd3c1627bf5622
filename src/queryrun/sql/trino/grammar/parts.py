"""Parts of expressions: calls with what follows them, windows, sort items, types."""

from __future__ import annotations

from queryrun.errors import FailureCode
from queryrun.sql.trino.grammar.reader import Reader
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records.ast import Expr
from queryrun.sql.trino.records.patterns import LabelRows
from queryrun.sql.trino.tokens import failure_at

_LISTAGG = "listagg"
_MANY = 1_000_000
_FORMS = {
    "if": (2, 3, "Invalid number of arguments for 'if' function"),
    "nullif": (2, 2, "Invalid number of arguments for 'nullif' function"),
    "coalesce": (2, _MANY, "The 'coalesce' function must have at least two arguments"),
    "format": (2, _MANY, "The 'format' function must have at least two arguments"),
    "try": (1, 1, "The 'try' function must have exactly one argument"),
}
"""How many arguments they take, at least and at most, and Trino's words when it is not so."""
_BEGIN_EXPRESSIONS = frozenset(["(", "[", "+", "-", "*", "?", ":"])
_END_EXPRESSIONS = frozenset(
    ["FROM", "WHERE", "GROUP", "HAVING", "ORDER", "UNION", "EXCEPT", "INTERSECT", "AS", "AND", "OR",
     "IN", "IS", "LIKE", "BETWEEN", "LIMIT", "OFFSET", "FETCH", "JOIN", "CROSS", "INNER", "LEFT",
     "RIGHT", "FULL", "NATURAL", "ON", "USING", "THEN", "WHEN", "ELSE", "END"]
)  # fmt: skip
INTERVAL_FIELDS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


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
        self._check_form(call)
        self.expect_op(")")
        self._after_call(call)
        return call

    def _check_form(self, call: ast.Call) -> None:
        """Some functions are forms of the grammar, to which a wrong count is a syntax error."""
        minimum, maximum, message = _FORMS.get(call.name, (0, len(call.args), ""))
        if not minimum <= len(call.args) <= maximum:
            raise failure_at(FailureCode.SYNTAX_ERROR, message, self.statement, call.at)

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
        if not self.at_words("ORDER", "BY"):
            call.is_distinct = self.take_word("DISTINCT")
            if not call.is_distinct:
                self.take_all()
            call.args = self._expressions()
        if self.at_words("ORDER", "BY") and call.name != _LISTAGG:
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
        if call.name == _LISTAGG and self.take_words("WITHIN", "GROUP"):
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
        elif call.nulls:
            self.fail("expected OVER")

    def _over(self) -> ast.Window:
        at = self.advance().at
        if not self.at_op("("):
            return ast.Window(self.window_name(), [], [], "", None, None, at)
        return self.window(at)

    def window_name(self) -> str:
        """Trino takes a name without quotes for one in capital letters: `"w"` is not `w`."""
        name = self.name()
        is_other = name.is_quoted and name.text != name.text.upper()
        return f'"{name.text}"' if is_other else name.key

    def window(self, at: int) -> ast.Window:
        """`( [name] [PARTITION BY …] [ORDER BY …] [frame] )`."""
        self.expect_op("(")
        window = ast.Window("", [], [], "", None, None, at)
        if self.at_name() and not self.at_word("PARTITION", "ROWS", "RANGE", "GROUPS"):
            window.name = self.window_name()
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

    def take_all(self) -> None:
        """Take ALL, unless it is a name: it is no reserved word."""
        if not self.is_alone():
            self.take_word("ALL")

    def is_alone(self) -> bool:
        """Whether the word at hand is a name by itself: what follows belongs to no clause of it.

        `ALL x` and `LIMIT 1` are clauses, `all,` and `limit FROM` are names.
        """
        follower = self.lookahead()
        if follower.kind == "operator":
            return follower.text not in _BEGIN_EXPRESSIONS
        is_word = follower.kind == "word" and follower.text in _END_EXPRESSIONS
        return is_word or follower.kind == "end"

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
        return self._is_query(self.index)

    def _is_bracketed_query(self, ahead: int) -> bool:
        """Whether a bracket is so far ahead, and a query begins in it."""
        return self.lookahead(ahead).text == "(" and self._is_query(self.index + ahead + 1)

    def _is_query(self, start: int) -> bool:
        index, first = start, self.tokens[start]
        if first.kind == "operator" and first.text == "(":
            index = self.brackets.inside[index]
        token = self.tokens[index]
        if token.kind != "word" or token.text not in {"SELECT", "WITH", "VALUES", "TABLE"}:
            return False
        if token.text == "TABLE" and self.tokens[index + 1].text == "(":
            return False
        return index == start or self._is_nested_query(index - 1)

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
        if not self.at_name():
            self.fail("expected a type")
        self.advance()
        found = ast.TypeName(token.raw.strip('"').lower(), [], [], token.at)
        if found.name == "double":
            self.take_word("PRECISION")
        if found.name == "interval" and self.at_word(*INTERVAL_FIELDS):
            found.name += f" {self._interval_fields()}"
        if self.take_op("("):
            self._type_arguments(found)
            self.expect_op(")")
        elif found.name in {"array", "map"} and self.take_op("<"):
            self._type_arguments(found)
            self.expect_op(">")
        if found.name not in {"time", "timestamp"}:
            return self._arrays_of(found)
        is_zoned = not self.take_words("WITHOUT", "TIME", "ZONE") and self.take_words(
            "WITH", "TIME", "ZONE"
        )
        if is_zoned:
            found.name += " with time zone"
        return self._arrays_of(found)

    def _arrays_of(self, found: ast.TypeName) -> ast.TypeName:
        while self.take_word("ARRAY"):
            found = ast.TypeName("array", [found], [], found.at)
        return found

    def _interval_fields(self) -> str:
        """`DAY TO SECOND` of the type's name; others than Trino's two types have no values."""
        first = last = self.expect_word(*INTERVAL_FIELDS)
        if self.take_word("TO"):
            last = self.expect_word(*INTERVAL_FIELDS)
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
