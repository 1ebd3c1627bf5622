"""The protocol between a node and its fork server: one frame per SEQPACKET packet.

`Fork` carries one descriptor, the new process's end of a socket pair; `Forked` carries one
back, a pidfd, opened before the process could be reaped. A packet keeps a frame and
its descriptor together, which a stream would not.
"""

from __future__ import annotations

import msgspec

from queryrun.processes.frames import Frame, packet_body

MAX_PACKET_BYTES = 4096


class Fork(Frame, frozen=True, tag="fork"):
    """Start a process of this role on the attached socket."""

    number: int
    role: str


class Reap(Frame, frozen=True, tag="reap"):
    """Reap a dead process. Until then it stays a zombie, so that its pid cannot be reused."""

    number: int
    pid: int


class Forked(Frame, frozen=True, tag="forked"):
    """The process exists; its pidfd is attached."""

    number: int
    pid: int


class Reaped(Frame, frozen=True, tag="reaped"):
    """The process was reaped. `wait_status` is the value from `waitpid`."""

    number: int
    wait_status: int


class LeftProcesses(Frame, frozen=True, tag="left_processes"):
    """The process is dead, but what it started is not, or that cannot be found out now. Nothing
    was reaped; ask again."""

    number: int
    reason: str


class Refused(Frame, frozen=True, tag="refused"):
    """The request was refused; nothing was started or reaped.

    `error_number` is the kernel's, when it was the kernel that refused; else 0.
    """

    number: int
    reason: str
    error_number: int = 0


ForkRequest = Fork | Reap
ForkResponse = Forked | Reaped | LeftProcesses | Refused

_requests = msgspec.msgpack.Decoder(ForkRequest)
_responses = msgspec.msgpack.Decoder(ForkResponse)


def decode_request(packet: bytes) -> ForkRequest:
    """A packet as the fork server reads it. `ValueError` (`msgspec.DecodeError`) for others."""
    request: ForkRequest = _requests.decode(packet_body(packet))
    return request


def decode_response(packet: bytes) -> ForkResponse:
    """A packet as the node reads it. `ValueError` (`msgspec.DecodeError`) for others."""
    response: ForkResponse = _responses.decode(packet_body(packet))
    return response
