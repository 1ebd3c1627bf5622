"""A Trino that takes https, passwords and tokens: who gets in, who does not, who sees the secret.

The real server, with a password file and a key for tokens; its certificate is of an authority of
our own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from queryrun.engines.base import EngineLimits, RemoteEndpoint, work_name
from queryrun.engines.trino.remote import TrinoRemote
from queryrun.engines.trino.session import open_session
from queryrun.errors import FailureCode, RunFailed
from tests import trino_process
from tests.contract.relayed import relayed_session
from tests.contract.served import Served, served
from tests.ports import free_port
from tests.retrying_remote import RetryingRemote
from tests.tls import Authority, wire_to

pytestmark = [pytest.mark.xdist_group("trino_server"), pytest.mark.timeout(300)]

TRINO = RetryingRemote(TrinoRemote())
USER = "queryrun"
AUTHS = ("password", "token")
ENDLESS = (
    "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a (x), UNNEST(sequence(1, 10000)) b (x), "
    "UNNEST(sequence(1, 10000)) c (x) WHERE a.x + b.x * c.x = -1"
)
NOT_ACCEPTED = "The engine does not accept the source's credentials"
_CONFIG = """
http-server.https.enabled=true
http-server.https.port={port}
http-server.https.keystore.path=etc/server.pem
http-server.authentication.type=PASSWORD,JWT
http-server.authentication.jwt.key-file=etc/tokens.key
internal-communication.shared-secret={internal}
"""
_PASSWORDS = "password-authenticator.name=file\nfile.password-file=etc/passwords\n"


@dataclass(frozen=True, slots=True)
class SecuredTrino:
    """Where it takes https, who vouches for it, and the secrets that it takes, by kind."""

    port: int
    authority: Path
    secrets: dict[str, str]

    def options(self, auth: str, port: int = 0, host: str = "127.0.0.1") -> dict[str, str]:
        """A source's options."""
        url = f"https://{host}:{port or self.port}"
        return {"url": url, "catalog": "memory", "schema": "default", "auth": auth, "user": USER}


@pytest.fixture(scope="module")
def trino(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredTrino]:
    """The server of this module: half a minute to start."""
    if missing := trino_process.what_is_missing():
        if os.environ.get("CI") and not os.environ.get("WITHOUT_ENGINES"):
            pytest.fail(missing)
        pytest.skip(missing)
    authority = Authority(tmp_path_factory.mktemp("authority") / "authority.pem")
    password, key, port = (
        secrets.token_urlsafe(24),
        secrets.token_bytes(32),
        free_port(),
    )
    options = trino_process.Options(
        catalogs={"memory": trino_process.CATALOGS["memory"]},
        config=_CONFIG.format(port=port, internal=secrets.token_hex(32)),
        files={
            "server.pem": authority.issue(),
            "password-authenticator.properties": _PASSWORDS,
            "passwords": f"{USER}:{_hashed(password)}\n",
            "tokens.key": base64.b64encode(key).decode(),
        },
        heap="1G",
    )
    taken = {"password": password, "token": _token(key)}
    with trino_process.running(options):
        yield SecuredTrino(port, authority.certificate, taken)


def _hashed(password: str) -> str:
    """As Trino's file of passwords has it (PBKDF2)."""
    salt, rounds = secrets.token_bytes(16), 1000
    digest = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, rounds)
    return f"{rounds}:{salt.hex()}:{digest.hex()}"


def _token(key: bytes) -> str:
    """A JWT for the user, without an end."""
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": USER})]
    signature = hmac.digest(key, ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _base64url(signature)])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def trusted(trino: SecuredTrino, monkeypatch: pytest.MonkeyPatch) -> SecuredTrino:
    """The server, to a process that trusts its authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(trino.authority))
    return trino


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


@pytest.fixture(params=["plan", "relayed", "check", "names", "stop"])
def call(request: pytest.FixtureRequest, limits: EngineLimits, name: str) -> Call:
    """Each way to speak to the server: ours, a worker's, and the three of remote stops."""

    def plan(options: dict[str, str], secret: str | None) -> object:
        with closing(open_session(options, limits, secret=secret)) as session:
            rows = session.plan("SELECT 42 AS answer", name=name)
            return rows.connection.execute(f"FROM (\n{rows.relation})").fetchall()

    def relayed(options: dict[str, str], secret: str | None) -> object:
        with closing(relayed_session("trino", options, limits, secret)) as session:
            rows = session.plan("SELECT 42 AS answer", name=name)
            return rows.connection.execute(f"FROM (\n{rows.relation})").fetchall()

    calls: dict[str, Call] = {
        "plan": plan,
        "relayed": relayed,
        "check": lambda options, secret: TrinoRemote().check(RemoteEndpoint(options, secret)),
        "names": lambda options, secret: TrinoRemote().names(RemoteEndpoint(options, secret)),
        "stop": lambda options, secret: TrinoRemote().stop(RemoteEndpoint(options, secret), name),
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


@pytest.mark.parametrize("auth", AUTHS)
def test_a_valid_secret_is_accepted(trusted: SecuredTrino, call: Call, auth: str) -> None:
    assert call(trusted.options(auth), trusted.secrets[auth]) in ([(42,)], [], None)


@pytest.mark.parametrize("auth", AUTHS)
def test_a_wrong_secret_is_reported_as_such(trusted: SecuredTrino, call: Call, auth: str) -> None:
    wrong = trusted.secrets[auth][:-8] + "wrong+12"
    assert refused(call, trusted.options(auth), wrong) == NOT_ACCEPTED


def test_a_client_without_a_secret_is_rejected(trusted: SecuredTrino, call: Call) -> None:
    assert refused(call, trusted.options("none"), None) == NOT_ACCEPTED


def test_a_secret_is_rejected_for_another_user(trusted: SecuredTrino, call: Call) -> None:
    options = trusted.options("password") | {"user": "somebody"}
    assert refused(call, options, trusted.secrets["password"]) == NOT_ACCEPTED


@pytest.mark.parametrize("auth", AUTHS)
def test_nothing_is_sent_unencrypted(trusted: SecuredTrino, call: Call, auth: str) -> None:
    secret = trusted.secrets[auth]
    with wire_to(trusted.port) as wire:
        call(trusted.options(auth, wire.port), secret)
    assert_is_encrypted(bytes(wire.sent), secret)


@pytest.mark.parametrize("auth", AUTHS)
def test_an_untrusted_certificate_gets_no_secret(
    trino: SecuredTrino, call: Call, auth: str
) -> None:
    secret = trino.secrets[auth]
    with wire_to(trino.port) as wire:
        message = refused(call, trino.options(auth, wire.port), secret)
    assert message != NOT_ACCEPTED
    assert_is_encrypted(bytes(wire.sent), secret)


def test_a_certificate_of_another_host_gets_no_secret(trusted: SecuredTrino, call: Call) -> None:
    secret = trusted.secrets["password"]
    with wire_to(trusted.port) as wire:
        message = refused(call, trusted.options("password", wire.port, "localhost"), secret)
    assert message != NOT_ACCEPTED
    assert_is_encrypted(bytes(wire.sent), secret)


def assert_is_encrypted(sent: bytes, secret: str) -> None:
    """Something has been sent, and neither secret nor statement can be read in it."""
    assert sent
    as_password = base64.b64encode(f"{USER}:{secret}".encode())
    for clear in (secret.encode(), as_password, b"SELECT", b"uthorization"):
        assert clear not in sent


@pytest.mark.parametrize("auth", AUTHS)
def test_a_stop_ends_a_query_of_a_user_with_a_secret(
    trusted: SecuredTrino, limits: EngineLimits, name: str, auth: str
) -> None:
    options, secret = trusted.options(auth), trusted.secrets[auth]
    endpoint = RemoteEndpoint(options, secret)
    with closing(open_session(options, limits, secret=secret)) as session:
        session.plan(
            "SELECT x FROM UNNEST(sequence(1, 10000)) a (x), "
            "UNNEST(sequence(1, 10000)) b (y), UNNEST(sequence(1, 10000)) c (z)",
            name=name,
        )
        assert name in TRINO.names(endpoint)
        TRINO.stop(endpoint, name)
        assert name not in TRINO.names(endpoint)


# --- the whole service ----------------------------------------------------------------------


def names(trino: SecuredTrino) -> list[str]:
    """The names of our work there."""
    return TRINO.names(RemoteEndpoint(trino.options("password"), trino.secrets["password"]))


@pytest.fixture
def warehouse(trino: SecuredTrino, tmp_path: Path) -> Iterator[Served]:
    """A server process with a source `WAREHOUSE` on it."""
    options = trino.options("password")
    source = {"ENGINE": "trino", "DIALECT": "trino", **{k.upper(): v for k, v in options.items()}}
    with served(tmp_path, source, trino.authority) as warehouse:
        yield warehouse


def test_a_service_keeps_the_password_to_itself(warehouse: Served, trusted: SecuredTrino) -> None:
    """Statements run and stop in Trino; the secret is in no process and in no log."""
    secret = trusted.secrets["password"]
    server = warehouse.serve(secret)
    run = server.finished(server.submit("SELECT 42 AS answer", source="warehouse")["id"])
    assert server.file_text(run) == "answer\n42\n"
    canceled = warehouse.cancel_running(server, ENDLESS, lambda name: name in names(trusted))
    assert canceled["cancellation"]["engine_stop"] == "remote_confirmed"
    assert names(trusted) == []
    warehouse.assert_hidden(server, secret)
    server.terminate()
    assert secret not in warehouse.log


def test_a_service_with_a_wrong_password_reports_what_its_runs_wait_for(warehouse: Served) -> None:
    wrong = secrets.token_urlsafe(24)
    server = warehouse.serve(wrong)
    run = server.submit("SELECT 1 AS one", source="warehouse")
    assert warehouse.wait_until_away(server) == NOT_ACCEPTED
    assert server.get(run["id"], "state,waiting_for")["waiting_for"] == "source"
    server.terminate()
    assert NOT_ACCEPTED in warehouse.log
    assert wrong not in warehouse.log
