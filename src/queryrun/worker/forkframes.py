"""What a node and its fork-server say to each other: one msgpack struct per SEQPACKET message.

`Fork` carries one descriptor, the new process's end of a socket pair; `Forked` carries one
back, a pidfd, opened before anybody could have reaped the process.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from queryrun.worker.frames import Frame

MAX_MESSAGE_BYTES = 4096


class Role(StrEnum):
    """What a forked process is for."""

    WORKER = "worker"
    CHECKER = "checker"
    STOPPER = "stopper"
    CATALOG = "catalog"


class Fork(Frame, frozen=True, tag="fork"):
    """Start a process of this role on the socket that comes along."""

    number: int
    role: Role


class Reap(Frame, frozen=True, tag="reap"):
    """Collect a dead process. Until then it stays a zombie, so that its pid cannot be reused."""

    number: int
    pid: int


class Forked(Frame, frozen=True, tag="forked"):
    """The process exists; its pidfd comes along."""

    number: int
    pid: int


class Reaped(Frame, frozen=True, tag="reaped"):
    """The process is gone from the process table. `wait_status` is as `waitpid` gave it."""

    number: int
    wait_status: int


class Refused(Frame, frozen=True, tag="refused"):
    """The request could not be met; nothing was started or collected."""

    number: int
    reason: str


Request = Fork | Reap
Answer = Forked | Reaped | Refused

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(Request)
_answers = msgspec.msgpack.Decoder(Answer)


def pack(message: Request | Answer) -> bytes:
    """One message as it goes over the wire."""
    return _encoder.encode(message)


def unpack_request(data: bytes) -> Request:
    """A message as the fork-server reads it. Raises `msgspec.DecodeError` for anything else."""
    request: Request = _requests.decode(data)
    return request


def unpack_answer(data: bytes) -> Answer:
    """A message as the node reads it. Raises `msgspec.DecodeError` for anything else."""
    answer: Answer = _answers.decode(data)
    return answer
