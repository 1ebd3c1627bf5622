"""The protocol without I/O: tokens, retries, submit, read, wait, cancel, list.

Every public method is a flow (see `effects.py`). `download.py` downloads files; `wire.py` and the
API versions know paths and properties.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode
from uuid import uuid4

from queryrun_client.api_versions import find_api_version
from queryrun_client.effects import (
    Block,
    Flow,
    NeedToken,
    NoResponseError,
    Request,
    Response,
    Send,
    Sleep,
)
from queryrun_client.errors import (
    BadRequest,
    ClientError,
    Refusal,
    Refused,
    RunCanceled,
    RunFailed,
    StillRunning,
    UnexpectedResponse,
    refused,
)
from queryrun_client.model import (
    DryRun,
    KeptToken,
    Options,
    RunInfo,
    RunQuery,
    State,
    Submission,
    Table,
)
from queryrun_client.retry import RetryState
from queryrun_client.tokens import key_of
from queryrun_client.v2 import ApiV2
from queryrun_client.wire import Page, check_url

LONG_WAIT_S = 20.0
"""Seconds of one long poll; short enough for most proxies."""
PROGRESS_WAIT_S = 1.0
"""Seconds of one long poll with a watcher."""
EARLY_POLLS_S = (0.05, 0.1, 0.2, 0.4)
"""Delays before the first reads with a watcher, which then sees progress within the first second;
the server would respond to a long poll only after it."""
FIRST_POLL_S = 0.1
MAX_POLL_S = 5.0
"""First and longest delay between reads from a server that ignores `Prefer: wait`."""
RENEW_EARLY_S = 60.0
"""A token is renewed this long before it expires, or at half its lifetime if that is shorter."""

Watcher = Callable[[RunInfo], object]
"""Called with the run whenever it was read; its result is ignored."""


class CancelOutcome(StrEnum):
    """The outcome of a cancel. The first two are success."""

    CANCELED = "canceled"
    ALREADY_CANCELED = "already_canceled"
    TOO_LATE = "too_late"
    """The run was complete or failed before the cancel; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The result of a cancel: its outcome, and the finished run."""

    outcome: CancelOutcome
    info: RunInfo

    @property
    def too_late(self) -> bool:
        """Whether the run was complete or failed before; `info.state` has its state."""
        return self.outcome is CancelOutcome.TOO_LATE


@dataclass(frozen=True, slots=True)
class Credentials:
    """The OAuth client's id and secret."""

    client_id: str
    client_secret: str


class Core:
    """The protocol with one server, for one client."""

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        api_version: str,
        options: Options,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if credentials is None and options.token is None:
            raise ClientError(
                "give a client id and secret, or a token: QUERYRUN_CLIENT_ID and "
                "QUERYRUN_CLIENT_SECRET, or QUERYRUN_TOKEN, or a profile of `queryrun login`"
            )
        check_url(url)
        self.options = options
        self.api_version = find_api_version(api_version, url)
        self._token_url = f"{url.rstrip('/').removesuffix('/v2')}/oauth/token"
        self._credentials = credentials
        self._now_s = now_s
        self._token: str | None = options.token
        self._renew_at_s = float("inf") if options.token else 0.0
        self._tokens = options.tokens

    # --- tokens and calls ---------------------------------------------------------------------

    def token(self, refused_token: str | None) -> Flow[str]:
        """A valid token: the current one, unless the server refused it or it is about to expire."""
        fresh = self._token is not None and self._now_s() < self._renew_at_s
        if fresh and self._token != refused_token and self._token is not None:
            return self._token
        if self._credentials is None:
            return self._token or ""
        kept = yield from self._kept_token(self._credentials, refused_token)
        return kept or (yield from self._fetch_token(self._credentials))

    def _kept_token(self, credentials: Credentials, refused_token: str | None) -> Flow[str | None]:
        """The token of an earlier process, if there is one that was not refused."""
        if (tokens := self._tokens) is None:
            return None
        key = self._token_key(credentials)
        if refused_token is not None:
            yield Block(lambda: tokens.drop(key, refused_token))
        found: KeptToken | None = yield Block(lambda: tokens.find(key))
        if found is None or found.token in (refused_token, self._token):
            return None
        self._token = found.token
        self._renew_at_s = self._now_s() + found.renew_at_s - time.time()
        return found.token

    def _token_key(self, credentials: Credentials) -> str:
        entity_id = self.options.entity_id
        return key_of(self._token_url, credentials.client_id, credentials.client_secret, entity_id)

    def _fetch_token(self, credentials: Credentials) -> Flow[str]:
        """Renewal is planned from the lifetime, because a clock may differ from the server's."""
        response = yield from self._retried(self._token_request(credentials))
        if response.status != 200:
            raise _token_refused(response)
        try:
            content = json.loads(response.body)
            token, lifetime_s = str(content["access_token"]), float(content["expires_in"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnexpectedResponse("the token endpoint responded without a token") from error
        used_s = lifetime_s - min(RENEW_EARLY_S, lifetime_s / 2)
        self._token, self._renew_at_s = token, self._now_s() + used_s
        if (tokens := self._tokens) is not None:
            key = self._token_key(credentials)
            yield Block(lambda: tokens.keep(key, token, used_s))
        return token

    def _token_request(self, credentials: Credentials) -> Request:
        """A header selects the entity, because an OAuth form has no field for it."""
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if self.options.entity_id:
            headers["zuora-entity-ids"] = self.options.entity_id
        return Request("POST", self._token_url, headers, urlencode(form).encode())

    def call(self, request: Request) -> Flow[Response]:
        """Send an authorized request; returns a successful response, raises for an error response.

        After a 401 it renews the token once, because the server may have revoked it early.
        """
        if self.options.entity_id:
            request = request.with_headers(zuora_entity_ids=self.options.entity_id)
        token: str = yield NeedToken()
        response = yield from self._retried(request.with_headers(authorization=f"Bearer {token}"))
        if response.status == 401 and self._credentials is not None:
            token = yield NeedToken(refused=token)
            retried = request.with_headers(authorization=f"Bearer {token}")
            response = yield from self._retried(retried)
        if response.status >= 400:
            raise self.api_version.refusal(response)
        if response.status >= 300:
            raise UnexpectedResponse(f"the server responded {response.status}: a redirect")
        return response

    def _retried(self, request: Request) -> Flow[Response]:
        """The first response that is not retried.

        Retrying is safe: a request that changes something has an idempotency key, or changes
        nothing the second time.
        """
        retry_state = RetryState(self.options.retry, request.url)
        while True:
            try:
                response: Response = yield Send(request)
            except NoResponseError as error:
                yield from retry_state.after_no_response(error)
                continue
            if not (yield from retry_state.after(response)):
                return response

    # --- runs -----------------------------------------------------------------------------------

    def submit(self, submission: Submission) -> Flow[RunInfo]:
        """Submit a statement; makes one run, however often the request is retried."""
        key = submission.idempotency_key or str(uuid4())
        response = yield from self.call(self.api_version.submit(submission, key))
        return self.api_version.run(response)

    def dry_run(self, submission: Submission) -> Flow[DryRun]:
        """What the run would read; none is made."""
        response = yield from self.call(self.api_version.dry_run(submission))
        return self.api_version.estimate(response)

    def read(self, run_id: str) -> Flow[RunInfo]:
        """The run as it is now."""
        response = yield from self._read(run_id, 0.0)
        return self.api_version.run(response)

    def _read(self, run_id: str, wait_s: float) -> Flow[Response]:
        try:
            return (yield from self.call(self.api_version.read(run_id, wait_s)))
        except BadRequest as error:
            if not self._drop_extensions(error):
                raise
        return (yield from self.call(self.api_version.read(run_id, wait_s)))

    def _drop_extensions(self, error: BadRequest) -> bool:
        """Stop requesting our own fields if the server refused them; False if it did not."""
        api = self.api_version
        if not isinstance(api, ApiV2) or not api.extensions or error.parameter != "fields[]":
            return False
        api.extensions = False
        return True

    def wait(
        self, info: RunInfo, *, watcher: Watcher | None = None, timeout_s: float | None = None
    ) -> Flow[RunInfo]:
        """The run once it has finished, in any state. `StillRunning` after `timeout_s`.

        It long-polls; where the server ignores that, it reads with growing delays. With a watcher
        it reads often enough to report progress every second.
        """
        deadline_s = float("inf") if timeout_s is None else self._now_s() + timeout_s
        poll_limit_s = LONG_WAIT_S if watcher is None else PROGRESS_WAIT_S
        poll_s = FIRST_POLL_S
        early_polls_s = iter(() if watcher is None else EARLY_POLLS_S)
        _notify(watcher, info)
        while not info.state.is_terminal:
            left_s = deadline_s - self._now_s()
            if left_s <= 0:
                raise StillRunning(info)
            if (pause_s := next(early_polls_s, None)) is not None:
                yield Sleep(min(pause_s, left_s))
                info = yield from self.read(info.id)
                _notify(watcher, info)
                continue
            response = yield from self._read(info.id, min(poll_limit_s, left_s))
            info = self.api_version.run(response)
            _notify(watcher, info)
            if not info.state.is_terminal and not _waited(response):
                yield Sleep(max(0.0, min(poll_s, deadline_s - self._now_s())))
                poll_s = min(poll_s * 1.5, poll_limit_s if watcher else MAX_POLL_S)
        return info

    def cancel(self, run_id: str, timeout_s: float | None) -> Flow[Cancellation]:
        """Cancel a run, and return when the server reports `canceled`: its work has stopped.

        A run that had finished is no error: `outcome` distinguishes the cases. `StillRunning` when
        the engine has not stopped after `timeout_s`; the cancel stays in effect.
        """
        wait_s = LONG_WAIT_S if timeout_s is None else min(LONG_WAIT_S, timeout_s)
        try:
            response = yield from self.call(self.api_version.cancel(run_id, str(uuid4()), wait_s))
        except BadRequest as error:
            return (yield from self._already_finished(run_id, error))
        info = yield from self.wait(self.api_version.run(response), timeout_s=timeout_s)
        canceled = info.state is State.CANCELED
        return Cancellation(CancelOutcome.CANCELED if canceled else CancelOutcome.TOO_LATE, info)

    def _already_finished(self, run_id: str, error: Refused) -> Flow[Cancellation]:
        """The outcome of a refused cancel. Only a read shows whether it was canceled before."""
        if not self.api_version.is_already_finished(error):
            raise error
        info = yield from self.read(run_id)
        if not info.state.is_terminal:
            raise UnexpectedResponse(
                f"the server refuses to cancel run {run_id}, which is {info.state}"
            )
        canceled = info.state is State.CANCELED
        outcome = CancelOutcome.ALREADY_CANCELED if canceled else CancelOutcome.TOO_LATE
        return Cancellation(outcome, info)

    def page(self, query: RunQuery, cursor: str | None) -> Flow[Page]:
        """One page of runs, newest first."""
        try:
            response = yield from self.call(self.api_version.listing(query, cursor))
        except BadRequest as error:
            if not self._drop_extensions(error):
                raise
            response = yield from self.call(self.api_version.listing(query, cursor))
        page = self.api_version.page(response)
        return Page([run for run in page.runs if _matches(run, query)], page.cursor)

    def tables(self, source: str | None) -> Flow[list[Table]]:
        """The tables of a source, without a run."""
        response = yield from self.call(self.api_version.tables(source))
        return self.api_version.table_list(response)

    def sources(self) -> Flow[list[str]]:
        """The names of the sources that a run may use."""
        response = yield from self.call(self.api_version.sources())
        return self.api_version.source_names(response)

    def table(self, name: str, source: str | None) -> Flow[Table]:
        """One table, without a run."""
        response = yield from self.call(self.api_version.table(name, source))
        return self.api_version.table_of(response)


def result_of(info: RunInfo) -> RunInfo:
    """The run, if it is complete and has a file; raises otherwise."""
    if info.state is State.FAILED:
        raise RunFailed(info)
    if info.state is State.CANCELED:
        raise RunCanceled(info)
    if info.state is not State.COMPLETE:
        raise StillRunning(info)
    if info.file is None:
        raise UnexpectedResponse(f"run {info.id} is complete and has no file")
    return info


def _matches(run: RunInfo, query: RunQuery) -> bool:
    """Apply the filters again: v1 does not have all of them, and some servers ignore them."""
    created = run.created_time or run.updated_time
    return (
        query.state in (None, run.state)
        and (query.source is None or run.source in (None, query.source))
        and (query.since is None or created is None or created >= query.since)
        and (run.tags is None or query.tags.items() <= run.tags.items())
    )


def _waited(response: Response) -> bool:
    return "wait" in response.headers.get("preference-applied", "")


def _notify(watcher: Watcher | None, info: RunInfo) -> None:
    if watcher is not None:
        watcher(info)


def _token_refused(response: Response) -> Refused:
    """The error for a refused token request, with the fields of RFC 6749 that its body has."""
    try:
        content = json.loads(response.body)
    except ValueError:
        content = {}
    found = content if isinstance(content, dict) else {}
    code = str(found.get("error") or found.get("code") or response.status)
    message = str(found.get("error_description") or found.get("message") or "no token was issued")
    request_id = response.headers.get("zuora-request-id")
    return refused(Refusal(response.status, code, message, request_id=request_id))
