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
    """What came out, by Trino's verdict and ours, and what differs: statement, theirs, ours."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    only_trino: list[tuple[str, str, str]] = field(default_factory=list)
    """Statements of Trino in which we find a syntax error."""
    only_we: list[tuple[str, str, str]] = field(default_factory=list)
    """Syntax errors of Trino that we read."""


class TrinoParser:
    """Trino's parser. Compared for many statements at once, it responds in their order."""

    def __init__(self) -> None:
        java = trino_process.java()
        assert java is not None, "there is no JDK"
        libraries = f"{trino_process.CACHE}/lib/*"
        self._process = subprocess.Popen(
            [str(java), "-Xmx512m", "-Xss8m", "-cp", libraries, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def verdicts(self, statements: Sequence[str]) -> list[str]:
        """`ok Query`, or `error 1:8 mismatched input …`, for each."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        found = []
        for statement in statements:  # one by one: both pipes are bounded
            line = base64.b64encode(statement.encode("utf-8", "surrogatepass")).decode()
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            found.append(self._process.stdout.readline().rstrip("\n"))
        return found

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


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


def compared(statements: Sequence[str]) -> Compared:
    """Ask both, and return what comes out."""
    found, parser = Compared(), TrinoParser()
    verdicts = parser.verdicts(statements)
    parser.close()
    for statement, theirs in zip(statements, verdicts, strict=True):
        ours = our_verdict(statement)
        is_theirs = theirs.startswith("ok")
        found.counts[theirs.split()[0], ours] += 1
        if is_theirs and ours == FailureCode.SYNTAX_ERROR.value and _OFFERED.search(theirs):
            found.only_trino.append((statement, theirs, ours))
        elif not is_theirs and ours == "ok":
            found.only_we.append((statement, theirs, ours))
    return found


def report(found: Compared) -> str:
    """Counts, and every statement on which the two differ."""
    lines = [
        f"{n:7,}  Trino: {theirs:6} here: {ours}" for (theirs, ours), n in found.counts.items()
    ]
    for title, some in (("only here", found.only_we), ("only in Trino", found.only_trino)):
        lines.append(f"--- a statement {title}: {len(some)}")
        lines += [f"{theirs[:120]} | {statement}" for statement, theirs, _ in some]
    return "\n".join(lines)


def short(statements: Sequence[str]) -> list[str]:
    """Without the longest: one change of a token among thousands asks little."""
    return [one for one in statements if len(one) < _MAX_CHARS]


def write_sample() -> None:
    """Record Trino's verdicts on changed statements of our own suite."""
    statements = list(changed(short(_own()), _SAMPLE_SEED, _SAMPLE_COUNT))
    parser = TrinoParser()
    verdicts = parser.verdicts(statements)
    parser.close()
    with SAMPLE.open("w", encoding="utf-8") as file:
        for statement, theirs in zip(statements, verdicts, strict=True):
            is_ours = theirs.startswith("error") or _OFFERED.search(theirs)
            if is_ours:
                line = {"sql": statement, "is_statement": theirs.startswith("ok")}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _own() -> list[str]:
    engineers = (Path(__file__).parent / "engineers.jsonl").read_text("utf-8").splitlines()
    return [case.sql for case in cases()] + [json.loads(line)["sql"] for line in engineers]
