"""The committed document of the contract alone, and whether a response fits it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from openapi_schema_validator import OAS30Validator

PATH = Path(__file__).parents[2] / "docs" / "reference" / "openapi-contract.json"
DOCUMENT: dict[str, Any] = msgspec.json.decode(PATH.read_bytes())
PATTERNS = [
    (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), methods)
    for path, methods in DOCUMENT["paths"].items()
]


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The contract's operation at a path; None for our additions and for what does not exist."""
    for pattern, methods in PATTERNS:
        if pattern.fullmatch(path.removesuffix("/")):
            found: dict[str, Any] | None = methods.get(method.lower())
            return found
    return None


def faults(response: httpx2.Response) -> list[str]:
    """What in a response's body is not in the schema of its operation and status. Every status
    must be documented."""
    operation = operation_of(response.request.method, response.request.url.path)
    if operation is None:
        return []
    described = operation["responses"].get(str(response.status_code))
    if described is None:
        return [f"status {response.status_code} is not documented"]
    schema = described["content"]["application/json"]["schema"]
    whole = {**schema, "components": DOCUMENT["components"]}
    errors = OAS30Validator(whole).iter_errors(response.json())
    return [f"{error.json_path}: {error.message}" for error in errors]
