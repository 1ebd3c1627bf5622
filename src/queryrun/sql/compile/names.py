"""Literals, names, and what is inside of values."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from queryrun.errors import FailureCode
from queryrun.sql.compile import type_names
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.compiler import Compiler
from queryrun.sql.compile.correlated import Resolved
from queryrun.sql.compile.literal_texts import is_literal
from queryrun.sql.compile.scope import Column, Scope, did_you_mean
from queryrun.sql.compile.typed import Typed
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import failure_at

_DECIMAL = re.compile(r"[+-]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)")
_INT_MAX, _BIGINT_MAX = 2**31 - 1, 2**63 - 1


class NameCompiler(Compiler):
    """Compiles literals, names, fields and subscripts."""

    # --- literals ---------------------------------------------------------------------------

    def literal(self, node: ast.Literal) -> Typed:
        match node.kind:
            case "integer":
                return self.integer(int(node.text), node.at)
            case "decimal":
                return self.decimal_literal(node.text, node.at)
            case "double":
                return Typed(f"CAST({node.text} AS DOUBLE)", t.DOUBLE, node.text)
            case "string":
                return Typed(self.text(node.text), t.VARCHAR, node.text)
            case "boolean":
                return Typed(node.text, t.BOOLEAN)
            case "binary":
                if len(node.text) % 2 or re.search(r"[^0-9a-fA-F]", node.text):
                    self.invalid("Binary literals have pairs of hexadecimal digits", node.at)
                return Typed(f"unhex('{node.text}')", t.VARBINARY)
        return Typed("NULL", t.UNKNOWN)

    def integer(self, number: int, at: int) -> Typed:
        if not -_BIGINT_MAX - 1 <= number <= _BIGINT_MAX:
            self.invalid(f"Invalid numeric literal: {number}", at)
        kind = t.INTEGER if -_INT_MAX - 1 <= number <= _INT_MAX else t.BIGINT
        return Typed(str(number) if number >= 0 else f"({number})", kind, number)

    def decimal_literal(self, written: str, at: int) -> Typed:
        whole, _, fraction = written.partition(".")
        sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
        digits = len(whole.lstrip("0")) + len(fraction)
        precision = max(digits, 1)
        if precision > 38:
            self.invalid(f"Invalid decimal literal: {written}", at)
        kind = t.decimal(precision, len(fraction))
        sql = f"CAST('{sign}{whole or 0}.{fraction or 0}' AS {self.type_name(kind)})"
        return Typed(sql, kind, written)

    def unary(self, node: ast.Unary) -> Typed:
        operand = node.operand
        if node.op == "-" and isinstance(operand, ast.Literal):
            if operand.kind == "integer":
                return self.integer(-int(operand.text), node.at)
            if operand.kind == "decimal":
                return self.decimal_literal(f"-{operand.text}", node.at)
        value = self.expr(operand)
        if not t.is_number(value.type) and value.type not in {t.DAYS, t.MONTHS}:
            self.mismatch(f"Cannot negate {value.type}", node.at)
        return self.signed(node.op, value)

    def typed_literal(self, node: ast.TypedLiteral) -> Typed:
        if node.type == "timestamp":
            return self.timestamp_literal(node)
        written = Typed(self.text(node.text), t.VARCHAR, node.text)
        if node.type == "decimal":
            if not _DECIMAL.fullmatch(node.text):
                self.invalid(f"Invalid decimal literal: {node.text}", node.at)
            return self.decimal_literal(node.text.lstrip("+").replace("_", ""), node.at)
        if node.type == "time":
            return self.time_literal(node)
        if node.type == "char":
            bare = node.text.rstrip(" ")
            return Typed(self.text(bare), t.char(len(node.text)), bare)
        if node.type == "json":
            return self.json_literal(node)
        kind, _ = type_names.type_of(ast.TypeName(node.type, [], [], node.at))
        if not is_literal(node.text, kind):
            self.invalid(f"'{node.text}' is not a valid {node.type.upper()} literal", node.at)
        found = self.cast_as(written, kind, None, CastSite(zone=self.zone), node.at)
        return Typed(found.sql, found.type, node.text)

    # --- names ------------------------------------------------------------------------------

    def name(self, node: ast.Name) -> Typed:
        first = node.parts[0]
        if len(node.parts) == 1:
            for params in reversed(self.lambdas):
                if first.key in params:
                    return params[first.key]
        elif any(first.key in params for params in self.lambdas):
            params = next(p for p in reversed(self.lambdas) if first.key in p)
            return self._fields(params[first.key], node.parts[1:])
        for scope in self.scope.outward():
            found = self._in_scope(node, scope)
            if found is not None:
                if scope is not self.scope and id(scope) in self.closed:
                    self._closed(node)
                self.names[id(node)] = Resolved(node, scope, found.type)
                return found
        path = ".".join(part.text for part in node.parts)
        known = self.scope.known_names()
        guess = did_you_mean(node.parts[-1].text, known)
        self.not_found(f"Column '{path}' cannot be resolved{guess}", node.at)

    def _closed(self, node: ast.Name) -> NoReturn:
        """A condition of an outer join whose subquery looks at what is joined: not in Trino."""
        path = ".".join(part.text for part in node.parts)
        message = f"Reference to column '{path}' from outer scope not allowed in this context"
        raise failure_at(FailureCode.NOT_SUPPORTED, message, self.statement, node.at)

    def _in_scope(self, node: ast.Name, scope: Scope) -> Typed | None:
        parts = node.parts
        for qualifiers in range(min(len(parts) - 1, 3), 0, -1):
            found = scope.matching(parts[qualifiers].key, [p.key for p in parts[:qualifiers]])
            if found:
                return self._fields(self._one(found, node), parts[qualifiers + 1 :])
        found = scope.matching(parts[0].key)
        if found:
            return self._fields(self._one(found, node), parts[1:])
        return None

    def _one(self, found: Sequence[Column], node: ast.Name) -> Typed:
        if len(found) > 1:
            path = ".".join(part.text for part in node.parts)
            self.ambiguous(f"Column '{path}' is ambiguous", node.at)
        return self.usable(found[0], node.at)

    def _fields(self, base: Typed, fields: Sequence[ast.Ident]) -> Typed:
        for ident in fields:
            base = self._field(base, ident)
        return base

    def _field(self, base: Typed, ident: ast.Ident) -> Typed:
        if base.type.name != "row":
            self.mismatch(f"Expression is not of type row: {base.type}", ident.at)
        names = [field.lower() for field in base.type.names]
        if ident.key not in names:
            guess = did_you_mean(ident.text, names)
            self.not_found(f"Column '{ident.text}' cannot be resolved{guess}", ident.at)
        if names.count(ident.key) > 1:
            self.ambiguous(f"Ambiguous row field reference: {ident.key}", ident.at)
        index = names.index(ident.key)
        field = t.field_names(base.type)[index]
        return Typed(f"({base.sql}).{self.quoted(field)}", base.type.parts[index])

    def field_of(self, node: ast.FieldOf) -> Typed:
        return self._field(self.expr(node.base), node.name)
