"""Writes whole random queries: `python -m tests.differential.generate_queries`.

Joins, subqueries, grouping, windows and set operations over the suite's tables, around the
expressions of `generate.py`; the same for the same seed, and run by a real Trino as well.
"""

from __future__ import annotations

import random

from tests.differential.generate import SEED, Expressions
from tests.differential.suite import STATEMENTS

COUNT = 250
_JOINS = ("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
_SETS = ("UNION", "UNION ALL", "INTERSECT", "EXCEPT")
_FRAMES = (
    "",
    " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
    " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    " RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING",
    " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
)
_AGGREGATES = (
    "count(*)", "count({})", "count(DISTINCT {})", "sum({})", "min({})", "max({})", "avg({})",
    "count_if({} > 3)", "bool_or({} > 3)", "array_agg({} ORDER BY id)", "max_by({}, id)",
    "sum({}) FILTER (WHERE id > 2)", "approx_distinct({})", "sum(DISTINCT {})",
)  # fmt: skip
_KEYS = ("g", "i % 3", "i > 5", "t")


class Queries:
    """Makes statements of one of several kinds."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._expressions = Expressions(dice)

    def statement(self) -> str:
        """Any of them."""
        kinds = (self.grouped, self.windowed, self.joined, self.nested, self.combined)
        return self._dice.choice(kinds)()

    def grouped(self) -> str:
        """GROUP BY, with sets of keys, HAVING and an order by an aggregate."""
        keys = self._dice.sample(_KEYS, self._dice.randint(1, 2))
        group = self._dice.choice(("{}", "ROLLUP ({})", "CUBE ({})", "GROUPING SETS (({}), ())"))
        items = ", ".join([*keys, *(self._aggregate() for _ in range(2))])
        where = f" WHERE {self._of('bool')}" if self._dice.random() < 0.4 else ""
        having = f" HAVING {self._aggregate()} IS NOT NULL" if self._dice.random() < 0.3 else ""
        listed = ", ".join(keys)
        return f"SELECT {items} FROM numbers{where} GROUP BY {group.format(listed)}{having}"

    def windowed(self) -> str:
        """Functions over windows, ordered by a column that no two rows share."""
        function = self._dice.choice(
            ("sum(id)", "count(i)", "avg(i)", "first_value(m)", "last_value(m)", "max(b)",
             "array_agg(id)", "nth_value(i, 2)")
        )  # fmt: skip
        ranked = self._dice.choice(
            ("row_number()", "rank()", "dense_rank()", "ntile(3)", "lag(i)", "lead(m, 2)",
             "lag(i, 1, 0)", "percent_rank()", "cume_dist()", "lead(i) IGNORE NULLS")
        )  # fmt: skip
        partition = self._dice.choice(("", "PARTITION BY g ", "PARTITION BY i > 5 "))
        direction = self._dice.choice(("", " DESC"))
        frame = self._dice.choice(_FRAMES)
        return (
            f"SELECT id, {function} OVER ({partition}ORDER BY id{direction}{frame}), "
            f"{ranked} OVER ({partition}ORDER BY id{direction}) FROM numbers"
        )

    def joined(self) -> str:
        """Two tables on keys that are often missing, with an additional condition."""
        kind = self._dice.choice(_JOINS)
        on = self._dice.choice(("p.team = t.team", "p.boss = q.id", "p.pay > q.pay", "p.id = q.id"))
        right = "teams t" if "t." in on else "people q"
        more = self._dice.choice(("", " AND p.id > 2", " AND p.pay IS NOT NULL", " AND true"))
        where = self._dice.choice(("", " WHERE p.name IS NOT NULL", " WHERE p.pay > 80"))
        column = "t.title, t.size" if right == "teams t" else "q.name, q.pay"
        return f"SELECT p.id, p.name, {column} FROM people p {kind} {right} ON {on}{more}{where}"

    def nested(self) -> str:
        """Subqueries in every position, correlated ones among them."""
        condition = self._dice.choice(
            ("p.id IN (SELECT boss FROM people)", "p.id NOT IN (SELECT boss FROM people)",
             "p.team NOT IN (SELECT team FROM teams WHERE size > 2)",
             "EXISTS (SELECT 1 FROM people q WHERE q.boss = p.id)",
             "NOT EXISTS (SELECT 1 FROM teams t WHERE t.team = p.team)",
             "p.pay > ALL (SELECT pay FROM people WHERE boss = 1)",
             "p.pay >= ANY (SELECT pay FROM people q WHERE q.id < 3)",
             "p.pay = (SELECT max(pay) FROM people q WHERE q.team = p.team)",
             "(SELECT count(*) FROM people q WHERE q.boss = p.id) > 0")
        )  # fmt: skip
        item = self._dice.choice(
            ("(SELECT max(q.pay) FROM people q WHERE q.boss = p.id)",
             "(SELECT t.title FROM teams t WHERE t.team = p.team)",
             "(SELECT count(*) FROM numbers n WHERE n.id <= p.id)",
             "CASE WHEN EXISTS (SELECT 1 FROM teams t WHERE t.team = p.team) THEN 'y' END",
             "p.pay - (SELECT avg(pay) FROM people)")
        )  # fmt: skip
        join = self._dice.choice(("AND", "OR", "AND NOT"))
        other = self._dice.choice(
            ("p.id > 1", "p.boss IS NULL", "p.pay < 100", "p.name LIKE '%e%'")
        )
        return f"SELECT p.id, {item} FROM people p WHERE {condition} {join} {other}"

    def combined(self) -> str:
        """Set operations of expressions of one kind, whose types may differ."""
        kind = self._dice.choice(("int", "dec", "dbl"))
        parts = [
            f"SELECT {self._of(kind, 2)}, {self._of('bool')} FROM numbers WHERE {self._of('bool')}"
            for _ in range(3)
        ]
        first, second = self._dice.choice(_SETS), self._dice.choice(_SETS)
        return f"{parts[0]} {first} {parts[1]} {second} {parts[2]}"

    def _aggregate(self) -> str:
        return self._dice.choice(_AGGREGATES).format(self._of(self._dice.choice(("int", "dec")), 1))

    def _of(self, kind: str, depth: int = 1) -> str:
        return self._expressions.of(kind, depth)


def queries() -> list[str]:
    """The generated queries; no two are alike."""
    maker = Queries(random.Random(SEED + 1))  # noqa: S311 - dice, not secrets
    found: dict[str, None] = {}
    while len(found) < COUNT:
        found.setdefault(maker.statement())
    return list(found)


if __name__ == "__main__":
    (STATEMENTS / "generated_queries.sql").write_text(";\n".join(queries()) + ";\n", "utf-8")
