"""A connection to a Spark Connect server by gRPC itself: what the node and the relays use."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from queryrun.engines.spark.call_frames import MAX_MESSAGE_BYTES
from queryrun.engines.spark.endpoint import SparkEndpoint

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_retries", 0),
    # A server that vanished is noticed. Servers refuse pings more often than every five minutes.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Sources must not share a connection: each is its own, and closed with it.
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(endpoint: SparkEndpoint) -> grpc.Channel:
    """A token goes over TLS only, with the certificates that this machine trusts."""
    if not endpoint.is_secure:
        return grpc.insecure_channel(endpoint.address, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(root_certificates=_trusted())
    if endpoint.token:
        bearer = grpc.access_token_call_credentials(endpoint.token)
        credentials = grpc.composite_channel_credentials(credentials, bearer)
    return grpc.secure_channel(endpoint.address, credentials, options=_OPTIONS)


def _trusted() -> bytes | None:
    """Whom this machine trusts (SSL_CERT_FILE, or the system's); None: whom gRPC trusts."""
    path = ssl.get_default_verify_paths().cafile
    return Path(path).read_bytes() if path else None
