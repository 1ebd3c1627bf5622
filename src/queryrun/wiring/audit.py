"""The entry of the audit log that says with which settings a node has started."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from queryrun import __version__
from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.settings import Settings

_SECRET_NAMES = ("url", "secret", "token", "credential", "password", "key")
"""Settings whose name has one of these may hold a secret or point to one: their values stay out."""
_HIDDEN = "set"


def node_started(settings: Settings, sandbox: object) -> AuditEntry:
    """Every setting that is not the default, without secrets, and a digest of all of them."""
    tree = msgspec.to_builtins(settings, enc_hook=str)
    defaults = msgspec.to_builtins(Settings(), enc_hook=str)
    everything = json.dumps(tree, sort_keys=True)
    changed = dict(_changed(tree, defaults))
    detail = {
        "version": __version__,
        "sandbox": str(sandbox),
        "settings": changed,
        "settings_digest": sha256(everything.encode()).hexdigest(),
    }
    return AuditEntry(AuditEvent.NODE_STARTED, subject=socket.gethostname(), detail=detail)


def _changed(
    tree: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        default = defaults.get(name)
        if isinstance(value, Mapping):
            yield from _changed(
                value, default if isinstance(default, Mapping) else {}, f"{prefix}{name}."
            )
        elif value != default:
            yield f"{prefix}{name}", _visible(name, value)


def _visible(name: str, value: object) -> object:
    return _HIDDEN if any(word in name.lower() for word in _SECRET_NAMES) else value
