"""What a client is made from: a configured server, the options of a submit."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from queryrun_client.errors import ClientError, NotConfigured
from queryrun_client.model import (
    Options,
    RunFilters,
    RunQuery,
    State,
    Submission,
    SubmitOptions,
    TokenStore,
)
from queryrun_client.profiles import Server, key_password
from queryrun_client.v2 import ApiV2
from queryrun_client.wire import ApiVersion

MAX_CONCURRENT = 8
"""Concurrent cancels: each waits until the engine has stopped."""


@dataclass(frozen=True, slots=True)
class ClientArguments:
    """The arguments of `Client` and `AsyncClient`."""

    url: str
    client_id: str | None
    client_secret: str | None
    api_version: str
    options: Options


def arguments_of(
    server: Server,
    *,
    private_key: Path | None = None,
    tokens: TokenStore | None = None,
    on_wait: Callable[[str, float], object] | None = None,
) -> ClientArguments:
    """The arguments of a client for this server. `private_key` replaces the profile's."""
    profile = server.profile
    named = private_key or (Path(profile.private_key_file) if profile.private_key_file else None)
    options = Options(
        token=server.token,
        entity_id=profile.entity_id or None,
        private_key=None if named is None else _key_in(named),
        private_key_password=key_password(),
        tokens=tokens,
        on_wait=on_wait,
    )
    return ClientArguments(
        profile.url,
        profile.client_id or None,
        profile.client_secret or None,
        profile.api_version,
        options,
    )


def _key_in(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotConfigured(f"{path}: {error.strerror}") from error


def submission_of(sql: str, options: Mapping[str, Any]) -> Submission:
    """The submission. `TypeError` names an option that does not exist, and what it may mean."""
    _check_known("submit", options, tuple(SubmitOptions.__annotations__))
    if not isinstance(sql, str):
        raise TypeError(f"the statement must be a text, not {type(sql).__name__}")
    return Submission(sql, **options)


def query_of(query: RunQuery, filters: Mapping[str, Any]) -> RunQuery:
    """The query with these fields. `TypeError` names one that does not exist, and what it may
    mean."""
    _check_known("runs", filters, tuple(RunFilters.__annotations__))
    return replace(query, **filters)


def _check_known(function: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise TypeError(f"{function}() has no option {name!r}: {meant}")


def exact_options(api: ApiVersion, options: SubmitOptions) -> SubmitOptions:
    """Arrow keeps every value and type. v1 has no Arrow: there JSON and the columns are read."""
    exact = "arrow" if isinstance(api, ApiV2) else "json"
    return SubmitOptions(**{"content_type": exact, **options})


def unfinished(query: RunQuery) -> list[RunQuery]:
    """What finds the matching runs that a cancel can reach."""
    states = [State(query.state)] if query.state else [State.ACCEPTED, State.IN_PROGRESS]
    return [replace(query, state=one) for one in states if not one.is_terminal]


def raise_failures(failures: list[ClientError], count: int) -> None:
    """Raise them together, if there are any: all other cancels have been carried out."""
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {count} runs could not be canceled", failures)
