"""How DuckDB's SQL spells literals, names, casts and errors, and values that are used twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from zlib import crc32

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.compiler import Compiler
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import cast_checks, casts, fine, types
from queryrun.sql.duckdb.values import cast, exact
from queryrun.sql.trino.spelling import name, text

_NAMES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b(?:once_|[a-z])[0-9]+\b""")
"""In DuckDB's SQL: what may be a fresh name, and texts and quoted names, which are none."""


class DuckDBSpelling(Compiler):
    """How DuckDB spells what every expression is made of."""

    def text(self, value: str) -> str:
        """A string literal."""
        return text(value)

    def quoted(self, value: str) -> str:
        """A quoted name."""
        return name(value)

    def type_name(self, kind: Type) -> str:
        """The engine's type that carries it."""
        return types.duckdb_name(kind)

    def cast_to(self, value: Typed, target: Type) -> Typed:
        """The value in another type that Trino brings it to without being told."""
        if value.type.name == "time" and target.name == t.TIMETZ:
            return cast(fine.zoned(value, self.zone), target)
        return cast(value, target)

    def exact(self, value: Typed) -> str:
        """The SQL of a value whose type must be the Trino type's even if it is a literal."""
        return exact(value)

    def compared(self, value: Typed, kind: Type) -> str:
        """A value to compare as `kind`."""
        if value.type.name == "time" and kind.name == t.TIMETZ:
            value = fine.zoned(value, self.zone)
        return _compared(value, kind)

    def failing(self, message: str) -> str:
        """SQL that fails when it is reached."""
        return cast_checks.failing(self.text(message), in_try=self.in_try)

    def failing_as(self, message: str, kind: Type) -> str:
        """The same as a value of that type."""
        return cast_checks.failing_as(self.text(message), kind, in_try=self.in_try)

    def bound(self, name: str, value: str, body: str) -> str:
        """SQL of `body`, in which the value has a name."""
        return f"list_transform([{value}], lambda {name}: {body})[1]"

    def state_name(self, call: str) -> str:
        """What the state of a call is named: the same for the same call, so that what is grouped
        by it is known again."""
        return f"s{crc32(call.encode()):08x}"

    def state(self, parts: Sequence[tuple[str, str]]) -> str:
        """A value with these named parts."""
        return f"struct_pack({', '.join(f'{name} := {sql}' for name, sql in parts)})"

    def folded(self, steps: int, state: str, next_state: str, first: str) -> str:
        """The state after so many steps; `next_state` makes of the one called `state` the next."""
        body = f"lambda {state}, {state}_n: {next_state}"
        return f"list_reduce(range({steps}), {body}, {first})"

    def walked(self, state: str, next_state: str, first: str, limit: int, at: int) -> str:  # noqa: ARG002 - another engine refuses with it
        """The result of the state that is done, after as many steps as it takes."""
        rows = f"{state}_w"
        over = self.failing(f"A function took more than {limit} steps")
        step = f"CASE WHEN n >= {limit} THEN {over} ELSE n + 1 END"
        return (
            f"(WITH RECURSIVE {rows}({state}, n) AS (SELECT {first}, 0 UNION ALL "
            f"SELECT {next_state}, {step} FROM {rows} WHERE {state}.pc >= 0) "
            f"SELECT any_value({state}.r) FROM {rows} WHERE {state}.pc < 0)"
        )

    def named_alike(self, sql: str, before: int, alike: dict[str, str]) -> str:
        """A grouping key is known again by its text, so the same expression has the same names.

        Only names made within the expression (after the first `before`) are told apart by their
        order alone; all others mean what is outside of it.
        """
        own = dict.fromkeys(self._made[before:], "")
        found = 0

        def anonymous(match: re.Match[str]) -> str:
            nonlocal found
            if match[0] not in own:
                return match[0]
            if not own[match[0]]:
                found += 1
                own[match[0]] = f"#{found}"
            return own[match[0]]

        return alike.setdefault(_NAMES.sub(anonymous, sql), sql)

    def after_joins(self, term: str) -> str:
        """A term of WHERE that can fail must not see rows that a join leaves out.

        DuckDB computes a term before the join unless it looks at columns of all relations.
        """
        if not self.guard or "error(" not in term:
            return term
        return f"(CASE WHEN {self.guard} THEN {term} END)"

    def cast_as(
        self, value: Typed, kind: Type, length: int | None, site: CastSite, at: int
    ) -> Typed:
        try:
            return casts.explicit(value, kind, length, site)
        except UnsupportedCastError as error:
            self._cannot(error, at)


def _compared(value: Typed, kind: Type) -> str:
    """A value to compare as `kind`. DuckDB fits integer literals by itself, many of them faster."""
    if isinstance(value.constant, int) and t.is_integer(value.type) and t.is_integer(kind):
        return value.sql
    return cast(value, kind).sql
