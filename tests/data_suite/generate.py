"""Columns of values that readers of files are known to get wrong, and of ordinary ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

Make = Callable[[random.Random], str]


def _moment(r: random.Random) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=r.randrange(2_000_000_000))


def _date(r: random.Random) -> date:
    return _moment(r).date()


FAMILIES: dict[str, Make] = {
    "small": lambda r: str(r.randrange(-50, 1000)),
    "large": lambda r: str(r.randrange(-(2**63), 2**63)),
    "huge": lambda r: str(r.randrange(10**18, 10 ** r.randrange(19, 40))),
    "money": lambda r: f"{r.randrange(100_000)}.{r.randrange(100):02d}",
    "float": lambda r: repr(r.uniform(-1e3, 1e3)),
    "tiny": lambda r: repr(r.random() * 10 ** r.randrange(-20, 25)),
    "exact": lambda r: f"{r.randrange(10**12)}.{r.randrange(10**12):012d}",
    "code": lambda r: f"{r.randrange(1000):05d}",
    "truth": lambda r: r.choice(["true", "false"]),
    "python": lambda r: r.choice(["True", "False"]),
    "yes": lambda r: r.choice(["yes", "no", "NO", "Y", "on"]),
    "date": lambda r: _date(r).isoformat(),
    "slashed": lambda r: _date(r).strftime("%d/%m/%Y"),
    "american": lambda r: _date(r).strftime("%m/%d/%Y"),
    "moment": lambda r: _moment(r).isoformat(" "),
    "micro": lambda r: (_moment(r) + timedelta(microseconds=r.randrange(10**6))).isoformat(),
    "instant": lambda r: f"{_moment(r).isoformat()}{r.choice(['Z', '+02:00', '-0330', '+05'])}",
    "words": lambda r: " ".join(r.choices(["lee", "ann", "NULL", "größe", "x,y", "a;b"], k=2)),
    "colour": lambda r: f"#{r.randrange(4096):03x}",
    "quoted": lambda r: r.choice(['say "hi"', "two\nlines", "a\tb", "it's", '"', "\\n", "a\r\nb"]),
}
"""Each makes values of one sort."""

ODD = [
    "", "0", "-0", "007", "1E5", "1e5", "1e-05", "NO", "1_000", "1-2-3", "+5", " 1", "1 ", ".5",
    "5.", "1.0", "NaN", "inf", "null", "N/A", "-", "#fff", "2024-02-30", "2024-1-2", "0x1F",
    "24:00:00", "12:34", "2024-01-02 03:04:05", "2024-01-02 24:00:00", "31/12/2024", "12/31/2024",
    "01/02/2024", "2024-01-02T03:04:05Z", "2024-01-02 03:04:05.1234567", "true", "T", "1,5",
    "9007199254740993", "9223372036854775808", "0.1234567890123456789", "１", "1\u00a0000",
]  # fmt: skip
"""Values that some reader takes for something that they are not."""


def column(r: random.Random, rows: int) -> list[str]:
    """A column: one family, mostly; sometimes with an odd value somewhere, or without some."""
    make = FAMILIES[r.choice(sorted(FAMILIES))]
    values = [make(r) for _ in range(rows)]
    if r.random() < 0.4:
        values[r.choice([0, rows // 2, rows - 1])] = r.choice(ODD)
    if r.random() < 0.3:
        values = [value if r.random() < 0.8 else "" for value in values]
    return values


def padded(r: random.Random, values: Sequence[str], rows: int) -> list[str]:
    """The same values far behind many copies of the first ones."""
    ordinary = list(values[: max(len(values) // 2, 1)])
    return [r.choice(ordinary) for _ in range(rows)] + list(values)
