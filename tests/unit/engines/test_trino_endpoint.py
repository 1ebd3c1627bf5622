"""A source's options are checked before anything is sent, and a secret stays where it belongs."""

from __future__ import annotations

import socket

import pytest
import requests

from queryrun.engines.trino.endpoint import (
    ForeignAddressError,
    TrinoEndpoint,
    UnencryptedError,
)
from queryrun.engines.trino.failures import failure_of
from queryrun.errors import FailureCode, RunFailed

SECRET = "s3cr3t"


def prepared(endpoint: TrinoEndpoint) -> requests.PreparedRequest:
    """A request as it would be sent."""
    with endpoint.http() as http:
        return http.prepare_request(requests.Request("GET", f"{endpoint.url}/v1/info"))


def test_a_password_comes_with_its_user() -> None:
    options = {"url": "https://trino.example/", "user": "acme", "auth": "password"}
    endpoint = TrinoEndpoint.of(options, SECRET)
    headers = prepared(endpoint).headers
    assert "Basic " in str(headers["Authorization"])
    assert headers["X-Trino-User"] == "acme"
    assert (endpoint.host, endpoint.port, endpoint.scheme) == ("trino.example", 443, "https")


def test_a_token_is_a_bearers() -> None:
    options = {"url": "https://trino.example:8443", "auth": "token"}
    headers = prepared(TrinoEndpoint.of(options, SECRET)).headers
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["X-Trino-User"] == "queryrun"


def test_without_a_secret_none_is_sent() -> None:
    endpoint = TrinoEndpoint.of({"url": "http://trino.example:8080"}, None)
    assert "Authorization" not in prepared(endpoint).headers


def test_a_secret_is_never_printed() -> None:
    endpoint = TrinoEndpoint.of({"url": "https://trino.example", "auth": "token"}, SECRET)
    assert SECRET not in repr(endpoint)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "trino.example"},
        {"url": "ftp://trino.example"},
        {"url": "https://"},
        {"url": "https://trino.example:99999"},
        {"url": "https://trino.example", "auth": "kerberos"},
        {"url": "https://trino.example", "name_scope": "everywhere"},
        {"url": "http://trino.example", "auth": "password"},
        {"url": "http://trino.example", "auth": "token"},
    ],
)
def test_what_cannot_work_is_refused_and_no_secret_goes_unencrypted(
    options: dict[str, str],
) -> None:
    with pytest.raises(RunFailed) as failed:
        TrinoEndpoint.of(options, SECRET)
    assert failed.value.failure.code is FailureCode.INTERNAL_ERROR


def test_a_required_secret_must_exist() -> None:
    with pytest.raises(RunFailed):
        TrinoEndpoint.of({"url": "https://trino.example", "auth": "token"}, None)


@pytest.mark.parametrize("auth", ["password", "token", "none"])
def test_a_response_that_points_to_an_unencrypted_address_is_not_followed(auth: str) -> None:
    """As from a Trino that does not know of the TLS before it. No connection is made."""
    endpoint = TrinoEndpoint.of({"url": "https://trino.example", "auth": auth}, SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listener, endpoint.http() as http:
        listener.setblocking(False)
        with pytest.raises(UnencryptedError) as refused:
            http.get(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/statement/x")
        with pytest.raises(BlockingIOError):
            listener.accept()
    failure = failure_of(refused.value)
    assert isinstance(failure, RunFailed)
    assert failure.failure.code is FailureCode.ENGINE_UNAVAILABLE
    assert "unencrypted" in failure.failure.message


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/v1/statement/x",
        "http://trino.example@127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "HTTP://127.0.0.1:{port}/",
    ],
)
@pytest.mark.parametrize("session", ["http", "segments_http"])
def test_a_response_that_points_elsewhere_is_not_followed(address: str, session: str) -> None:
    """A page, a segment or a redirect: an engine that was taken over leads no worker away."""
    endpoint = TrinoEndpoint.of({"url": "http://trino.example", "auth": "none"}, None)
    with socket.create_server(("127.0.0.1", 0)) as listener, getattr(endpoint, session)() as http:
        listener.setblocking(False)
        with pytest.raises(ForeignAddressError) as refused:
            http.get(address.format(port=listener.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            listener.accept()
    failure = failure_of(refused.value)
    assert isinstance(failure, RunFailed)
    assert "spool_url" in failure.failure.message


def test_the_store_of_spooled_results_is_reached_and_knows_nothing_of_us() -> None:
    options = {"url": "https://trino.example", "auth": "token"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        spool_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        endpoint = TrinoEndpoint.of({**options, "spool_url": spool_url}, SECRET)
        with endpoint.segments_http() as http:
            assert "X-Trino-User" not in http.headers
            with pytest.raises(requests.Timeout):
                http.get(f"{spool_url}/segment", timeout=0.2)
            listener.accept()[0].close()
        with endpoint.http() as http, pytest.raises(UnencryptedError):
            http.get(f"{spool_url}/segment")
