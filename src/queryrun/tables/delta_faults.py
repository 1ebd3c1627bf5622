"""Which file of a Delta log is at fault, when the planner cannot read it: it names none."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from queryrun.tables.model import RESTORE, displayed
from queryrun.tables.shortage import raise_if_short

LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(
    r"(?P<version>\d{20})\.checkpoint"
    r"(?:\.(?P<part>\d{10})\.(?P<parts>\d{10})|\.[0-9a-f-]{36})?\.(?:parquet|json)"
)


def fault_in_log(root: str) -> str:
    """The first fault that is found: file, line where there is one, and what to do.

    Empty when every file that counts is there and can be read, so that the fault is another.
    """
    log = Path(root, LOG)
    try:
        found = next(_faults(log), "")
    except OSError as error:
        raise_if_short(error)
        name = os.path.basename(str(error.filename or LOG))  # noqa: PTH119
        found = f"{_named(name)} cannot be read ({error.strerror})"
    return f"{found}; {RESTORE}" if found else ""


def empty_commit(root: str) -> str:
    """A commit that counts and says nothing, as a writer leaves behind that was cut off: what it
    had added or removed is not known. The planner passes it over. Empty when there is none.
    """
    newest, empty = -1, {}
    with os.scandir(os.path.join(root, LOG)) as entries:  # noqa: PTH118
        for entry in entries:
            if match := _CHECKPOINT.fullmatch(entry.name):
                newest = max(newest, int(match["version"]))
            elif (match := _COMMIT.fullmatch(entry.name)) and not _size_bytes(entry):
                empty[int(match[1])] = entry.name
    found = [name for version, name in sorted(empty.items()) if version > newest]
    return f"{_named(found[0])} is empty; {RESTORE}" if found else ""


def reader_features(root: str) -> frozenset[str]:
    """What the newest protocol among the commits asks of a reader; empty when none says it."""
    log = Path(root, LOG)
    for name in sorted(filter(_COMMIT.fullmatch, os.listdir(log)), reverse=True):  # noqa: PTH208
        for line in (log / name).read_bytes().splitlines():
            with contextlib.suppress(ValueError, LookupError, TypeError):  # it is no protocol
                return frozenset(map(str, json.loads(line)["protocol"]["readerFeatures"]))
    return frozenset()


def _size_bytes(entry: os.DirEntry[str]) -> int:
    """0 for what is no file."""
    return entry.stat().st_size if entry.is_file() else 0


def _faults(log: Path) -> Iterator[str]:
    names = sorted(os.listdir(log))  # noqa: PTH208 - names alone
    commits = {int(match[1]): name for name in names if (match := _COMMIT.fullmatch(name))}
    checkpoints = [match for name in names if (match := _CHECKPOINT.fullmatch(name))]
    newest = max((int(match["version"]) for match in checkpoints), default=-1)
    parts = [match for match in checkpoints if int(match["version"]) == newest]
    if not commits and not parts:
        yield f"its log '{LOG}' has no commit"
    yield from _faults_of_hint(log, newest)
    yield from _faults_of_checkpoint(log, parts)
    for version in range(newest + 1, max(commits, default=newest) + 1):
        name = commits.get(version)
        if name is None:
            yield f"{_named(f'{version:020}.json')} is not there (version {version})"
        else:
            yield from _faults_of_lines(log / name)


def _faults_of_hint(log: Path, newest: int) -> Iterator[str]:
    """The last checkpoint is named beside the log, and may have been removed."""
    path = log / "_last_checkpoint"
    if not path.is_file():
        return
    try:
        version = json.loads(path.read_bytes())["version"]
    except (ValueError, KeyError, TypeError):
        yield f"{_named(path.name)} is not JSON"
        return
    if version > newest:
        yield f"the checkpoint of version {version}, which {_named(path.name)} names, is not there"


def _faults_of_checkpoint(log: Path, parts: Sequence[re.Match[str]]) -> Iterator[str]:
    for match in parts:
        count = int(match["parts"] or 0)
        there = {int(one["part"] or 0) for one in parts if one["parts"] == match["parts"]}
        for missing in sorted(set(range(1, count + 1)) - there):
            name = f"{match['version']}.checkpoint.{missing:010}.{count:010}.parquet"
            yield f"{_named(name)} is not there"
        path = log / match[0]
        yield from _faults_of_lines(path) if path.suffix == ".json" else _faults_of_parquet(path)


def _faults_of_lines(path: Path) -> Iterator[str]:
    """Each line is an action. A checkpoint's may name files beside the log."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                action = json.loads(line)
            except ValueError:
                yield f"{_named(path.name)} line {number} is not JSON"
                return
            if not isinstance(action, dict):
                yield f"{_named(path.name)} line {number} is no action"
                return
            if isinstance(action.get("sidecar"), dict):
                name = os.path.basename(str(action["sidecar"].get("path")))  # noqa: PTH119
                yield from _faults_of_parquet(path.parent / "_sidecars" / name)


def _faults_of_parquet(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        yield f"{_named(path.name)} is not there"
        return
    try:
        pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise_if_short(error)
        yield f"{_named(path.name)} is damaged, or no Parquet file"


def _named(name: str) -> str:
    return f"'{LOG}/{displayed(name)}'"
