"""Writes random statements: `python -m tests.differential.generate`.

Random expressions of known types over the suite's tables, the same for the same seed. They are
part of the suite (`statements/generated.sql`), so a real Trino has run them as well.
"""

from __future__ import annotations

import random

from tests.differential.suite import STATEMENTS

SEED = 476
COUNT = 400
_DEPTH = 3


class Expressions:
    """Makes expressions of a requested type from one table's columns."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def statement(self) -> str:
        """A SELECT over one of the tables."""
        table, kinds = self._dice.choice(
            [("numbers", ["int", "dec", "dbl", "bool"]), ("things", ["str", "date", "ts", "bool2"])]
        )
        items = ", ".join(self.of(self._dice.choice(kinds), _DEPTH) for _ in range(2))
        where = ""
        if self._dice.random() < 0.3:
            where = f" WHERE {self.of('bool' if table == 'numbers' else 'bool2', 2)}"
        return f"SELECT id, {items} FROM {table}{where}"

    def of(self, kind: str, depth: int) -> str:
        """An expression of this kind, with a maximum depth."""
        leaves, branches = _GRAMMAR[kind]
        if depth == 0 or self._dice.random() < 0.2:
            return self._dice.choice(leaves)
        template = self._dice.choice(branches)
        while "«" in template:
            start, end = template.index("«"), template.index("»")
            inner = self.of(template[start + 1 : end], depth - 1)
            template = template[:start] + inner + template[end + 1 :]
        return template


_GRAMMAR: dict[str, tuple[list[str], list[str]]] = {
    "int": (
        ["id", "t", "s", "1", "-3", "7", "CAST(NULL AS integer)"],
        [
            "(«int» + «int»)", "(«int» - «int»)", "(«int» * 2)", "(«int» / 3)", "(«int» % 5)",
            "try(«int» / «int»)", "abs(«int»)", "coalesce(«int», «int»)", "nullif(«int», «int»)",
            "CASE WHEN «bool» THEN «int» ELSE «int» END", "if(«bool», «int»)", "-«int»",
            "greatest(«int», «int»)", "least(«int», «int»)", "sign(«int»)", "mod(«int», 4)",
            "CAST(round(«dec») AS integer)", "cardinality(sequence(1, abs(«int») % 9 + 1))",
        ],
    ),
    "dec": (
        ["m", "1.25", "-0.5", "CAST(id AS decimal(10,2))"],
        [
            "(«dec» + «int»)", "(«dec» - 1.5)", "(«dec» * 2)", "(«dec» / 3)", "(«dec» % 2.5)",
            "abs(«dec»)", "coalesce(«dec», «int»)", "round(«dec»)", "round(«dec», 1)",
            "ceil(«dec»)", "floor(«dec»)", "CASE WHEN «bool» THEN «dec» ELSE «int» END",
            "TRY_CAST(«dec» AS decimal(12,4))", "greatest(«dec», 1)", "-(«dec»)",
            "nullif(«dec», 7)",
            "TRY_CAST(CAST(«dec» AS varchar) AS decimal(20,3))",
        ],
    ),
    "dbl": (
        ["1e0", "-2.5e0", "CAST(id AS double)", "CAST(m AS double)", "nan()"],
        [
            "(«dbl» + «int»)", "(«dbl» * «dec»)", "(«dbl» / «int»)", "abs(«dbl»)", "sqrt(«dbl»)",
            "floor(«dbl»)", "round(«dbl», 1)", "coalesce(«dbl», «int»)", "power(«dbl», 2)",
            "if(«bool», «dbl», «dec»)", "nullif(«dbl», «dbl»)", "atan(«dbl»)",
        ],
    ),
    "bool": (
        ["i > 3", "true", "g = 'a'", "i IS NULL", "CAST(NULL AS boolean)"],
        [
            "(«int» < «int»)", "(«dec» >= «int»)", "(«dbl» = «dbl»)", "(«dbl» < «dbl»)",
            "(«dbl» <> «int»)", "(«dbl» >= «dbl»)", "(«bool» AND «bool»)", "(«bool» OR «bool»)",
            "(NOT «bool»)", "(«int» IN (1, 3, «int»))", "(«int» NOT IN (7, «int»))",
            "(«dec» BETWEEN «int» AND «int»)", "(«int» IS DISTINCT FROM «int»)", "(«dec» IS NULL)",
            "(«dbl» BETWEEN «dbl» AND 10)", "coalesce(«bool», false)",
        ],
    ),
    "str": (
        ["a", "b", "'x'", "''", "CAST(id AS varchar)", "CAST(NULL AS varchar)", "'Äß'"],
        [
            "(«str» || «str»)", "concat(«str», '-', «str»)", "upper(«str»)", "lower(«str»)",
            "substr(«str», «n»)", "substr(«str», «n», «n»)", "trim(«str»)", "reverse(«str»)",
            "replace(«str», 'l', «str»)", "lpad(«str», 6, '*')", "rpad(«str», 3, 'ab')",
            "coalesce(«str», «str»)", "nullif(«str», 'hello')", "split_part(«str», ',', 2)",
            "if(«bool2», «str», «str»)", "CAST(«n» AS varchar)", "date_format(«ts», '%Y-%m-%d')",
            "regexp_replace(«str», '[a-c]', '#')", "translate(«str», 'abc', 'xy')",
            "element_at(split(«str», ','), «n»)" , "CAST(«date» AS varchar)",
            "greatest(«str», «str»)",
        ],
    ),
    "n": (
        ["1", "2", "-1", "id", "3"],
        [
            "length(«str»)", "strpos(«str», «str»)", "day(«date»)", "cardinality(ia)", "(«n» - 2)",
            "month(«date»)", "hour(«ts»)", "date_diff('day', «date», «date»)",
            "date_diff('month', «date», «date»)", "date_diff('hour', «ts», «ts»)",
            "levenshtein_distance(«str», «str»)", "day_of_week(«date»)", "week(«date»)",
        ],
    ),
    "date": (
        ["dt", "DATE '2020-02-29'", "DATE '1999-12-31'", "CAST(ts AS date)"],
        [
            "date_add('day', «n» % 100, «date»)", "date_add('month', «n» % 100, «date»)",
            "date_trunc('month', «date»)", "date_trunc('week', «date»)", "coalesce(«date», «date»)",
            "(«date» + INTERVAL '1' MONTH)", "(«date» - INTERVAL '3' DAY)", "CAST(«ts» AS date)",
            "last_day_of_month(«date»)", "if(«bool2», «date», «date»)", "greatest(«date», «date»)",
        ],
    ),
    "ts": (
        ["ts", "TIMESTAMP '2020-03-01 12:34:56.789'", "CAST(dt AS timestamp(6))"],
        [
            "date_add('hour', «n» % 1000, «ts»)", "date_trunc('hour', «ts»)",
            "coalesce(«ts», «ts»)",
            "(«ts» + INTERVAL '90' MINUTE)", "(«ts» - INTERVAL '1' YEAR)",
            "CAST(«date» AS timestamp(6))", "if(«bool2», «ts», «ts»)",
            "date_add('month', «n» % 100, «ts»)", "date_trunc('year', «ts»)",
        ],
    ),
    "bool2": (
        ["f", "true", "id > 3", "a = b", "a IS NULL"],
        [
            "(«str» < «str»)", "(«str» = «str»)", "(«date» > «date»)", "(«ts» <= «ts»)",
            "(«date» < «ts»)", "(«str» LIKE 'h%')", "starts_with(«str», 'h')", "(«n» > «n»)",
            "(«bool2» AND «bool2»)", "(«bool2» OR «bool2»)", "(NOT «bool2»)", "contains(ia, «n»)",
            "(«str» IN ('hello', «str»))", "(«date» BETWEEN «date» AND «date»)",
            "regexp_like(«str», '[0-9]+')", "(«str» IS DISTINCT FROM «str»)",
        ],
    ),
}  # fmt: skip


def statements() -> list[str]:
    """The generated statements; no two are alike."""
    maker = Expressions(random.Random(SEED))  # noqa: S311 - dice, not secrets
    found: dict[str, None] = {}
    while len(found) < COUNT:
        found.setdefault(maker.statement())
    return list(found)


if __name__ == "__main__":
    (STATEMENTS / "generated.sql").write_text(";\n".join(statements()) + ";\n", encoding="utf-8")
