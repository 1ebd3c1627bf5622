"""Delta logs written by hand, for what `deltalake` reads and does not write."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_B85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_MAGIC = 1681511377


def write_log(root: Path, version: int, actions: Sequence[Mapping[str, Any]]) -> None:
    """One commit."""
    log = root / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(action) + "\n" for action in actions)
    (log / f"{version:020}.json").write_text(lines)


def protocol(*features: str) -> dict[str, Any]:
    """A reader of version 3 that knows these features."""
    return {
        "protocol": {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": list(features),
            "writerFeatures": list(features),
        }
    }


def metadata(fields: Sequence[Mapping[str, Any]], **configuration: str) -> dict[str, Any]:
    """The schema."""
    schema = {"type": "struct", "fields": list(fields)}
    return {
        "metaData": {
            "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps(schema),
            "partitionColumns": [],
            "configuration": configuration,
            "createdTime": 1,
        }
    }


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    """A column."""
    return {"name": name, "type": kind, "nullable": True, "metadata": more}


def add(
    root: Path, name: str, table: pa.Table, deleted: Sequence[int] = (), **options: Any
) -> dict[str, Any]:
    """Write a file, and say that it belongs to the table, without these rows."""
    root.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, root / name, **options)
    action: dict[str, Any] = {
        "path": name,
        "partitionValues": {},
        "size": (root / name).stat().st_size,
        "modificationTime": 1,
        "dataChange": True,
        "stats": json.dumps({"numRecords": table.num_rows}),
    }
    if deleted:
        bitmap = _roaring(deleted)
        action["deletionVector"] = {
            "storageType": "i",
            "pathOrInlineDv": _z85(bitmap),
            "sizeInBytes": len(bitmap),
            "cardinality": len(deleted),
        }
    return {"add": action}


def _roaring(rows: Sequence[int]) -> bytes:
    """One array container of a 32-bit bitmap, in Delta's 64-bit array of bitmaps."""
    container = struct.pack(f"<{len(rows)}H", *sorted(rows))
    header = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16)
    found = struct.pack("<IQI", _MAGIC, 1, 0) + header + container
    return found + b"\0" * (-len(found) % 4)


def _z85(data: bytes) -> str:
    return base64.b85encode(data).decode().translate(str.maketrans(_B85, _Z85))
