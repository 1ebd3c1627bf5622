"""What a server needs of the machine, said before it starts."""

from __future__ import annotations

import os

import pytest

from queryrun.cli.serve import check_kernel
from queryrun.errors import ConfigurationError


def test_a_machine_that_has_everything_is_taken() -> None:
    check_kernel()


def test_a_missing_proc_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda _path: False)
    with pytest.raises(ConfigurationError, match="/proc is not mounted"):
        check_kernel()


def test_missing_process_descriptors_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(ConfigurationError, match="no pidfd_open"):
        check_kernel()
