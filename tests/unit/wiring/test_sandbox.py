"""How strict the sandbox is depends on who can connect, and a lack is said in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from queryrun.errors import ConfigurationError
from queryrun.processes.sandbox import SandboxMode, SandboxSupport
from queryrun.settings.file import load
from queryrun.wiring import sandbox
from queryrun.wiring.sandbox import NodeSandbox, node_sandbox, register_sandbox

WHOLE, NO_FILES, NO_CALLS = (
    SandboxSupport(7, has_filter=True),
    SandboxSupport(0, has_filter=True),
    SandboxSupport(7, has_filter=False),
)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_loopback_a_lack_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(sandbox, "sandbox_support", lambda: NO_FILES)
    assert node_sandbox(load(tmp_path, {}), host).mode is SandboxMode.BEST_EFFORT


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "node.example.net", ""])  # noqa: S104
@pytest.mark.parametrize(("support", "named"), [(NO_FILES, "Landlock"), (NO_CALLS, "system calls")])
def test_beyond_loopback_a_lack_is_refused_with_its_name_and_a_way_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    support: SandboxSupport,
    named: str,
) -> None:
    monkeypatch.setattr(sandbox, "sandbox_support", lambda: support)
    with pytest.raises(ConfigurationError, match=named) as refused:
        node_sandbox(load(tmp_path, {}), host)
    assert "server.sandbox" in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_the_setting_counts_wherever_the_service_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(sandbox, "sandbox_support", lambda: NO_CALLS)
    lenient = load(tmp_path, {"QUERYRUN_SERVER__SANDBOX": "best_effort"})
    assert node_sandbox(lenient, host).mode is SandboxMode.BEST_EFFORT
    with pytest.raises(ConfigurationError):
        node_sandbox(load(tmp_path, {"QUERYRUN_SERVER__SANDBOX": "required"}), host)


@pytest.mark.parametrize(("support", "value"), [(WHOLE, "1.0"), (NO_FILES, "0.0")])
def test_a_gauge_says_whether_every_wall_stands(support: SandboxSupport, value: str) -> None:
    registry = CollectorRegistry()
    register_sandbox(NodeSandbox(SandboxMode.REQUIRED, support), registry)
    abi = support.landlock_abi
    line = f'queryrun_sandbox{{filter="yes",landlock_abi="{abi}",mode="required"}} {value}'
    assert line in generate_latest(registry).decode()
