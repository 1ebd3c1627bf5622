"""The body of `GET /v2/limits` in the OpenAPI document, and an example of it."""

from __future__ import annotations

from queryrun.http.shapes import Schema
from queryrun.runs.limits import Level, Period

_KEYS: Schema = {
    "name": {"type": "string"},
    "level": {"type": "string", "enum": list(Level)},
    "unit": {"type": "string"},
    "period": {"type": "string", "enum": list(Period)},
    "limit": {"type": "number", "minimum": 0},
    "used": {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": "Null when nothing adds up.",
    },
    "left": {"type": ["number", "null"], "minimum": 0},
    "resets_time": {"type": ["string", "null"], "format": "date-time"},
}
LIMIT: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": list(_KEYS),
    "properties": _KEYS,
    "description": "A limit.",
}
LIMITS_OF_CALLER: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["source", "data"],
    "properties": {
        "source": {"type": "string"},
        "data": {
            "type": "array",
            "items": LIMIT,
        },
    },
    "description": "The limits of the caller on a source.",
}
EXAMPLE: dict[str, object] = {
    "source": "live",
    "data": [
        {
            "name": "read_bytes_per_day",
            "level": "entity",
            "unit": "bytes",
            "period": "day",
            "limit": 1000000000,
            "used": 27299860,
            "left": 972700140,
            "resets_time": "2026-11-25T00:00:00.000Z",
        }
    ],
}
