"""Parts of which the OpenAPI document's schemas are made."""

from __future__ import annotations

Schema = dict[str, object]

TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "ISO 8601 in UTC with milliseconds.",
}


def text(description: str, **more: object) -> Schema:
    return {"type": "string", "description": description, **more}


def whole(description: str, **more: object) -> Schema:
    return {"type": "integer", "description": description, **more}


def whole_or_null(description: str) -> Schema:
    return {"type": ["integer", "null"], "description": description}


def closed_object(properties: Schema, description: str, required: tuple[str, ...] = ()) -> Schema:
    shape: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        shape["required"] = list(required)
    return {**shape, "description": description}


def whole_object(properties: Schema, description: str, *optional: str) -> Schema:
    """An object that has every property, but for those named `optional`, and no other."""
    required = tuple(name for name in properties if name not in optional)
    return closed_object(properties, description, required)


def reference(name: str) -> Schema:
    """To a schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}
