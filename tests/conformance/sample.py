"""A fixed sample of the recorded statements, for `make test`: what must stay as it is in Trino.

`sample.jsonl` has Trino's responses by the statements' digests, and not a word of the statements:
those are read from Trino's published test sources, which `make trino-server` fetches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.extract import Statement
from tests.conformance.recorded import RECORDED, read_recorded
from tests.conformance.verdicts import BOTH_FAIL, EQUAL, Verdict
from tests.differential.suite import Recorded

SAMPLE = Path(__file__).parent / "sample.jsonl"
SIZE = 1_600
_MAX_LINE_CHARS = 600
_MAX_MESSAGE_CHARS = 200


def write_sample(verdicts: Mapping[str, Verdict]) -> None:
    """The first by digest of those that come out alike, which is by chance."""
    alike = {key for key, one in verdicts.items() if one.verdict in {EQUAL, BOTH_FAIL}}
    entries = map(json.loads, RECORDED.read_text("utf-8").splitlines())
    lines = {entry["key"]: _line(entry) for entry in entries if entry["key"] in alike}
    short = sorted(key for key, line in lines.items() if len(line) <= _MAX_LINE_CHARS)
    SAMPLE.write_text("".join(lines[key] for key in short[:SIZE]), "utf-8")


def _line(entry: dict[str, object]) -> str:
    if "message" in entry:
        entry["message"] = str(entry["message"])[:_MAX_MESSAGE_CHARS]
    return json.dumps(entry, ensure_ascii=False) + "\n"


def sampled(statements: Sequence[Statement]) -> list[tuple[Statement, Recorded]]:
    """The sample's statements, each with what Trino made of it."""
    recorded = read_recorded(SAMPLE)
    return [(one, recorded[one.key]) for one in statements if one.key in recorded]
