"""A real S3 server program for tests: versitygw, started on a free port over a directory.

It checks signatures, serves ranges with 206 and keeps multipart uploads, which neither moto nor
`rclone serve s3` does in full (docs/decisions/0008-s3.md). `make s3-server` builds it into
.cache/bin. Where it is missing its tests are skipped, in CI they fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3http import RequestPolicy, S3Error, S3Http, S3Request
from queryrun.results.s3location import S3Location
from queryrun.results.sigv4 import Credentials, SignRequest, sign_with
from tests.ports import free_port
from tests.server_start import started

PROGRAM = Path(__file__).parent.parent / ".cache" / "bin" / "versitygw"
CREDENTIALS = Credentials("test-access-key", "test-secret-key-0123456789")
FAST_FAILURE = RequestPolicy(connect_timeout_s=2.0, response_timeout_s=1.0, retry_delays_s=(0.0,))
"""For stores that are made to fail: nobody waits for them longer than they need."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server."""

    endpoint: str

    def location(self, **changes: str) -> S3Location:
        """A location in a bucket that does not exist yet."""
        location = S3Location(f"results-{next(_numbers)}", "runs/", self.endpoint)
        return replace(location, **changes)

    def new_bucket(self, **changes: str) -> S3Location:
        """A location in a new and empty bucket."""
        location = self.location(**changes)
        with closing(S3Http(self.endpoint, _signed(location.region))) as http:
            http.send(S3Request("PUT", f"/{location.bucket}"))
        return location


def _signed(region: str) -> SignRequest:
    return sign_with(lambda: CREDENTIALS, region)


@contextmanager
def bucket_at(location: S3Location, policy: RequestPolicy | None = None) -> Iterator[S3Bucket]:
    """The bucket with the right credentials."""
    with closing(S3Bucket(location, lambda: CREDENTIALS, policy)) as bucket:
        yield bucket


def keys_in(bucket: S3Bucket) -> list[str]:
    """Direct access for the contract: objects and unfinished uploads, by key."""
    listed = [one.key for one in bucket.objects()] + [f"{one.key}?" for one in bucket.uploads()]
    return sorted(listed)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests of a process; each makes its own bucket."""
    if not PROGRAM.exists():
        reason = f"{PROGRAM.name} is not there; `make s3-server` builds it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with started("versitygw", running(tmp_path_factory.mktemp("s3"))) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """moto's S3 in its own process: knows the operations, checks no signature."""
    address = ("127.0.0.1", free_port())
    command = [sys.executable, "-m", "moto.server", "-H", address[0], "-p", str(address[1])]
    with _process(command, {}, Path(os.devnull)) as process:
        server = S3Server(f"http://{address[0]}:{address[1]}")
        _wait_for(server, process)
        yield server


@contextmanager
def running(directory: Path, access_log: Path | None = None) -> Iterator[S3Server]:
    """Start a server over `directory` and end it afterwards."""
    root = directory / "root"
    root.mkdir(parents=True)
    address = f"127.0.0.1:{free_port()}"
    environ = {
        "ROOT_ACCESS_KEY": CREDENTIALS.access_key_id,
        "ROOT_SECRET_KEY": CREDENTIALS.secret_access_key,
    }
    logged = ["--access-log", str(access_log)] if access_log else []
    command = [str(PROGRAM), "--port", address, "--keep-alive", "--quiet", *logged]
    command += ["posix", str(root)]
    with _process(command, environ, directory / "log") as process:
        server = S3Server(f"http://{address}")
        _wait_for(server, process)
        yield server


@contextmanager
def _process(
    command: list[str], environ: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone afterwards."""
    with log.open("w") as output:
        environ = {"PATH": os.environ["PATH"], **environ}
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    """Return when it responds."""
    policy = RequestPolicy(connect_timeout_s=1.0, retry_delays_s=())
    deadline = time.monotonic() + 20
    with closing(S3Http(server.endpoint, _signed("us-east-1"), policy)) as http:
        while time.monotonic() < deadline:
            assert process.poll() is None, "the server has ended"
            with suppress(S3Error):
                http.send(S3Request("GET", "/"))
                return
    raise AssertionError("the server does not answer")
