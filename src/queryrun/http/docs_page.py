"""The OpenAPI document as one HTML page for people, to read, to search, to copy from and to try."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment
from markupsafe import Markup, escape

from queryrun.http.openapi import MEANINGS
from queryrun.http.samples import FORM, body_text, samples

CODE = re.compile(r"`([^`]+)`")
PARAGRAPH = re.compile(r"\n\s*\n")


def render_page(document: Mapping[str, Any], *, has_manual: bool) -> str:
    """The page: operations in the order of the table, then the schemas they share.

    `has_manual`: whether the manual is installed, so that the page may lead to it.
    """
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"prose": _prose, "sample": _sample, "kind": _kind, "anchor": _anchor}
    environment.filters |= {"samples": samples, "body": body_text, "form": urlencode}
    source = resources.files("queryrun.http").joinpath("templates/docs.html.j2").read_text("utf-8")
    operations = [
        {"method": method.upper(), "path": path, **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    tags = list(dict.fromkeys(TAG_ORDER + [tag for one in operations for tag in one["tags"]]))
    return environment.from_string(source).render(
        info=document["info"],
        tags=tags,
        operations=operations,
        meanings=MEANINGS,
        schemas=document["components"]["schemas"],
        script=Markup(script()),  # noqa: S704 (a file of ours, without a text of others)
        FORM=FORM,
        has_manual=has_manual,
    )


def script() -> str:
    """The page's script. Nothing of the document is in it, and the policy allows it by its hash."""
    return resources.files("queryrun.http").joinpath("templates/docs.js").read_text("utf-8")


def script_hash() -> str:
    """What a content security policy calls the script."""
    digest = hashlib.sha256(script().encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


TAG_ORDER = ["Tokens", "Query runs", "Files", "Requests", "Operations"]
"""The order in which a newcomer needs them."""


def _prose(text: str) -> Markup:
    """Escaped text with `code` and paragraphs."""
    paragraphs = [CODE.sub(r"<code>\1</code>", str(escape(part))) for part in PARAGRAPH.split(text)]
    return Markup("</p><p>".join(paragraphs))  # noqa: S704 (escaped above)


def _sample(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _anchor(reference: str) -> str:
    return reference.rpartition("/")[2]


def _kind(schema: Mapping[str, Any]) -> str:
    """A short name of a schema's type."""
    if "$ref" in schema:
        return _anchor(schema["$ref"])
    kind = schema.get("type", "any")
    name = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if name == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    return f"{name} ({schema['format']})" if "format" in schema else name
