"""Links are only as good as the key that signs them."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from queryrun.errors import ConfigurationError
from queryrun.wiring.node import _link_key


@pytest.mark.parametrize("text", ["", "\n", " " * 64, "short", "0" * 64, "ab" * 32, "ü" * 64])
def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "link.key").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="64 random"):
        _link_key(tmp_path / "link.key")


def test_random_keys_are_accepted(tmp_path: Path) -> None:
    for _ in range(1000):
        text = secrets.token_hex(16)
        (tmp_path / "link.key").write_text(f"{text}\n")
        assert _link_key(tmp_path / "link.key") == text.encode()
