"""Settings -> how strict the sandbox is, and whether this kernel is enough for that."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Gauge

from queryrun.errors import ConfigurationError
from queryrun.processes.sandbox import SandboxMode, SandboxSupport, sandbox_support
from queryrun.settings import Settings

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class NodeSandbox:
    """What a node's child processes are confined with."""

    mode: SandboxMode
    support: SandboxSupport

    @property
    def is_complete(self) -> bool:
        """Whether no wall is missing."""
        return not self.support.missing

    def __str__(self) -> str:
        """For the banner and for `/readyz`."""
        abi, has_filter = self.support.landlock_abi, self.support.has_filter
        files = f"Landlock {abi}" if abi else "no Landlock"
        calls = "system calls filtered" if has_filter else "system calls not filtered"
        return f"{files}, {calls}, {self.mode.value}"


def node_sandbox(settings: Settings, host: str) -> NodeSandbox:
    """The sandbox of a node that listens on `host`.

    Raises `ConfigurationError`, which says what is missing, when it is required and the kernel
    lacks a part. On loopback alone a lack is a warning in the log.
    """
    found = NodeSandbox(_mode(settings, host), sandbox_support())
    if found.is_complete:
        return found
    missing = " and ".join(found.support.missing)
    if found.mode is SandboxMode.REQUIRED:
        raise ConfigurationError(
            f"the sandbox around statements is required, and this machine lacks {missing}. "
            "Whoever takes over a worker could reach other tenants' files and the network. "
            'Use another kernel, listen on loopback alone, or set server.sandbox = "best_effort"'
        )
    log.warning("sandbox_incomplete", missing=found.support.missing)
    return found


def register_sandbox(sandbox: NodeSandbox, registry: CollectorRegistry) -> None:
    """The gauge: 1 when no wall is missing; its labels say what there is."""
    gauge = Gauge(
        "queryrun_sandbox",
        "1 when every wall around child processes stands, else 0: alert on 0",
        ["mode", "landlock_abi", "filter"],
        registry=registry,
    )
    support = sandbox.support
    has_filter = "yes" if support.has_filter else "no"
    gauge.labels(sandbox.mode.value, str(support.landlock_abi), has_filter).set(
        int(sandbox.is_complete)
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address or name to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _mode(settings: Settings, host: str) -> SandboxMode:
    if settings.server.sandbox != "auto":
        return SandboxMode(settings.server.sandbox)
    return SandboxMode.BEST_EFFORT if is_loopback(host) else SandboxMode.REQUIRED
