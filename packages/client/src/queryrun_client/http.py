"""What both clients need of the HTTP library: its requests and answers from and to ours."""

from __future__ import annotations

import httpx2

from queryrun_client.core import Credentials
from queryrun_client.decrypt import PrivateKey
from queryrun_client.effects import Request, Response
from queryrun_client.errors import ClientError
from queryrun_client.model import Options

AGENT = {"user-agent": "queryrun-client"}
CHUNK_BYTES = 256 * 1024


def credentials(client_id: str | None, client_secret: str | None) -> Credentials | None:
    """Both, or neither."""
    if client_id and client_secret:
        return Credentials(client_id, client_secret)
    if client_id or client_secret:
        raise ClientError("a client id needs its secret, and a secret its client id")
    return None


def private_key(options: Options) -> PrivateKey | None:
    """The client's private key, when it was given one."""
    if options.private_key is None:
        return None
    return PrivateKey(options.private_key, options.private_key_password)


def built(client: httpx2.Client | httpx2.AsyncClient, request: Request) -> httpx2.Request:
    """The request as the library sends it; a long poll may take its wait on top."""
    read_s = (client.timeout.read or 0.0) + request.wait_s
    # No limit on waiting for a connection of one's own: many at once is no failure of the network.
    timeout = httpx2.Timeout(client.timeout.connect, read=read_s, pool=None)
    try:
        return client.build_request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.body,
            timeout=timeout,
        )
    except (httpx2.InvalidURL, UnicodeEncodeError) as error:
        raise ClientError("the address or a header cannot be sent") from error


def response_of(answer: httpx2.Response) -> Response:
    """An answer with its body, decompressed."""
    return Response(answer.status_code, _headers(answer), answer.content)


def head_of(answer: httpx2.Response) -> Response:
    """An answer whose body is streamed."""
    return Response(answer.status_code, _headers(answer))


def _headers(answer: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def described(trouble: httpx2.RequestError) -> str:
    """What went wrong, without the address: a link's signature is in it."""
    return f"{type(trouble).__name__}: {trouble}" if str(trouble) else type(trouble).__name__
