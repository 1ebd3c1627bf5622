"""The bill of materials is valid, and has every package that the image installs."""

from __future__ import annotations

import json
import re

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tools.sbom import LOCK, text_of_bill


def test_it_is_valid_by_the_standards_own_schema() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text_of_bill()) is None


def test_it_has_every_package_of_the_lock_with_every_hash() -> None:
    text = LOCK.read_text(encoding="utf-8")
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==(\S+)", text, re.MULTILINE))
    components = json.loads(text_of_bill())["components"]
    assert {(one["name"], one["version"]) for one in components} == locked
    assert len(components) == len(locked) > 20
    hashes = [
        found["content"] for one in components for found in one["externalReferences"][0]["hashes"]
    ]
    assert set(hashes) == set(re.findall(r"sha256:([0-9a-f]{64})", text))


def test_the_same_lock_gives_the_same_bytes() -> None:
    assert text_of_bill() == text_of_bill()
