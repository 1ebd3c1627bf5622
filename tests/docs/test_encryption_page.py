"""The script on docs/reference/encryption.md opens a file that the service has encrypted."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from queryrun.results.encrypt import FRAME_BYTES, encrypted, parse_public_key
from tests.docs.executed import ROOT

PAGE = ROOT / "docs/reference/encryption.md"
THREE_FRAMES = bytes(range(256)) * (3 * FRAME_BYTES // 256)


@pytest.mark.parametrize("plain", [THREE_FRAMES, THREE_FRAMES[:-1], b""])
def test_the_script_on_the_reference_page_opens_a_file(plain: bytes, tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(script.strip().splitlines()) <= 30
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    recipient = parse_public_key(base64.b64encode(der).decode())
    (tmp_path / "decrypt.py").write_text(script)
    (tmp_path / "private.pem").write_bytes(pem)
    (tmp_path / "result.enc").write_bytes(b"".join(encrypted([plain], recipient)))
    command = [sys.executable, "decrypt.py", "private.pem", "result.enc"]
    opened = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert opened.stdout == plain
