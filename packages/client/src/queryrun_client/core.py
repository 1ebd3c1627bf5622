"""The protocol without I/O: tokens, retries, submit, read, wait, cancel, list. Every public method
is a flow (see `effects.py`). Files are `download.py`'s, spellings `wire.py`'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode
from uuid import uuid4

from queryrun_client.effects import Flow, NeedToken, NoAnswerError, Request, Response, Send, Sleep
from queryrun_client.errors import (
    BadRequest,
    ClientError,
    Refusal,
    Refused,
    RunCanceled,
    RunFailed,
    StillRunning,
    UnexpectedAnswer,
    refused,
)
from queryrun_client.faces import face_of
from queryrun_client.model import Options, RunInfo, RunQuery, State, Submission
from queryrun_client.tries import Tries
from queryrun_client.v2 import V2Face
from queryrun_client.wire import Page

LONG_WAIT_S = 20.0
"""One long poll; short enough for most proxies."""
PROGRESS_WAIT_S = 1.0
"""One long poll when somebody watches."""
EARLY_LOOKS_S = (0.05, 0.1, 0.2, 0.4)
"""Pauses before the first looks when somebody watches, so that they see something within the first
second; a long poll would say nothing before that is over."""
FIRST_POLL_S = 0.1
MOST_POLL_S = 5.0
"""Back-off of polling a server that does not honour `Prefer: wait`."""
RENEW_EARLY_S = 60.0
"""A token is renewed this long before it expires, or at half its life if that is shorter."""

Watcher = Callable[[RunInfo], object]
"""Told how a run is doing; its result is ignored."""


class CancelOutcome(StrEnum):
    """What became of a cancel. The first two are success."""

    CANCELED = "canceled"
    ALREADY_CANCELED = "already_canceled"
    TOO_LATE = "too_late"
    """The run was complete or failed before the cancel came; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The answer to a cancel: what became of it, and the run as it ended."""

    outcome: CancelOutcome
    info: RunInfo

    @property
    def too_late(self) -> bool:
        """Whether the run had ended by itself; `info.state` says how."""
        return self.outcome is CancelOutcome.TOO_LATE


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the client is."""

    client_id: str
    client_secret: str


class Core:
    """One server as one client sees it."""

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        face: str,
        options: Options,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if credentials is None and options.token is None:
            raise ClientError("give a client id and secret, or a token")
        self.options = options
        self.face = face_of(face, url)
        self._token_url = f"{url.rstrip('/').removesuffix('/v2')}/oauth/token"
        self._credentials = credentials
        self._now_s = now_s
        self._token: str | None = options.token
        self._renew_at_s = float("inf") if options.token else 0.0

    # --- tokens and calls ---------------------------------------------------------------------

    def token(self, refused_token: str | None) -> Flow[str]:
        """The token to use: the one at hand unless it is the refused one or about to expire."""
        fresh = self._token is not None and self._now_s() < self._renew_at_s
        if fresh and self._token != refused_token and self._token is not None:
            return self._token
        if self._credentials is None:
            return self._token or ""
        return (yield from self._fetch_token(self._credentials))

    def _fetch_token(self, who: Credentials) -> Flow[str]:
        response = yield from self._retried(self._token_request(who))
        if response.status != 200:
            raise _token_refused(response)
        try:
            content = json.loads(response.body)
            token, lifetime_s = str(content["access_token"]), float(content["expires_in"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnexpectedAnswer("the token endpoint answered without a token") from error
        self._token = token
        self._renew_at_s = self._now_s() + lifetime_s - min(RENEW_EARLY_S, lifetime_s / 2)
        return token

    def _token_request(self, who: Credentials) -> Request:
        form = {
            "grant_type": "client_credentials",
            "client_id": who.client_id,
            "client_secret": who.client_secret,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if self.options.entity_id:
            headers["zuora-entity-ids"] = self.options.entity_id
        return Request("POST", self._token_url, headers, urlencode(form).encode())

    def call(self, request: Request) -> Flow[Response]:
        """A successful answer to an authorised request, or the refusal as an error."""
        if self.options.entity_id:
            request = request.with_headers(zuora_entity_ids=self.options.entity_id)
        token: str = yield NeedToken()
        response = yield from self._retried(request.with_headers(authorization=f"Bearer {token}"))
        if response.status == 401 and self._credentials is not None:
            token = yield NeedToken(refused=token)
            again = request.with_headers(authorization=f"Bearer {token}")
            response = yield from self._retried(again)
        if response.status >= 400:
            raise self.face.refusal(response)
        if response.status >= 300:
            raise UnexpectedAnswer(f"the server answered {response.status}: a redirect")
        return response

    def _retried(self, request: Request) -> Flow[Response]:
        """The first answer that does not ask to come back. Repeating is safe: every request that
        changes something carries an idempotency key or changes nothing the second time."""
        tries = Tries(self.options.retry)
        while True:
            try:
                response: Response = yield Send(request)
            except NoAnswerError as trouble:
                yield from tries.after_silence(trouble)
                continue
            if not (yield from tries.after(response)):
                return response

    # --- runs -----------------------------------------------------------------------------------

    def submit(self, wish: Submission) -> Flow[RunInfo]:
        """Accept a statement as a run, once, however often the network makes us ask."""
        key = wish.idempotency_key or str(uuid4())
        response = yield from self.call(self.face.submit(wish, key))
        return self.face.run(response)

    def read(self, run_id: str) -> Flow[RunInfo]:
        """The run as it is now."""
        response = yield from self._read(run_id, 0.0)
        return self.face.run(response)

    def _read(self, run_id: str, wait_s: float) -> Flow[Response]:
        try:
            return (yield from self.call(self.face.read(run_id, wait_s)))
        except BadRequest as error:
            if not self._drop_extensions(error):
                raise
        return (yield from self.call(self.face.read(run_id, wait_s)))

    def _drop_extensions(self, error: BadRequest) -> bool:
        """A compatible server may refuse names of ours in `fields[]`: then do without them."""
        face = self.face
        if not isinstance(face, V2Face) or not face.extensions or error.parameter != "fields[]":
            return False
        face.extensions = False
        return True

    def wait(
        self, seen: RunInfo, *, watcher: Watcher | None = None, timeout_s: float | None = None
    ) -> Flow[RunInfo]:
        """The run at its end, whatever the end. `StillRunning` after `timeout_s`."""
        deadline_s = float("inf") if timeout_s is None else self._now_s() + timeout_s
        longest_s = LONG_WAIT_S if watcher is None else PROGRESS_WAIT_S
        poll_s = FIRST_POLL_S
        early_looks_s = iter(() if watcher is None else EARLY_LOOKS_S)
        _tell(watcher, seen)
        while not seen.state.is_terminal:
            left_s = deadline_s - self._now_s()
            if left_s <= 0:
                raise StillRunning(seen)
            if (pause_s := next(early_looks_s, None)) is not None:
                yield Sleep(min(pause_s, left_s))
                seen = yield from self.read(seen.id)
                _tell(watcher, seen)
                continue
            response = yield from self._read(seen.id, min(longest_s, left_s))
            seen = self.face.run(response)
            _tell(watcher, seen)
            if not seen.state.is_terminal and not _waited(response):
                yield Sleep(max(0.0, min(poll_s, deadline_s - self._now_s())))
                poll_s = min(poll_s * 1.5, longest_s if watcher else MOST_POLL_S)
        return seen

    def cancel(self, run_id: str, timeout_s: float | None) -> Flow[Cancellation]:
        """Ask a run to stop, and return when the server says `canceled`: nothing of it runs then.

        A run that had ended is no error: `outcome` says which it was. `StillRunning` when the
        engine has not let go after `timeout_s`; the cancel stays accepted.
        """
        wait_s = LONG_WAIT_S if timeout_s is None else min(LONG_WAIT_S, timeout_s)
        try:
            response = yield from self.call(self.face.cancel(run_id, str(uuid4()), wait_s))
        except BadRequest as error:
            return (yield from self._ended_before(run_id, error))
        info = yield from self.wait(self.face.run(response), timeout_s=timeout_s)
        canceled = info.state is State.CANCELED
        return Cancellation(CancelOutcome.CANCELED if canceled else CancelOutcome.TOO_LATE, info)

    def _ended_before(self, run_id: str, error: Refused) -> Flow[Cancellation]:
        if not self.face.ended_before(error):
            raise error
        info = yield from self.read(run_id)
        if not info.state.is_terminal:
            raise UnexpectedAnswer(f"run {run_id} cannot be canceled, yet is {info.state}")
        canceled = info.state is State.CANCELED
        outcome = CancelOutcome.ALREADY_CANCELED if canceled else CancelOutcome.TOO_LATE
        return Cancellation(outcome, info)

    def page(self, query: RunQuery, cursor: str | None) -> Flow[Page]:
        """One page of runs, newest first."""
        try:
            response = yield from self.call(self.face.listing(query, cursor))
        except BadRequest as error:
            if not self._drop_extensions(error):
                raise
            response = yield from self.call(self.face.listing(query, cursor))
        page = self.face.page(response)
        return Page([run for run in page.runs if _matches(run, query)], page.cursor)


def result_of(info: RunInfo) -> RunInfo:
    """The run, if it is complete and has a file; the fitting error otherwise."""
    if info.state is State.FAILED:
        raise RunFailed(info)
    if info.state is State.CANCELED:
        raise RunCanceled(info)
    if info.state is not State.COMPLETE:
        raise StillRunning(info)
    if info.file is None:
        raise UnexpectedAnswer(f"run {info.id} is complete and has no file")
    return info


def _matches(run: RunInfo, query: RunQuery) -> bool:
    """What the server could not filter (v1), and what one that ignores filters did not."""
    made = run.created_time or run.updated_time
    return (
        query.state in (None, run.state)
        and (query.source is None or run.source in (None, query.source))
        and (query.since is None or made is None or made >= query.since)
    )


def _waited(response: Response) -> bool:
    return "wait" in response.headers.get("preference-applied", "")


def _tell(watcher: Watcher | None, info: RunInfo) -> None:
    if watcher is not None:
        watcher(info)


def _token_refused(response: Response) -> Refused:
    """RFC 6749's body, or whatever there is of it."""
    try:
        content = json.loads(response.body)
    except ValueError:
        content = {}
    found = content if isinstance(content, dict) else {}
    code = str(found.get("error") or found.get("code") or response.status)
    message = str(found.get("error_description") or found.get("message") or "no token was issued")
    request_id = response.headers.get("zuora-request-id")
    return refused(Refusal(response.status, code, message, request_id=request_id))
