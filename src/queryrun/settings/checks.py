"""What settings must be beyond their types, checked at start so that no run fails for one."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from urllib.parse import urlsplit

from queryrun.auth.model import OF_ALL_ROWS, Scope
from queryrun.auth.oidc_rules import KEY_KINDS
from queryrun.engines.registry import ENGINES
from queryrun.errors import ConfigurationError
from queryrun.results.sigv4 import MAX_LINK_LIFETIME_S
from queryrun.runs.limits import LIMITS, MAX_VALUE, Level
from queryrun.settings import (
    OidcRule,
    OidcSettings,
    ResultSettings,
    Settings,
    SourceSettings,
    WebhookSettings,
)
from queryrun.settings.ranges import MAX_SIZE_BYTES, MIN_MEMORY_BYTES, check_ranges
from queryrun.sql.guard.verdict import BEYOND_THE_CONTRACT
from queryrun.webhooks.target import parse_networks

_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZES |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def size_bytes(text: str, name: str) -> int:
    """`2GB`, `512MiB`, `1000` as bytes; `ConfigurationError` naming the setting otherwise."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _SIZES.get(match.group(2).upper()) if match else None
    if match is None or unit is None:
        raise ConfigurationError(f"{name}: {text!r} is not a size such as 2GB or 512MiB")
    size = float(match.group(1)) * unit
    if size > MAX_SIZE_BYTES:
        raise ConfigurationError(f"{name}: {text!r} is more than any disk has")
    return int(size)


def check(settings: Settings) -> None:
    """Check what the types cannot express. `ConfigurationError` begins with the setting's name."""
    check_ranges(settings)
    if settings.default_source not in settings.sources:
        raise ConfigurationError(
            f"default_source: no source is named {settings.default_source!r}; there are: "
            f"{', '.join(settings.sources)}"
        )
    if not settings.statement_kinds <= set(BEYOND_THE_CONTRACT):
        kinds = ", ".join(BEYOND_THE_CONTRACT)
        raise ConfigurationError(f"statements: name any of {kinds}, separated by commas, or all")
    if not settings.roles or not settings.roles <= {"api", "worker"}:
        raise ConfigurationError("server.roles: name api, worker, or both, separated by commas")
    if settings.roles != {"api", "worker"} and not settings.is_shared:
        raise ConfigurationError("server.roles: a node that shares no database does both")
    if not _is_time_zone(settings.time_zone):
        raise ConfigurationError(
            f"time_zone: {settings.time_zone!r} is no time zone; name one such as Europe/Berlin"
        )
    if settings.leases.lease_s < 3 * settings.leases.heartbeat_s:
        raise ConfigurationError("leases.lease_s must be at least three heartbeats")
    for name, url in _urls(settings):
        _check_url(name, url)
    _check_results(settings.results)
    _check_webhooks(settings.webhooks)
    _check_oidc(settings.oidc)
    for name in settings.limits.__struct_fields__:
        value = getattr(settings.limits, name)
        if isinstance(value, str):
            size_bytes(value, f"limits.{name}")
    limit_values(settings)
    for name, source in settings.sources.items():
        if size_bytes(source.memory, f"sources.{name}.memory") < MIN_MEMORY_BYTES:
            raise ConfigurationError(f"sources.{name}.memory must be at least 16MiB")
        size_bytes(source.spill, f"sources.{name}.spill")
        size_bytes(source.copies, f"sources.{name}.copies")
        size_bytes(source.max_output_size, f"sources.{name}.max_output_size")
        _check_engine(name, source)
        _check_apart(settings, name, source)


def _urls(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "server.public_url", settings.server.public_url
    yield "results.endpoint", settings.results.endpoint
    yield "results.link_endpoint", settings.results.link_endpoint
    yield "oidc.issuer", settings.oidc.issuer
    yield "tracing.endpoint", settings.tracing.endpoint
    for name, source in settings.sources.items():
        for setting in ("url", "ui_url", "spool_url"):
            yield f"sources.{name}.{setting}", getattr(source, setting)


def _check_url(name: str, url: str) -> None:
    """Refuse what would fail whoever takes it apart. The URL is not repeated: it may have a
    password."""
    try:
        port = urlsplit(url).port
    except ValueError:
        raise ConfigurationError(f"{name}: its host or port is none") from None
    if port == 0:
        raise ConfigurationError(f"{name}: there is no port 0")


def _check_webhooks(webhooks: WebhookSettings) -> None:
    try:
        parse_networks(webhooks.allowed_networks)
    except ValueError as error:
        raise ConfigurationError(f"webhooks.allowed_networks: {error}") from error


def limit_values(settings: Settings) -> dict[tuple[Level, str], dict[str, int]]:
    """The limits of `[limits.tenant]` and its like, by whose they are. `ConfigurationError` names
    the one that is wrong."""
    found: dict[tuple[Level, str], dict[str, int]] = {}
    for level in Level:
        for subject, limits in getattr(settings.limits, level.value).items():
            if level is Level.SOURCE and subject not in ("*", *settings.sources):
                raise ConfigurationError(f"limits.source.{subject}: there is no such source")
            for name, value in limits.items():
                where = f"limits.{level}.{subject}.{name}"
                found.setdefault((level, subject), {})[name] = _limit_value(
                    where, level, name, value
                )
    return found


def _limit_value(where: str, level: Level, name: str, value: float | str) -> int:
    kind = LIMITS.get(name)
    if kind is None or level not in kind.levels:
        names = ", ".join(one.name for one in LIMITS.values() if level in one.levels)
        raise ConfigurationError(f"{where}: a {level} may have {names}")
    if isinstance(value, str) and not kind.is_size:
        raise ConfigurationError(f"{where} must be a whole number")
    number = size_bytes(value, where) if isinstance(value, str) else value
    in_range = kind.min_value <= number <= MAX_VALUE  # of no number that is none
    if isinstance(number, bool) or not in_range or number != int(number):
        raise ConfigurationError(f"{where} must be a whole number, {kind.min_value} or more")
    return int(number)


def is_secure_url(url: str) -> bool:
    """Whether what is fetched there is what its owner sent: https, or this very machine."""
    parts = urlsplit(url)
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "https" or (parts.scheme == "http" and is_here)


def _check_oidc(oidc: OidcSettings) -> None:
    """Check what would otherwise refuse every login, or let in too many."""
    if not oidc.issuer:
        if oidc.rules:
            raise ConfigurationError("oidc.issuer must be named: there are rules for its tokens")
        return
    if not is_secure_url(oidc.issuer) or set(oidc.issuer) & set("?#"):
        raise ConfigurationError("oidc.issuer must be an https:// URL without '?' and '#'")
    if not oidc.audience:
        raise ConfigurationError(
            "oidc.audience must be named: without it the issuer's tokens for others would count"
        )
    if not oidc.allowed_algorithms or not oidc.allowed_algorithms <= set(KEY_KINDS):
        raise ConfigurationError(f"oidc.algorithms: name any of {', '.join(KEY_KINDS)}")
    if not oidc.rules:
        raise ConfigurationError(
            "oidc.rules: without a rule nobody can log in; write [[oidc.rules]]"
        )
    for number, rule in enumerate(oidc.rules, 1):
        _check_oidc_rule(f"oidc.rules, rule {number}", rule)


def _check_oidc_rule(name: str, rule: OidcRule) -> None:
    if not rule.when:
        raise ConfigurationError(
            f'{name}: say who it is for, such as when = {{ groups = "analysts" }}; '
            'when = { sub = "*" } is everybody'
        )
    if not rule.entities:
        raise ConfigurationError(f"{name}: entities must name at least one")
    if not rule.scopes or not set(rule.scopes) <= set(Scope):
        raise ConfigurationError(f"{name}: scopes must name any of {', '.join(Scope)}")
    beyond = sorted(set(rule.scopes) & OF_ALL_ROWS) if rule.orgs else []
    if beyond:
        raise ConfigurationError(
            f"{name}: a login that is restricted to orgs cannot have {', '.join(beyond)}: who has "
            "it sees results of all rows; leave out the orgs, or write a rule of its own for it"
        )
    for text in (rule.tenant, *rule.entities, *rule.orgs):
        if re.search(r"[{}]", re.sub(r"\{[^{}]+\}", "", text)):
            raise ConfigurationError(f"{name}: {text!r}: braces must hold the name of a claim")
    if not all(text.strip() for text in (*rule.entities, *rule.orgs)):
        raise ConfigurationError(f"{name}: entities and orgs must not be empty texts")


def _check_engine(name: str, source: SourceSettings) -> None:
    """Check against the registry at start, so that no run fails for a wrong setting."""
    if source.engine not in ENGINES:
        raise ConfigurationError(f"sources.{name}.engine: name one of {', '.join(ENGINES)}")
    if source.dialect not in source.kind.dialects:
        dialects = " or ".join(source.kind.dialects)
        raise ConfigurationError(f"sources.{name}.dialect: {source.engine} takes {dialects}")
    _check_data(name, source)
    for setting, beginnings in source.kind.required_urls.items():
        if not str(getattr(source, setting)).startswith(beginnings):
            begin = " or ".join(beginnings)
            raise ConfigurationError(f"sources.{name}.{setting} must begin with {begin}")
    has_secret = bool(source.secret_file or source.secret_env)
    if source.kind.is_remote and source.auth != "none" and not has_secret:
        raise ConfigurationError(
            f"sources.{name}: auth = {source.auth!r} needs secret_file or secret_env"
        )


def _data_paths(source: SourceSettings) -> dict[str, str]:
    return {"data": source.data} | {f"entities.{e}": path for e, path in source.entities.items()}


def _check_apart(settings: Settings, name: str, source: SourceSettings) -> None:
    """An empty text is the home itself, where results and keys are."""
    for setting, path in _data_paths(source).items():
        is_here = not source.kind.is_remote
        if is_here and settings.home.is_relative_to(settings.path(path)):
            raise ConfigurationError(
                f"sources.{name}.{setting}: {path!r} is the home or above it, with the results of "
                "all runs and the keys: name a directory that has data alone"
            )


def _check_data(name: str, source: SourceSettings) -> None:
    """Data elsewhere is refused at start, and not by every run."""
    for setting, path in _data_paths(source).items():
        if source.kind.is_remote or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path):
            continue
        raise ConfigurationError(
            f"sources.{name}.{setting}: {path!r} is no path of this machine, and nothing else is "
            "read. Mount it, copy it into a directory, or let Trino or Spark read it "
            "(docs/reference/data.md)"
        )
    if re.search(r"[{}]", source.data.replace("{entity}", "")):
        raise ConfigurationError(f"sources.{name}.data: only {{entity}} may stand in braces")


def _is_time_zone(name: str) -> bool:
    """The list of all of them opens 600 files, so it is not made for the default."""
    return name == "UTC" or name in zoneinfo.available_timezones()


def _check_results(results: ResultSettings) -> None:
    if not 5 * 2**20 <= size_bytes(results.part_size, "results.part_size") <= 256 * 2**20:
        raise ConfigurationError("results.part_size must be 5MiB to 256MiB")
    if results.store != "s3":
        return
    if not results.bucket:
        raise ConfigurationError("results.bucket must be named when results.store is s3")
    for name, url in (("endpoint", results.endpoint), ("link_endpoint", results.link_endpoint)):
        if url and not re.fullmatch(r"https?://[^/?#]+", url):
            raise ConfigurationError(f"results.{name} must be http(s)://host[:port] and no more")
    if results.links == "presigned" and results.link_ttl_s > MAX_LINK_LIFETIME_S:
        raise ConfigurationError("results.link_ttl_s: presigned links live 7 days at most")
