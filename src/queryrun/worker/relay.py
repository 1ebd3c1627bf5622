"""A worker's relay: the process that connects it to its engine and its store, and to nothing else.

A worker opens no connection. It asks its relay for one by name, and gets a connected socket: to
the store of results, to another place of the source (`SourceSpec.connections`), or to the relay
itself, which passes requests on to the engine and adds the source's secret. A worker that was
taken over has neither an address nor a secret. The relay ends with its worker.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import NoReturn

import msgspec

from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.channel import Channel
from queryrun.processes.child_setup import limit_memory, name_process
from queryrun.processes.given_sockets import give_sockets, receive_socket
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.results.s3http import bound_silence
from queryrun.worker.frames import RelayConfig
from queryrun.worker.relay_targets import ENGINE, Address, addresses_of

MEMORY_BYTES = 512 * 1024**2
MAX_CONNECTIONS = 64
"""To the engine, at the same time: a statement needs three."""
CONNECT_TIMEOUT_S = 5.0
STACK_BYTES = 512 * 1024
"""Of its threads, two per connection: they do little, and the memory limit counts stacks whole."""


def main(control: socket.socket) -> NoReturn:
    """The entry point: give sockets until the worker has ended."""
    requests = receive_socket(control, socket.SOCK_SEQPACKET)
    config = Channel(control, msgspec.msgpack.Decoder(RelayConfig).decode).receive()
    if requests is None or config is None:
        os._exit(0)  # never configured: the node closed its end
    addresses = addresses_of(config.source, config.results)
    limit_memory(MEMORY_BYTES)
    ports = tuple(sorted({address.port for address in addresses.values()}))
    apply_sandbox(SandboxPolicy(network=True, ports=ports))
    name_process("qr:relay")
    threading.stack_size(STACK_BYTES)
    config.source.kind.prepare_relay()
    give_sockets(requests, Relay(config.source, addresses).give)
    os._exit(0)


class Relay:
    """Connects to the addresses of one worker."""

    def __init__(self, source: SourceSpec, addresses: dict[str, Address]) -> None:
        self._source = source
        self._addresses = addresses
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def give(self, name: str) -> socket.socket:
        """`GiveSocket`: a connection of a name that there is."""
        if name == ENGINE and self._source.kind.relay:
            return self._relayed()
        address = self._addresses.get(name)
        if address is None or name == ENGINE:
            raise ConnectionRefusedError
        connected = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound_silence(connected)
        connected.setblocking(True)
        return connected

    def _relayed(self) -> socket.socket:
        """One thread per connection of the worker."""
        if not self._slots.acquire(blocking=False):
            raise ConnectionRefusedError
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(ours,), daemon=True, name="relay").start()
        return theirs

    def _serve(self, connection: socket.socket) -> None:
        try:
            source = self._source
            source.kind.relay_connection(connection, source.options, source.secret_text)
        finally:
            self._slots.release()
