"""A worker's requests to the store of results, signed by the node, which alone has the keys."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from itertools import count

from queryrun.processes.channel import Channel
from queryrun.results.sigv4 import UnsignedRequest
from queryrun.worker.frames import Sign, Signed, ToWorker

SIGN_TIMEOUT_S = 30.0
"""A node signs in less than a millisecond, unless its loop is stuck."""


class NodeSigner:
    """Asks the node. `sign` is called from any thread, `on_signed` from the one that listens."""

    def __init__(self, channel: Channel[ToWorker]) -> None:
        self._channel = channel
        self._numbers = count(1)
        self._changed = threading.Condition()
        self._signed: dict[int, Mapping[str, str]] = {}

    def sign(self, request: UnsignedRequest, offset: timedelta) -> Mapping[str, str]:
        """The headers to send (`sigv4.SignRequest`). `TimeoutError` when the node is silent."""
        number = next(self._numbers)
        self._channel.send(
            Sign(
                number,
                request.method,
                request.host,
                request.path,
                tuple(request.query),
                dict(request.headers),
                request.payload_sha256,
                offset.total_seconds(),
            )
        )
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._signed, SIGN_TIMEOUT_S):
                raise TimeoutError
            return self._signed.pop(number)

    def on_signed(self, frame: Signed) -> None:
        """The node has signed a request."""
        with self._changed:
            self._signed[frame.number] = frame.headers
            self._changed.notify_all()
