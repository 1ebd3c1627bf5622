"""The statements with constant text in Trino's published test sources and documentation.

Nothing of these is committed: they are fetched from Maven Central (`fetch.py`), and read here.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.fetch import Archive
from tests.conformance.java_text import Call, calls_of, constant, constants_of, tokens_of

_QUERIES = frozenset(
    [
        "query", "execute", "assertQuery", "assertQueryFails", "assertQueryOrdered",
        "assertQueryReturnsEmptyResult", "assertQuerySucceeds", "computeActual", "computeScalar",
        "assertQueryAndPlan", "assertQueryStats", "executeExclusively", "assertQueryEventually",
    ]
)  # fmt: skip
_EXPRESSIONS = frozenset(
    ["expression", "assertFunction", "assertExpression", "assertInvalidFunction"]
)
_CALLS = _QUERIES | _EXPRESSIONS | {"function", "operator"}
_OPERATORS = {
    "ADD": "({0}) + ({1})", "SUBTRACT": "({0}) - ({1})", "MULTIPLY": "({0}) * ({1})",
    "DIVIDE": "({0}) / ({1})", "MODULUS": "({0}) % ({1})", "NEGATION": "-({0})",
    "EQUAL": "({0}) = ({1})", "LESS_THAN": "({0}) < ({1})", "LESS_THAN_OR_EQUAL": "({0}) <= ({1})",
    "IDENTICAL": "({0}) IS NOT DISTINCT FROM ({1})", "SUBSCRIPT": "({0})[{1}]",
}  # fmt: skip
_READS = re.compile(r"^[\s(]*(SELECT|WITH|VALUES|TABLE|SHOW|DESCRIBE|DESC|EXPLAIN)\b", re.I)
_FENCED = re.compile(
    r"^```+(?:\{code-block\} )?[ ]*(?P<kind>\w*)[ ]*\n(?P<body>.*?)^```", re.M | re.S
)
_COMMENT = re.compile(r"--[^\n]*")
MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `kind`: queries, functions or documentation; `file` is where it is from."""

    sql: str
    kind: str
    file: str

    @property
    def key(self) -> str:
        """What it is recorded by: its text is not ours to keep."""
        return key_of(self.sql)


def key_of(sql: str) -> str:
    """A digest of a statement."""
    return hashlib.sha256(sql.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def statements(archives: Sequence[tuple[Archive, Path]]) -> list[Statement]:
    """All of them, each once, in the order of files."""
    found: dict[str, Statement] = {}
    for archive, path in archives:
        for file, text in _files(path):
            read = _documented(text) if archive.kind == "documentation" else _tested(text)
            for sql in read:
                statement = Statement(sql.strip(), archive.kind, Path(file).name.split(".")[0])
                if statement.sql and len(sql) <= MAX_CHARS:
                    found.setdefault(statement.sql, statement)
    return list(found.values())


def _files(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith((".java", ".md.txt")):
                yield name, archive.read(name).decode("utf-8", "replace")


def _tested(source: str) -> Iterator[str]:
    tokens = tokens_of(source)
    known = constants_of(tokens)
    for call in calls_of(tokens, _CALLS):
        texts = [constant(argument, known) for argument in call.arguments]
        if call.name in _QUERIES:
            if texts and texts[0] and _READS.match(texts[0]):
                yield texts[0]
        elif expression := _expression(call, texts):
            yield _bound(expression, call, known)


def _expression(call: Call, texts: Sequence[str | None]) -> str | None:
    if call.name in _EXPRESSIONS:
        return texts[0] if texts else None
    if call.name == "function" and texts and texts[0] and all(t is not None for t in texts):
        arguments = ", ".join(str(text) for text in texts[1:])
        return f'"{texts[0]}"({arguments})'
    if call.name == "operator" and call.arguments and None not in texts[1:]:
        form = _OPERATORS.get(call.arguments[0][-1].text)
        return form.format(*texts[1:]) if form and form.count("{") == len(texts) - 1 else None
    return None


def _bound(expression: str, call: Call, known: dict[str, str]) -> str:
    """`expression("a + 1").binding("a", "2")` as a query; names that are bound are columns."""
    bindings = {}
    for one in call.chain:
        texts = [constant(argument, known) for argument in one.arguments]
        if one.name == "binding" and len(texts) == 2 and texts[0] and texts[1]:
            bindings[texts[0]] = texts[1]
    if not bindings:
        return f"SELECT {expression}"
    values, names = ", ".join(bindings.values()), ", ".join(bindings)
    return f"SELECT {expression} FROM (VALUES ROW({values})) t({names})"


def _documented(text: str) -> Iterator[str]:
    for block in _FENCED.finditer(text):
        if block["kind"] not in {"sql", "", "text"}:
            continue
        for part in _COMMENT.sub("", block["body"]).split(";"):
            if _READS.match(part):
                yield part.strip()


_OTHER_SCALE = re.compile(r"\bsf1(0*|000)\.|\bsf30*\.", re.I)
_HIDDEN = re.compile(r"\bmin\(row_number\) FROM (tpch\.tiny\.)?nation\b", re.I)


def is_beyond(statement: Statement) -> bool:
    """Whether it asks Trino's connector `tpch` for what files do not have: its hidden column, and
    tables of another scale."""
    sql = statement.sql
    is_hidden = statement.file == "TestHiddenColumns" or _HIDDEN.search(sql)
    return bool(is_hidden or _OTHER_SCALE.search(sql))
