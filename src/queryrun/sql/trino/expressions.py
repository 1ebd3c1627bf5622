"""Trino's expressions: tokens in, records out. Precedence as in Trino 476's grammar."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from queryrun.sql.trino import ast
from queryrun.sql.trino.ast import Expr
from queryrun.sql.trino.reader import Reader

_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")
_TYPED_LITERALS = frozenset(
    [
        "DATE",
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
    "CURRENT_ROLE": "current_role",
}
_NOT_OFFERED = frozenset(
    [
        "JSON_EXISTS",
        "JSON_QUERY",
        "JSON_VALUE",
        "JSON_OBJECT",
        "JSON_ARRAY",
        "JSON_TABLE",
        "GRAPH_TABLE",
    ]
)
_TRIMS = {"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}


class ExpressionParser(Reader):
    """Reads expressions."""

    def query(self) -> ast.Query:
        """A query; `QueryParser` knows how."""
        raise NotImplementedError

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
                self.at_word("NOT") and self.peek().text in {"BETWEEN", "IN", "LIKE"}
            ):
                left = self._range(left)
            else:
                return left

    def _comparison(self, left: Expr) -> Expr:
        token = self.advance()
        op = "<>" if token.text == "!=" else token.text
        if self.at_word("ALL", "ANY", "SOME") and self.peek().text == "(":
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
        while self.at_op("[", "."):
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
        if token.kind == "unicode":
            self.refuse("A string with Unicode escapes (U&) is not supported", token.at)
        if token.text == "?":
            self.refuse("Parameters (?) are not supported in a statement", token.at)
        self.fail("expected an expression")

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
        reader = _READERS.get(word)
        if reader is not None and (found := reader(self)) is not None:
            return found
        if word in _TYPED_LITERALS and self.peek().kind == "string":
            self.advance()
            return ast.TypedLiteral(word.lower(), self.text(), token.at)
        if word in _NOT_OFFERED:
            self.refuse(f"{word} is not supported", token.at)
        if not self.at_name():
            self.fail("expected an expression")
        return self._name()

    def _name(self) -> Expr:
        first = self.name()
        if self.at_op("->"):
            return self._lambda([first], first.at)
        if self.at_op("("):
            return self._call(first.key, first.at)
        parts = [first]
        while self.at_op(".") and self.peek().kind in {"word", "quoted"}:
            self.advance()
            parts.append(self.name())
        if self.at_op("("):
            self.refuse("Functions with a schema in front are not supported", first.at)
        return ast.Name(parts, first.at)

    def _constant(self) -> Expr:
        token = self.advance()
        kind = "null" if token.text == "NULL" else "boolean"
        return ast.Literal(kind, token.text.lower(), token.at)

    def _now(self) -> Expr:
        token = self.advance()
        args: list[Expr] = []
        if self.take_op("("):
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
        if self.peek().text != "(":
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
        field = self.advance().text.lower()
        self.expect_word("FROM")
        operand = self.expression()
        self.expect_op(")")
        return ast.Extract(field, operand, at)

    def _interval(self) -> Expr | None:
        follower = self.peek()
        if follower.kind != "string" and not (
            follower.text in {"+", "-"} and self.peek(2).kind == "string"
        ):
            return None
        at = self.advance().at
        negative = self.take_op("-")
        if not negative:
            self.take_op("+")
        text = self.text()
        unit = self.advance().text
        to_unit = self.advance().text if self.take_word("TO") else ""
        return ast.IntervalLiteral(text, negative, unit, to_unit, at)

    def _row(self) -> Expr | None:
        if self.peek().text != "(":
            return None
        at = self.advance().at
        self.expect_op("(")
        items = self._expressions()
        self.expect_op(")")
        return ast.RowOf(items, at)

    def _array(self) -> Expr | None:
        if self.peek().text != "[":
            return None
        at = self.advance().at
        self.expect_op("[")
        items = [] if self.at_op("]") else self._expressions()
        self.expect_op("]")
        return ast.ArrayOf(items, at)

    def _position(self) -> Expr | None:
        """POSITION(a IN b) is strpos(b, a)."""
        if self.peek().text != "(":
            return None
        at = self.advance().at
        self.expect_op("(")
        needle = self._concat()
        self.expect_word("IN")
        haystack = self._concat()
        self.expect_op(")")
        return ast.Call("strpos", [haystack, needle], at)

    def _substring(self) -> Expr | None:
        if self.peek().text != "(":
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
        side = self.advance().text if self.at_word(*_TRIMS) else "BOTH"
        if self.take_word("FROM"):
            args = [self.expression()]
        else:
            args = [self.expression()]
            if self.take_word("FROM"):
                args = [self.expression(), args[0]]
            elif self.take_op(","):
                args.append(self.expression())
        self.expect_op(")")
        return ast.Call(_TRIMS[side], args, at)

    def _normalize(self) -> Expr:
        at = self.advance().at
        self.expect_op("(")
        args = [self.expression()]
        if self.take_op(","):
            form = self.advance()
            args.append(ast.Literal("string", form.text, form.at))
        self.expect_op(")")
        return ast.Call("normalize", args, at)

    def _grouping(self) -> Expr:
        at = self.advance().at
        self.expect_op("(")
        args = self._expressions()
        self.expect_op(")")
        return ast.Call("grouping", args, at)

    def _listagg(self) -> Expr:
        return self._call("listagg", self.advance().at)

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
        call.is_distinct = self.take_word("DISTINCT")
        if not call.is_distinct:
            self.take_word("ALL")
        call.args = self._expressions()
        if self.at_words("ORDER", "BY"):
            call.order = self.order_by()
        if self.at_words("ON", "OVERFLOW"):
            self.refuse("ON OVERFLOW is not supported", self.token.at)

    def _after_call(self, call: ast.Call) -> None:
        if self.take_words("WITHIN", "GROUP"):
            self.expect_op("(")
            call.order = self.order_by()
            self.expect_op(")")
        if self.at_word("FILTER") and self.peek().text == "(":
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

    def _sort_item(self) -> ast.SortItem:
        at = self.token.at
        expr = self.expression()
        descending = self.take_word("DESC")
        if not descending:
            self.take_word("ASC")
        first = False
        if self.take_word("NULLS"):
            first = self.expect_word("FIRST", "LAST").text == "FIRST"
        return ast.SortItem(expr, descending, first, at)

    def _expressions(self) -> list[Expr]:
        found = [self.expression()]
        while self.take_op(","):
            found.append(self.expression())
        return found

    def _at_query(self) -> bool:
        ahead = 0
        while (token := self.peek(ahead)).kind == "operator" and token.text == "(":
            ahead += 1
        if token.kind != "word" or token.text not in {"SELECT", "WITH", "VALUES", "TABLE"}:
            return False
        return ahead == 0 or self._is_nested_query(ahead)

    def _is_nested_query(self, ahead: int) -> bool:
        """`((SELECT 1) UNION …)` is a query; `((SELECT 1) + 1)` begins with one."""
        depth, index = ahead, self.index + ahead
        while depth >= ahead and index < len(self.tokens) - 1:
            index += 1
            token = self.tokens[index]
            if token.kind == "operator":
                depth += {"(": 1, ")": -1}.get(token.text, 0)
        after = self.tokens[min(index + 1, len(self.tokens) - 1)]
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
        if found.name == "interval":
            self.refuse("Casts to an interval are not supported", token.at)
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

    def _type_arguments(self, found: ast.TypeName) -> None:
        while True:
            if self.token.kind == "integer":
                found.arguments.append(int(self.advance().text))
            elif found.name == "row":
                named = self.peek().kind in {"word", "quoted"} and not self.at_words(
                    self.token.text, "WITH"
                )
                found.fields.append(self.name().key if named else "")
                found.arguments.append(self.type_name())
            else:
                found.arguments.append(self.type_name())
            if not self.take_op(","):
                return


_READERS = {
    "CASE": ExpressionParser._case,
    "CAST": ExpressionParser._cast,
    "TRY_CAST": ExpressionParser._cast,
    "EXISTS": ExpressionParser._exists,
    "EXTRACT": ExpressionParser._extract,
    "INTERVAL": ExpressionParser._interval,
    "ROW": ExpressionParser._row,
    "ARRAY": ExpressionParser._array,
    "POSITION": ExpressionParser._position,
    "SUBSTRING": ExpressionParser._substring,
    "TRIM": ExpressionParser._trim,
    "NORMALIZE": ExpressionParser._normalize,
    "GROUPING": ExpressionParser._grouping,
    "LISTAGG": ExpressionParser._listagg,
    "NULL": ExpressionParser._constant,
    "TRUE": ExpressionParser._constant,
    "FALSE": ExpressionParser._constant,
} | dict.fromkeys(_NOW, ExpressionParser._now)
