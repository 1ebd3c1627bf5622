"""Headers of everything that a browser shows: the console and the manual."""

from __future__ import annotations

HARDENED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
NO_FRAME = {"x-frame-options": "DENY"}
