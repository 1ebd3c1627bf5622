"""Ctrl-C before the server's response: the run with an unknown id is found by its key."""

from __future__ import annotations

import os
import signal
from typing import Unpack

import pytest

from queryrun_cli.ending import interrupt_on_signals
from queryrun_cli.following import Interrupted, submit_or_cancel
from queryrun_client import (
    Cancellation,
    CancelOutcome,
    Client,
    Options,
    Run,
    RunInfo,
    State,
    SubmitOptions,
)


class InterruptedClient(Client):
    """Loses its first response to a Ctrl-C; the server has accepted the run."""

    def __init__(self) -> None:
        super().__init__("http://x", options=Options(token="t"))
        self.keys: list[str] = []
        self.canceled: list[str] = []

    def submit(self, sql: str, **options: Unpack[SubmitOptions]) -> Run:
        self.keys.append(options["idempotency_key"])
        if len(self.keys) == 1:
            raise KeyboardInterrupt
        return InterruptedRun(self, RunInfo("r1", State.ACCEPTED))


class InterruptedRun(Run):
    """Remembers that it was canceled."""

    def cancel(self, timeout_s: float | None = None) -> Cancellation:
        assert isinstance(self._client, InterruptedClient)
        self._client.canceled.append(self.id)
        return Cancellation(CancelOutcome.CANCELED, self.info)


def test_a_run_interrupted_before_its_id_is_known_is_canceled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = InterruptedClient()
    attempts = client.core.options.retry.attempts
    with client, pytest.raises(Interrupted):
        submit_or_cancel(client, "SELECT 1", SubmitOptions(idempotency_key="k"))
    assert client.core.options.retry.attempts == attempts
    assert len(set(client.keys)) == 1
    assert client.canceled == ["r1"]
    assert "run r1 canceled" in capsys.readouterr().err


def test_a_cancel_is_requested_although_nobody_reads_what_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in `queryrun run … 2>&1 | tee log`: Ctrl-C ends `tee` too."""
    reading, writing = os.pipe()
    os.close(reading)
    client = InterruptedClient()
    with os.fdopen(writing, "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        with client, pytest.raises(Interrupted):
            submit_or_cancel(client, "SELECT 1", SubmitOptions(idempotency_key="k"))
    assert client.canceled == ["r1"]


def test_a_terminal_that_is_closed_is_as_ctrl_c_unless_it_is_ignored() -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        interrupt_on_signals()
        for number in numbers:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        interrupt_on_signals()
        signal.raise_signal(signal.SIGHUP)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
