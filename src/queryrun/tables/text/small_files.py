"""Many small files at once.

A statement of the engine's costs more than the values of a small file are worth. So the values of
many files are classified by one, and those that have the same types are cast by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from queryrun.tables.text import kinds
from queryrun.tables.text.convert import FAMILY_ROWS, Column, Converter, MismatchError, column_of
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.json_records import UnknownKeyError
from queryrun.tables.text.kinds import Facts
from queryrun.tables.text.sources import Source

MAX_FILE_BYTES = 1024**2
"""Of text, decompressed; a longer file is converted by itself."""
_GROUP_BYTES = 16 * 1024**2
_GROUP_FILES = 1_000
_GROUP_COLUMNS = 50_000


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file that was converted: `index` is its number among the sources."""

    index: int
    columns: tuple[Column, ...]
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class _Text:
    """A file's rows as texts."""

    index: int
    source: Source
    names: Sequence[str]
    rows: pa.Table


def convert_small(converter: Converter, sources: Sequence[Source]) -> Iterator[SmallFile]:
    """Convert the files that are small and plain, in any order.

    Others are passed over: a file with a fault, without columns, longer than `MAX_FILE_BYTES`,
    with nested values. Converted one by one they are read as they should, or their fault is named.
    """
    texts = (
        text for index, source in enumerate(sources) if (text := _text(index, source)) is not None
    )
    while group := _next_group(texts):
        yield from _converted(converter, group)


def write_parquet(rows: pa.Table, path: Path) -> None:
    """A small copy: it is not worth compressing."""
    import pyarrow.parquet  # takes a while, and is needed here alone

    pyarrow.parquet.write_table(rows, path, compression="none", use_dictionary=False)


def _text(index: int, source: Source) -> _Text | None:
    try:
        with source.open() as (names, batches):
            taken, size = [], 0
            for batch in batches:
                taken.append(batch)
                size += batch.nbytes
                if size > MAX_FILE_BYTES:
                    return None
    except (FileFault, UnknownKeyError):
        return None
    return _Text(index, source, names, pa.Table.from_batches(taken)) if names and taken else None


def _next_group(texts: Iterator[_Text]) -> list[_Text]:
    group: list[_Text] = []
    size = columns = 0
    for text in texts:
        group.append(text)
        size += text.rows.nbytes
        columns += len(text.names)
        if size > _GROUP_BYTES or columns > _GROUP_COLUMNS or len(group) >= _GROUP_FILES:
            break
    return group


def _converted(converter: Converter, group: Sequence[_Text]) -> Iterator[SmallFile]:
    """Files with the same types, and the same rules, are cast together."""
    alike: dict[object, list[tuple[_Text, tuple[Column, ...]]]] = {}
    for text, columns in _typed(converter, group):
        key = tuple((c.kind, text.source.rules.get(c.name.lower())) for c in columns)
        alike.setdefault(key, []).append((text, columns))
    for files in alike.values():
        first, columns = files[0]
        batches = itertools.chain.from_iterable(text.rows.to_batches() for text, _ in files)
        try:
            rows = converter.cast(first.source, columns, batches)
        except MismatchError:
            continue
        at = 0
        for text, own in files:
            part = rows.slice(at, text.rows.num_rows)
            at += text.rows.num_rows
            yield SmallFile(text.index, own, part.rename_columns([c.name for c in own]))


def _typed(
    converter: Converter, group: Sequence[_Text]
) -> Iterator[tuple[_Text, tuple[Column, ...]]]:
    is_json = group[0].source.is_json
    facts = converter.facts(is_json, sum(len(text.names) for text in group), _below(group))
    at = 0
    for text in group:
        own = facts[at : at + len(text.names)]
        at += len(text.names)
        columns = _columns(text, own)
        if columns:
            yield text, columns


def _columns(text: _Text, facts: Sequence[Facts]) -> tuple[Column, ...]:
    """None of a file whose types take more than the classes of all its values."""
    is_json = text.source.is_json
    is_long = not is_json and text.rows.num_rows > FAMILY_ROWS
    if is_long and any(map(kinds.may_begin_as_family, facts)):
        return ()
    if any(kinds.type_of(fact, is_json=is_json) in {"JSON", "NESTED"} for fact in facts):
        return ()
    families = ["" if is_json else kinds.family_of(fact) for fact in facts]
    return tuple(
        column_of(text.source, name, fact, None, family)
        for name, fact, family in zip(text.names, facts, families, strict=True)
    )


def _below(group: Sequence[_Text]) -> Iterator[pa.RecordBatch]:
    """The values of all columns of all files, with the number of their column."""
    number = 0
    for text in group:
        columns = text.rows.combine_chunks().columns
        values = [chunk for column in columns for chunk in column.chunks]
        numbers = [
            pa.repeat(pa.scalar(number + index, pa.int32()), len(chunk))
            for index, column in enumerate(columns)
            for chunk in column.chunks
        ]
        number += len(columns)
        if values:
            arrays = [pa.concat_arrays(numbers), pa.concat_arrays(values)]
            yield pa.RecordBatch.from_arrays(arrays, ["c", "v"])
