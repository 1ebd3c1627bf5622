"""Every entry of the registry holds what the rest of the service expects of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import duckdb
import msgspec
import pytest

from queryrun.engines.base import Column
from queryrun.results.arrow import arrow_stream, batches_of
from queryrun.results.columnar import READERS, columnar_preview
from queryrun.results.count import BatchCounter
from queryrun.results.encode import FileLayout, copy_sql, select_sql
from queryrun.results.formats import ContentEncoding, ContentType, format_names, names_of
from queryrun.results.names import MEDIA_TYPES, UNKNOWN_TYPE, file_key, media_type
from queryrun.results.preview import PreviewRequest, is_simple
from queryrun.results.preview_rows import RowWindow
from tests.unit.results.packing import packed

RUN = "2f5b6c1e-0000-4000-8000-000000000001"
SQL = "SELECT i, 'line' || chr(10) || i AS t FROM range(1000) r(i)"
COLUMNS = [Column("i", "BIGINT"), Column("t", "VARCHAR")]
SEPARATOR = ";"


def written(content_type: ContentType, directory: Path) -> bytes:
    """A thousand rows in this format."""
    layout = FileLayout(content_type, SEPARATOR)
    with duckdb.connect(":memory:") as connection:
        query = select_sql(SQL, COLUMNS, layout)
        if content_type.spec.copy_options is None:
            return b"".join(arrow_stream(batches_of(connection, query.text), BatchCounter()))
        connection.execute(copy_sql(query, layout, str(directory / "file")).text)
    return (directory / "file").read_bytes()


@pytest.mark.parametrize("content_type", ContentType)
@pytest.mark.parametrize("encoding", ContentEncoding)
def test_a_preview_returns_what_was_written(
    content_type: ContentType, encoding: ContentEncoding, tmp_path: Path
) -> None:
    file = io.BytesIO(packed(encoding, [written(content_type, tmp_path)]))
    window = RowWindow(998, 5, content_type.spec.separator_for(SEPARATOR))
    found = columnar_preview(file, PreviewRequest(content_type, encoding, window))
    rows = json.loads(msgspec.json.encode(found.rows))
    assert found.columns == ["i", "t"]
    assert [[str(value) for value in row] for row in rows] == [
        [str(number), f"line\n{number}"] for number in (998, 999)
    ]


@pytest.mark.parametrize("content_type", ContentType)
def test_rows_are_counted_exactly_or_not_at_all(content_type: ContentType, tmp_path: Path) -> None:
    counter = content_type.spec.counter()
    counter.feed(written(content_type, tmp_path))
    assert counter.rows == (1000 if counter.is_exact else 0)


@pytest.mark.parametrize("content_type", ContentType)
def test_a_format_has_one_preview_reader(content_type: ContentType) -> None:
    is_text_reader = content_type.spec.preview is not None
    assert is_text_reader is not (content_type in READERS)
    assert is_simple(content_type, ContentEncoding.NONE) is is_text_reader


@pytest.mark.parametrize("content_type", ContentType)
def test_names_and_media_types_follow_from_the_entry(content_type: ContentType) -> None:
    plain = file_key(RUN, "1", content_type, ContentEncoding.NONE, encrypted=False)
    assert plain.endswith(content_type.spec.suffix)
    assert media_type(plain) == content_type.spec.media_type
    packed = file_key(RUN, "1", content_type, ContentEncoding.GZIP, encrypted=False)
    assert media_type(packed) == "application/gzip"
    sealed = file_key(RUN, "1", content_type, ContentEncoding.GZIP, encrypted=True)
    assert media_type(sealed) == UNKNOWN_TYPE


def test_no_two_entries_share_a_name_or_a_suffix() -> None:
    specs = [one.spec for one in (*ContentType, *ContentEncoding)]
    assert len({spec.name for spec in specs}) == len(specs)
    assert len({spec.suffix for spec in specs}) == len(specs)
    assert len(MEDIA_TYPES) == len(set(MEDIA_TYPES))


def test_names_are_listed_for_descriptions() -> None:
    assert format_names(lambda spec: not spec.is_extension) == ["json", "csv", "tsv", "dsv"]
    assert names_of(["a", "b", "c"]) == "`a`, `b` and `c`"
    assert names_of(["a"]) == "`a`"
