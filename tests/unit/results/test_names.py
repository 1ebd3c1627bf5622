"""Keys of result files."""

from __future__ import annotations

import pytest

from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.names import checked_key, file_key, member_name

RUN = "2f5b6c1e-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("content_type", "encoding", "encrypted", "ending"),
    [
        ("json", "none", False, ".json"),
        ("csv", "gzip", False, ".csv.gz"),
        ("csv", "zip", True, ".csv.zip.enc"),
        ("dsv", "none", True, ".dsv.enc"),
        ("parquet", "zstd", False, ".parquet.zst"),
    ],
)
def test_a_key_has_format_compression_and_encryption(
    content_type: str, encoding: str, encrypted: bool, ending: str
) -> None:
    key = file_key(
        RUN,
        "1764016245123456",
        ContentType(content_type),
        ContentEncoding(encoding),
        encrypted=encrypted,
    )
    assert key == f"{RUN}_1764016245123456{ending}"


def test_a_zips_member_has_the_name_of_what_is_inside() -> None:
    assert member_name("a_1.csv.zip.enc") == "a_1.csv"
    assert member_name("a_1.csv.gz") == "a_1.csv.gz"


@pytest.mark.parametrize(
    "key", ["", ".", "..", "a/b", "../a", ".hidden", "a\0b", "a b", "ü", "x" * 201]
)
def test_nothing_else_is_a_key(key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        checked_key(key)
