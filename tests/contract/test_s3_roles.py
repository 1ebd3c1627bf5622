"""Credentials of roles: found by botocore's chain, renewed before they expire, never printed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2 as httpx
import pytest
from structlog.testing import capture_logs

from queryrun.errors import ConfigurationError, RunFailed
from queryrun.results.aws_chain import chain_credentials
from queryrun.results.credentials import RotatingCredentials
from queryrun.results.s3 import S3ResultStore
from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3location import S3Location
from queryrun.results.sigv4 import Credentials
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.worker.frames import Done, Execute
from queryrun.worker.pool import PoolOptions, WorkerPool
from tests.contract.test_s3_worker import config_of
from tests.role_endpoints import (
    CONTAINER_TOKEN,
    REGION,
    RoleEndpoints,
    SigningGateway,
    role_endpoints,
    signing_gateway,
)
from tests.s3_server import S3Server, bucket_at

KEY = "run_1.csv"
PART_BYTES = 5 * 1024 * 1024


@pytest.fixture
def endpoints() -> Iterator[RoleEndpoints]:
    """The metadata and container endpoints."""
    with role_endpoints() as endpoints:
        yield endpoints


@pytest.fixture
def gateway(moto_server: S3Server) -> Iterator[SigningGateway]:
    """S3 that takes nothing but well signed requests."""
    with signing_gateway(moto_server.endpoint) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def use_container(
    monkeypatch: pytest.MonkeyPatch, endpoints: RoleEndpoints, directory: Path
) -> Path:
    """The environment of an ECS task and of an EKS pod identity; the file of its token."""
    token = directory / "token"
    token.write_text(CONTAINER_TOKEN)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{endpoints.endpoint}/container")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    return token


def new_bucket(moto_server: S3Server, gateway: SigningGateway) -> S3Location:
    """A new bucket behind the gateway."""
    location = moto_server.new_bucket()
    return S3Location(location.bucket, location.prefix, gateway.endpoint)


# --- where credentials come from -----------------------------------------------------------


def test_an_instance_role_is_read_from_the_metadata_service_with_a_token(
    monkeypatch: pytest.MonkeyPatch, endpoints: RoleEndpoints
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoints.endpoint)
    assert same_keys(chain_credentials(REGION)(), endpoints.current)
    assert endpoints.requests[0] == "PUT /latest/api/token"


def test_a_container_role_is_read_with_the_token_of_its_file(
    monkeypatch: pytest.MonkeyPatch, endpoints: RoleEndpoints, tmp_path: Path
) -> None:
    use_container(monkeypatch, endpoints, tmp_path)
    found = chain_credentials(REGION)()
    assert same_keys(found, endpoints.current)
    assert found.expires is not None
    assert found.expires > datetime.now(UTC) + timedelta(hours=5)


def test_a_container_role_with_a_wrong_token_is_an_error_without_secrets(
    monkeypatch: pytest.MonkeyPatch, endpoints: RoleEndpoints, tmp_path: Path
) -> None:
    use_container(monkeypatch, endpoints, tmp_path).write_text("wrong-token")
    with pytest.raises(ConfigurationError, match="could not be fetched") as refused:
        chain_credentials(REGION)()
    assert "wrong-token" not in str(refused.value)


def test_a_web_identity_is_exchanged_at_sts(
    monkeypatch: pytest.MonkeyPatch, moto_server: S3Server, tmp_path: Path
) -> None:
    """As a service account of Kubernetes has it (IRSA)."""
    (tmp_path / "identity").write_text("eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2RlIn0.")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_server.endpoint)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/query-results")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "identity"))
    found = chain_credentials(REGION)()
    assert found.access_key_id.startswith("ASIA")
    assert found.session_token
    assert found.expires is not None


def test_without_any_role_the_error_explains_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"no AWS credentials were found.*AWS_ROLE_ARN"):
        chain_credentials(REGION)


def test_without_botocore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queryrun.extras._is_installed", lambda name: name != "botocore")
    with pytest.raises(ConfigurationError, match="pip install 'botocore"):
        chain_credentials(REGION)


# --- renewal -------------------------------------------------------------------------------


def test_credentials_near_their_end_are_renewed(
    monkeypatch: pytest.MonkeyPatch, endpoints: RoleEndpoints, tmp_path: Path
) -> None:
    use_container(monkeypatch, endpoints, tmp_path)
    endpoints.lifetime = timedelta(minutes=12)
    assert same_keys(asyncio.run(renewed_after_rotation(endpoints)), endpoints.current)


async def renewed_after_rotation(endpoints: RoleEndpoints) -> Credentials:
    """The credentials in use once the role has got others."""
    rotating = RotatingCredentials(chain_credentials(REGION), is_remote=True, interval_s=0.02)
    first = rotating()
    endpoints.lifetime = timedelta(hours=6)
    endpoints.rotate()
    rotating.start()
    await until(lambda: rotating() != first)
    await rotating.close()
    return rotating()


def test_while_the_endpoint_is_unreachable_the_last_credentials_stay_in_use(
    monkeypatch: pytest.MonkeyPatch, endpoints: RoleEndpoints, tmp_path: Path
) -> None:
    use_container(monkeypatch, endpoints, tmp_path)
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    endpoints.lifetime = timedelta(minutes=5)
    first = endpoints.current
    with capture_logs() as logs:
        kept = asyncio.run(kept_after_failures(endpoints))
    assert same_keys(kept, first)
    assert {entry["event"] for entry in logs} == {"s3_credentials_unreadable"}
    assert "secret-" not in repr(logs)
    assert "token-" not in repr(logs)


async def kept_after_failures(endpoints: RoleEndpoints) -> Credentials:
    """The credentials after some renewals have failed."""
    rotating = RotatingCredentials(chain_credentials(REGION), is_remote=True, interval_s=0.02)
    endpoints.is_failing = True
    rotating.start()
    async with asyncio.timeout(20):
        await asyncio.to_thread(endpoints.failed.wait)
    await rotating.close()
    return rotating()


# --- use -----------------------------------------------------------------------------------


def test_requests_carry_the_session_token(moto_server: S3Server, gateway: SigningGateway) -> None:
    credentials = Credentials("ASIA1", "secret", "token")
    gateway.accepted = [credentials]
    location = new_bucket(moto_server, gateway)
    with closing(S3Bucket(location, lambda: credentials)) as bucket:
        store = S3ResultStore(bucket)
        writer = store.open(KEY)
        writer.write(b"a\n1\n")
        writer.commit()
        assert b"".join(store.read(KEY, 0, 4)) == b"a\n1\n"
    assert gateway.refused == []


def test_credentials_that_the_store_does_not_know_fail_the_attempt(
    moto_server: S3Server, gateway: SigningGateway
) -> None:
    location = new_bucket(moto_server, gateway)
    with closing(S3Bucket(location, lambda: Credentials("ASIA1", "secret", "token"))) as bucket:
        writer = S3ResultStore(bucket).open(KEY)
        writer.write(b"a\n1\n")
        with pytest.raises(RunFailed) as failed:
            writer.commit()
    assert "InvalidAccessKeyId" in failed.value.failure.message


def test_an_upload_continues_with_renewed_credentials(
    moto_server: S3Server, gateway: SigningGateway, endpoints: RoleEndpoints
) -> None:
    """The first credentials end in the middle of a multipart upload."""
    location = new_bucket(moto_server, gateway)
    gateway.accepted = [endpoints.current]
    with closing(S3Bucket(location, lambda: endpoints.current)) as bucket:
        store = S3ResultStore(bucket, part_bytes=PART_BYTES)
        writer = store.open(KEY)
        writer.write(bytes(3 * PART_BYTES + 1))
        endpoints.rotate()
        gateway.accepted = [endpoints.current]
        writer.write(bytes(2 * PART_BYTES))
        writer.commit()
        found = store.stat(KEY)
    assert found is not None
    assert found.size_bytes == 5 * PART_BYTES + 1
    assert len(gateway.used) == 2


# --- links ---------------------------------------------------------------------------------


def test_a_link_of_temporary_credentials_works(
    moto_server: S3Server, gateway: SigningGateway, endpoints: RoleEndpoints
) -> None:
    location = new_bucket(moto_server, gateway)
    gateway.accepted = [credentials := endpoints.current]
    with closing(S3Bucket(location, lambda: credentials)) as bucket:
        store = S3ResultStore(bucket, presigned=True)
        writer = store.open(KEY)
        writer.write(b"a\n1\n")
        writer.commit()
        link = store.link(KEY, 4 * 3600)
    assert link is not None
    assert "X-Amz-Security-Token=token-1" in link
    assert httpx.get(link).content == b"a\n1\n"
    gateway.accepted = []
    assert httpx.get(link).status_code == 403


def test_there_is_no_presigned_link_that_would_outlive_its_credentials() -> None:
    """The link then goes through the service, which guarantees four hours."""
    expires = datetime.now(UTC) + timedelta(hours=1)
    credentials = Credentials("ASIA1", "secret", "token", expires)
    with closing(S3Bucket(S3Location("results"), lambda: credentials)) as bucket:
        store = S3ResultStore(bucket, presigned=True)
        assert store.link(KEY, 4 * 3600) is None
        assert store.link(KEY, 1800) is not None


def test_static_credentials_sign_links_of_any_lifetime() -> None:
    with bucket_at(S3Location("results")) as bucket:
        assert S3ResultStore(bucket, presigned=True).link(KEY, 4 * 3600) is not None


def same_keys(found: Credentials, expected: Credentials) -> bool:
    """Whether they are the same but for the second in which they were given out."""
    return (found.access_key_id, found.secret_access_key, found.session_token) == (
        expected.access_key_id,
        expected.secret_access_key,
        expected.session_token,
    )


# --- a worker ------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_renewed_credentials_sign_the_rest_of_a_workers_upload(
    moto_server: S3Server, gateway: SigningGateway, endpoints: RoleEndpoints, tmp_path: Path
) -> None:
    """The first credentials stop to work once the second ones have been used."""
    first = current = endpoints.current
    gateway.accepted = [first]
    location = new_bucket(moto_server, gateway)
    with closing(S3Bucket(location, lambda: current)) as bucket:
        permit = S3ResultStore(bucket).upload_permit(KEY)
        pool = WorkerPool(PoolOptions(tmp_path / "spill", max_workers=1, warm=0), CHILD_ROLES)
        await pool.start()
        try:
            worker = await pool.take(config_of(location, tmp_path))
            running = asyncio.ensure_future(worker.execute(LONG_EXPORT, lambda _: None, permit))
            await until(lambda: first.access_key_id in gateway.used)
            endpoints.rotate()
            current = endpoints.current
            gateway.accepted.append(current)
            await until(lambda: current.access_key_id in gateway.used)
            gateway.accepted.remove(first)
            assert isinstance(await running, Done)
        finally:
            await pool.close()


LONG_EXPORT = Execute(
    run_id="r1",
    attempt=1,
    sql="SELECT i, md5(CAST(i AS VARCHAR)) AS a, md5(CAST(-i AS VARCHAR)) AS b "
    "FROM range(2000000) t(i)",
    file_key=KEY,
    content_type="csv",
    content_encoding="none",
    column_separator=None,
    encryption_key=None,
    row_limit=0,
    size_limit_bytes=0,
)
"""150 MB: thirty parts."""


async def until(condition: Callable[[], bool]) -> None:
    """Return as soon as it holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - other threads make it true
            await asyncio.sleep(0.005)
