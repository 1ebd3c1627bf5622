"""A Spark Connect server that takes a token, behind TLS: who gets in, who does not, who sees it.

Spark checks the token itself and speaks no TLS: that ends just before it, as with the proxies that
are put before it in production.
"""

from __future__ import annotations

import os
import secrets
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from queryrun.engines.base import EngineLimits, RemoteEndpoint, work_name
from queryrun.engines.spark.remote import SparkRemote
from queryrun.engines.spark.session import open_session
from queryrun.errors import FailureCode, RunFailed
from tests import spark_server
from tests.contract.relayed import relayed_session
from tests.contract.served import Served, served
from tests.retrying_remote import RetryingRemote
from tests.spark_server import SparkServer
from tests.tls import Authority, Wire, server_context, wire_to

pytestmark = [pytest.mark.xdist_group("spark_server"), pytest.mark.timeout(300)]

SPARK = RetryingRemote(SparkRemote())
ENDLESS = "SELECT sum(hash(id)) AS n FROM range(0, 1000000000000, 1, 100000)"
"""Of small tasks: one server by itself cannot kill an executor that does not heed its interrupt."""
NOT_ACCEPTED = "Spark does not accept the source's credentials"


@dataclass(frozen=True, slots=True)
class SecuredSpark:
    """The server, the wire that terminates TLS for it, its certificate authority, and the token."""

    server: SparkServer
    wire: Wire
    authority: Path
    token: str

    def options(self, port: int = 0, host: str = "127.0.0.1") -> dict[str, str]:
        """A source's options. A token makes the connection an encrypted one."""
        url = f"sc://{host}:{port or self.wire.port}"
        return {"url": url, "ui_url": self.server.ui_url, "auth": "token", "user": "ann"}

    @property
    def in_clear(self) -> dict[str, str]:
        """Options that lead past TLS, without a token."""
        return {"url": self.server.url, "user": "ann"}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredSpark]:
    """The server of this module: one process, ten seconds to start."""
    if reason := spark_server.reason_against():
        if os.environ.get("CI") and not os.environ.get("WITHOUT_ENGINES"):
            pytest.fail(reason)
        pytest.skip(reason)
    directory, token = tmp_path_factory.mktemp("spark"), secrets.token_urlsafe(24)
    authority = Authority(directory / "authority.pem")
    certificate = directory / "server.pem"
    certificate.write_text(authority.issue())
    with spark_server.running(directory, is_local=True, token=token) as server:
        port = urlsplit(server.url).port
        assert port is not None
        with wire_to(port, server_context(certificate, "h2")) as wire:
            yield SecuredSpark(server, wire, authority.certificate, token)


@pytest.fixture
def trusted(spark: SecuredSpark, monkeypatch: pytest.MonkeyPatch) -> SecuredSpark:
    """The server, to a process that trusts its authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(spark.authority))
    return spark


@pytest.fixture
def limits(tmp_path: Path) -> EngineLimits:
    """Enough for small results."""
    (tmp_path / "spill").mkdir()
    return EngineLimits(256 * 1024**2, 1, str(tmp_path / "spill"), 0)


@pytest.fixture
def name() -> str:
    """A work name that no other test has."""
    return work_name(uuid4().hex, 1)


Call = Callable[[dict[str, str], str | None], object]


@pytest.fixture(params=["plan", "relayed", "check", "stop"])
def call(request: pytest.FixtureRequest, limits: EngineLimits, name: str) -> Call:
    """Each way to speak to the server. (Names come from Spark's UI, which takes no token.)"""

    def plan(options: dict[str, str], secret: str | None) -> object:
        with closing(open_session(options, limits, secret=secret)) as session:
            rows = session.plan("SELECT 42 AS answer", name=name)
            return rows.connection.execute(f"FROM (\n{rows.relation})").fetchall()

    def relayed(options: dict[str, str], secret: str | None) -> object:
        with closing(relayed_session("spark", options, limits, secret)) as session:
            rows = session.plan("SELECT 42 AS answer", name=name)
            return rows.connection.execute(f"FROM (\n{rows.relation})").fetchall()

    calls: dict[str, Call] = {
        "plan": plan,
        "relayed": relayed,
        "check": lambda options, secret: SparkRemote().check(RemoteEndpoint(options, secret)),
        "stop": lambda options, secret: SparkRemote().stop(RemoteEndpoint(options, secret), name),
    }
    return calls[str(request.param)]


def refused(call: Call, options: dict[str, str], secret: str | None) -> str:
    """The message of a rejection; neither it nor its causes contain the secret."""
    with pytest.raises(RunFailed) as failed:
        call(options, secret)
    assert failed.value.failure.code is FailureCode.ENGINE_UNAVAILABLE
    trace = "".join(traceback.format_exception(failed.value))
    assert not secret or secret not in trace
    return failed.value.failure.message


def test_a_valid_token_is_accepted(trusted: SecuredSpark, call: Call) -> None:
    """A Spark that has just started, on a busy machine, may be late with its list of jobs: asked
    again, it must take the token."""
    for _ in range(2):
        with suppress(RunFailed):
            assert call(trusted.options(), trusted.token) in ([(42,)], None)
            return
    assert call(trusted.options(), trusted.token) in ([(42,)], None)


def test_a_wrong_token_is_reported_as_such(trusted: SecuredSpark, call: Call) -> None:
    assert refused(call, trusted.options(), secrets.token_urlsafe(24)) == NOT_ACCEPTED


def test_a_client_without_a_token_is_rejected(spark: SecuredSpark, call: Call) -> None:
    assert refused(call, spark.in_clear, None) == NOT_ACCEPTED


def test_nothing_is_sent_unencrypted(trusted: SecuredSpark, call: Call) -> None:
    with wire_to(trusted.wire.port) as wire:
        call(trusted.options(wire.port), trusted.token)
    assert_is_encrypted(bytes(wire.sent), trusted.token)


def test_an_untrusted_certificate_gets_no_token(spark: SecuredSpark, call: Call) -> None:
    with wire_to(spark.wire.port) as wire:
        message = refused(call, spark.options(wire.port), spark.token)
    assert message != NOT_ACCEPTED
    assert_is_encrypted(bytes(wire.sent), spark.token)


def test_a_certificate_of_another_host_gets_no_token(trusted: SecuredSpark, call: Call) -> None:
    with wire_to(trusted.wire.port) as wire:
        message = refused(call, trusted.options(wire.port, "localhost"), trusted.token)
    assert message != NOT_ACCEPTED
    assert_is_encrypted(bytes(wire.sent), trusted.token)


def test_a_server_that_speaks_no_tls_gets_no_token(trusted: SecuredSpark, call: Call) -> None:
    """The real one, reached past its proxy."""
    port = urlsplit(trusted.server.url).port
    assert port is not None
    with wire_to(port) as wire:
        message = refused(call, trusted.options(wire.port), trusted.token)
    assert message != NOT_ACCEPTED
    assert_is_encrypted(bytes(wire.sent), trusted.token)


def assert_is_encrypted(sent: bytes, token: str) -> None:
    """Something has been sent, and neither token nor statement can be read in it."""
    assert sent
    for clear in (token.encode(), b"SELECT", b"spark.connect"):
        assert clear not in sent


# --- the whole service ----------------------------------------------------------------------


@pytest.fixture
def warehouse(spark: SecuredSpark, tmp_path: Path) -> Iterator[Served]:
    """A server process with a source `WAREHOUSE` on it."""
    source = {key.upper(): value for key, value in spark.options().items()}
    with served(
        tmp_path, {"ENGINE": "spark", "DIALECT": "native", **source}, spark.authority
    ) as warehouse:
        yield warehouse


def test_a_service_keeps_the_token_to_itself(warehouse: Served, trusted: SecuredSpark) -> None:
    """Statements run and stop in Spark; the secret is in no process and in no log."""
    token, endpoint = trusted.token, RemoteEndpoint(trusted.options(), trusted.token)
    server = warehouse.serve(token)
    run = server.finished(server.submit("SELECT 42 AS answer", source="warehouse")["id"])
    assert server.file_text(run) == "answer\n42\n"
    canceled = warehouse.cancel_running(server, ENDLESS, lambda name: name in SPARK.names(endpoint))
    assert canceled["cancellation"]["engine_stop"] == "remote_confirmed"
    assert SPARK.names(endpoint) == []
    warehouse.assert_hidden(server, token)
    server.terminate()
    assert token not in warehouse.log


def test_a_service_with_a_wrong_token_reports_what_its_runs_wait_for(warehouse: Served) -> None:
    wrong = secrets.token_urlsafe(24)
    server = warehouse.serve(wrong)
    run = server.submit("SELECT 1 AS one", source="warehouse")
    assert warehouse.wait_until_away(server) == NOT_ACCEPTED
    assert server.get(run["id"], "state,waiting_for")["waiting_for"] == "source"
    server.terminate()
    assert NOT_ACCEPTED in warehouse.log
    assert wrong not in warehouse.log
