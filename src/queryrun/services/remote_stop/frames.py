"""The protocol between a node and its remote-stop process."""

from __future__ import annotations

from typing import Literal

from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.frames import Frame

RemoteCall = Literal["stop", "names", "check"]
"""The methods of `engines.base.RemoteEngine`."""


class RemoteRequest(Frame, frozen=True, tag="remote"):
    """Node to process: make this call at that source."""

    number: int
    call: RemoteCall
    source: SourceSpec
    name: str = ""


class RemoteResponse(Frame, frozen=True, tag="response"):
    """Process to node, in any order. `problem`: why the call did not succeed."""

    number: int
    names: tuple[str, ...] = ()
    problem: str | None = None
