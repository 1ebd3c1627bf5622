"""What is a statement, and what is a syntax error: our parser beside Trino's own, in its JVM.

`python -m tests.conformance syntax --count N --seed S` changes known statements token by token
(one is left out, doubled, exchanged, replaced, or the end of another follows) and asks both. Names
and types do not matter to a parser, so it asks some hundred statements a second. With `--figures`
it records Trino's verdicts on changed statements of our own suite for `make test`
(`syntax-sample.jsonl`).
"""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile.reading import read
from tests import trino_process
from tests.differential.suite import cases

_PROGRAM = Path(__file__).parent / "Syntax.java"
_TOKEN = re.compile(
    r"""\s+|--[^\n]*|/\*.*?\*/|(?:U&|X)?'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+(?:\.\d+)?"""
    r"""|->|<>|<=|>=|!=|=>|\|\||.""",
    re.S | re.I,
)
_OFFERED = re.compile(r"Show|Query")
"""Kinds of Trino's statements that may run here. EXPLAIN may explain others."""
SAMPLE = Path(__file__).parent / "syntax-sample.jsonl"
_SAMPLE_SEED, _SAMPLE_COUNT = 476, 1_500
_MAX_CHARS = 1_500


@dataclass(slots=True)
class Compared:
    """What came out, by Trino's verdict and ours, and what differs: statements and its verdicts."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    only_trino: list[tuple[str, str]] = field(default_factory=list)
    """Statements of Trino in which we find a syntax error."""
    only_we: list[tuple[str, str]] = field(default_factory=list)
    """Syntax errors of Trino that we read."""


def trino_verdicts(statements: Sequence[str]) -> list[str]:
    """What Trino's parser says of each: `ok Query`, or `error 1:8 mismatched input …`."""
    java = trino_process.java()
    assert java is not None, "there is no JDK"
    command = [str(java), "-Xss8m", "-cp", f"{trino_process.CACHE}/lib/*", str(_PROGRAM)]
    lines = (base64.b64encode(one.encode("utf-8", "surrogatepass")) for one in statements)
    done = subprocess.run(command, input=b"\n".join(lines), capture_output=True, check=True)
    return done.stdout.decode().splitlines()


def our_verdict(statement: str) -> str:
    """`ok`, or the code of the failure."""
    try:
        read(statement)
    except RunFailed as failed:
        return failed.failure.code.value
    return "ok"


def changed(corpus: Sequence[str], seed: int, count: int) -> Iterator[str]:
    """Statements of the corpus, each with one to three tokens changed.

    None has a semicolon: between and around statements they are the service's business.
    """
    tokens = [_TOKEN.findall(statement.replace(";", " ")) for statement in corpus]
    words = [one for some in tokens for one in some if not one.isspace()]
    for number in range(count):
        dice = random.Random(f"{seed} {number}")  # noqa: S311 - reproducible, no secret
        some = list(dice.choice(tokens))
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            _change(some, dice, words, tokens)
        yield "".join(some)


def _change(
    some: list[str], dice: random.Random, words: Sequence[str], tokens: Sequence[list[str]]
) -> None:
    positions = [at for at, one in enumerate(some) if not one.isspace()]
    if not positions:
        return
    at = dice.choice(positions)
    match dice.randrange(6):
        case 0:
            del some[at]
        case 1:
            some.insert(at, some[at] + " ")
        case 2:
            other = dice.choice(positions)
            some[at], some[other] = some[other], some[at]
        case 3:
            some[at] = dice.choice(words)
        case 4:
            some.insert(at, f" {dice.choice(words)} ")
        case _:
            other_tokens = dice.choice(tokens)
            start = dice.randrange(len(other_tokens))
            some[at:] = other_tokens[start : start + 12]


def differs(theirs: str, ours: str) -> bool:
    """Whether only one of the two reads the statement. One that we refuse by name was read; of two
    errors we may find another first."""
    if theirs.startswith("ok"):
        return ours == FailureCode.SYNTAX_ERROR.value and bool(_OFFERED.search(theirs))
    return ours == "ok"


def compared(statements: Sequence[str]) -> Compared:
    """Ask both, and return what comes out."""
    found = Compared()
    for statement, theirs in zip(statements, trino_verdicts(statements), strict=True):
        ours = our_verdict(statement)
        found.counts[theirs.split()[0], ours] += 1
        if differs(theirs, ours):
            side = found.only_we if ours == "ok" else found.only_trino
            side.append((statement, theirs))
    return found


def report(found: Compared) -> str:
    """Counts, and every statement on which the two differ."""
    lines = [
        f"{n:7,}  Trino: {theirs:6} here: {ours}" for (theirs, ours), n in found.counts.items()
    ]
    for title, some in (("only here", found.only_we), ("only in Trino", found.only_trino)):
        lines.append(f"--- a statement {title}: {len(some)}")
        lines += [f"{theirs[:120]} | {statement}" for statement, theirs in some]
    return "\n".join(lines)


def short(statements: Sequence[str]) -> list[str]:
    """Without the longest: one change of a token among thousands asks little."""
    return [one for one in statements if len(one) < _MAX_CHARS]


def write_sample() -> None:
    """Record Trino's verdicts on changed statements of our own suite."""
    statements = list(changed(short(_own()), _SAMPLE_SEED, _SAMPLE_COUNT))
    with SAMPLE.open("w", encoding="utf-8") as file:
        for statement, theirs in zip(statements, trino_verdicts(statements), strict=True):
            line = {"sql": statement, "trino": " ".join(theirs.split()[:2])}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _own() -> list[str]:
    engineers = (Path(__file__).parent / "engineers.jsonl").read_text("utf-8").splitlines()
    return [case.sql for case in cases()] + [json.loads(line)["sql"] for line in engineers]
