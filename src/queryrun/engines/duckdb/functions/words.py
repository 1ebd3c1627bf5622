"""Functions of strings: sounds, positions, maps in a string, addresses."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Literal, cast
from urllib.parse import unquote_plus
from zoneinfo import ZoneInfo

from queryrun.engines.duckdb.functions.registry import InputError, UnsupportedError, worker_function
from queryrun.sql.compile.iso_moments import IsoMoment, read_iso, read_iso_date_time

_Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
_SOUNDS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "01230120022455012623010202", strict=True))


@worker_function("qr_soundex(VARCHAR) -> VARCHAR")
def _soundex(value: str) -> str:
    letters = "".join(c for c in value if c.isalpha()).upper()
    for letter in letters:
        if letter not in _SOUNDS:
            index = ord(letter) - ord("A")
            raise InputError(f"The character is not mapped: {letter} (index={index})")
    if not letters:
        return ""
    found, last = letters[0], _SOUNDS[letters[0]]
    for letter in letters[1:]:
        if letter in "HW":
            continue
        sound = _SOUNDS[letter]
        if sound not in {"0", last}:
            found += sound
        last = sound
    return f"{found}000"[:4]


@worker_function("qr_normalize(VARCHAR, VARCHAR) -> VARCHAR")
def _normalize(value: str, form: str) -> str:
    """`form` is one of Unicode's: the translation has checked it."""
    return unicodedata.normalize(cast(_Form, form), value)


@worker_function("qr_luhn_check(VARCHAR) -> BOOLEAN")
def _luhn_check(value: str) -> bool:
    if not value:
        return False
    if not (value.isascii() and value.isdigit()):
        raise InputError("Input contains non-digit character")
    digits = [int(digit) for digit in reversed(value)]
    total = sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return total % 10 == 0


@worker_function("qr_strpos(VARCHAR, VARCHAR, BIGINT) -> BIGINT")
def _strpos(value: str, part: str, instance: int) -> int:
    """The `instance`th position, from the end for a negative one; positions may overlap."""
    if instance == 0:
        raise InputError("'instance' must be a positive or negative number.")
    if not part:
        return 1
    if instance < 0 and not value.isascii():
        raise UnsupportedError("strpos from the end of a string with characters beyond ASCII")
    at = -1 if instance > 0 else len(value)
    for _ in range(abs(instance)):
        at = value.find(part, at + 1) if instance > 0 else value.rfind(part, 0, at + len(part) - 1)
        if at < 0:
            return 0
    return at + 1


@worker_function("qr_split(VARCHAR, VARCHAR, BIGINT) -> VARCHAR[]")
def _split(value: str, delimiter: str, limit: int) -> list[str]:
    if limit <= 0:
        raise InputError("Limit must be positive")
    if limit > 2**31 - 1:
        raise InputError("Limit is too large")
    if not delimiter:
        raise InputError("The delimiter may not be the empty string")
    return value.split(delimiter, limit - 1)


def _entries(value: str, entries: str, pairs: str) -> list[tuple[str, str]]:
    if not entries:
        raise InputError("entryDelimiter is empty")
    if not pairs:
        raise InputError("keyValueDelimiter is empty")
    if entries == pairs:
        raise InputError("entryDelimiter and keyValueDelimiter must not be the same")
    parts = value.split(entries)
    if parts[-1] == "":
        parts.pop()
    found = []
    for part in parts:
        key, delimiter, rest = part.partition(pairs)
        if not delimiter or pairs in rest:
            raise InputError(
                f"Key-value delimiter must appear exactly once in each entry. Bad input: '{part}'"
            )
        found.append((key, rest))
    return found


@worker_function("qr_split_to_map(VARCHAR, VARCHAR, VARCHAR) -> MAP(VARCHAR, VARCHAR)")
def _split_to_map(value: str, entries: str, pairs: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, item in _entries(value, entries, pairs):
        if key in found:
            raise InputError(f"Duplicate keys ({key}) are not allowed")
        found[key] = item
    return found


@worker_function("qr_split_to_multimap(VARCHAR, VARCHAR, VARCHAR) -> MAP(VARCHAR, VARCHAR[])")
def _split_to_multimap(value: str, entries: str, pairs: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, item in _entries(value, entries, pairs):
        found.setdefault(key, []).append(item)
    return found


# --- addresses ------------------------------------------------------------------------------

_URL = re.compile(
    r"(?:(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/?#]*))?"
    r"(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.S,
)
_ILLEGAL = re.compile(
    r"[\x00-\x20\x7f-\xa0\"<>\\^`{|}\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAX_PORT, _MAX_PORT_DIGITS = 2**31 - 1, 10
_HOST = re.compile(
    r"(?:[^@]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*"
    r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|\d{1,3}(?:\.\d{1,3}){3})(?::(?P<port>\d*))?"
)


def _url(value: str) -> dict[str, str | None] | None:
    """The parts of a URI as java.net.URI reads it; None when it is none."""
    match = _URL.fullmatch(value)
    if match is None or _ILLEGAL.search(value) or _BAD_ESCAPE.search(value):
        return None
    found = match.groupdict()
    rest = value[len(found["protocol"]) + 1 :] if found["protocol"] else value
    if found["protocol"] and rest in {"", "//"}:
        return None
    if found["protocol"] is None and ":" in (found["path"] or "").split("/")[0]:
        return None
    if found["authority"] == "" and not found["path"]:
        return None
    if found["protocol"] and not rest.startswith("/"):
        return {"protocol": found["protocol"], "fragment": found["fragment"]}  # opaque
    return found


def _decoded(part: str | None) -> str | None:
    """Java decodes each run of escapes as UTF-8."""
    if part is None:
        return None
    return re.sub(
        r"(?:%[0-9A-Fa-f]{2})+",
        lambda run: bytes.fromhex(run[0].replace("%", "")).decode("utf-8", "replace"),
        part,
    )


@worker_function("qr_url_part(VARCHAR, VARCHAR) -> VARCHAR")
def _url_part(value: str, part: str) -> str | None:
    """The protocol, path, query or fragment; empty where there is none, NULL for no URL."""
    found = _url(value)
    if found is None:
        return None
    text = _decoded(found.get(part)) if part == "path" else found.get(part)
    if part == "path" and "path" not in found:
        return ""
    if part == "fragment":
        text = _decoded(text)
    if part == "query":
        text = _decoded(text)
    return text or ""


def _server(value: str) -> re.Match[str] | None:
    """Host and port. None also where the port is beyond an int of Java's: its `URI` takes such an
    authority for the name of a registry, which has neither."""
    found = _HOST.fullmatch(((_url(value) or {}).get("authority")) or "")
    port = ((found and found["port"]) or "").lstrip("0")
    is_beyond = len(port) > _MAX_PORT_DIGITS or int(port or 0) > _MAX_PORT
    return None if is_beyond else found


@worker_function("qr_url_host(VARCHAR) -> VARCHAR")
def _url_host(value: str) -> str | None:
    if _url(value) is None:
        return None
    server = _server(value)
    return server["host"] if server else ""


@worker_function("qr_url_port(VARCHAR) -> BIGINT")
def _url_port(value: str) -> int | None:
    server = _server(value)
    return int(server["port"]) if server and server["port"] else None


@worker_function("qr_url_parameter(VARCHAR, VARCHAR) -> VARCHAR")
def _url_parameter(value: str, name: str) -> str | None:
    query = (_url(value) or {}).get("query")
    if query is None:
        return None
    for pair in query.split("&"):
        key, sign, text = pair.partition("=")
        if unquote_plus(key) == name:
            return unquote_plus(text) if sign else ""
    return None


# --- moments --------------------------------------------------------------------------------


@worker_function("qr_iso_day(VARCHAR) -> INTEGER")
def _iso_day(value: str) -> int:
    """Days since 1970 of a date in ISO 8601."""
    found = None if "T" in value else read_iso(value)
    if found is None:
        raise InputError(f'Invalid format: "{value}"')
    return found.nanos // (86_400 * 10**9)


@worker_function("qr_iso_nanos(VARCHAR, VARCHAR) -> BIGINT")
def _iso_nanos(value: str, zone: str) -> int:
    """Nanoseconds since 1970 of a moment in ISO 8601; `zone` is for those without one."""
    return _nanos_of(read_iso(value), f'Invalid format: "{value}"', zone)


@worker_function("qr_iso_date_time_nanos(VARCHAR, VARCHAR) -> BIGINT")
def _iso_date_time_nanos(value: str, zone: str) -> int:
    """The same of whole dates with a time alone."""
    return _nanos_of(read_iso_date_time(value), f"Text '{value}' could not be parsed", zone)


def _nanos_of(found: IsoMoment | None, wrong: str, zone: str) -> int:
    if found is None:
        raise InputError(wrong)
    if found.zone or zone == "UTC":
        return found.nanos - found.offset_minutes * 60 * 10**9
    seconds, rest = divmod(found.nanos, 10**9)
    local = datetime(1970, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(seconds=seconds)
    return int(local.timestamp()) * 10**9 + rest
