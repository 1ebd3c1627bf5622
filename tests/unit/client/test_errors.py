"""Errors of the client travel between processes, as those of a pool's workers do."""

from __future__ import annotations

import copy
import pickle

import pytest

from queryrun_client import ClientError, RunError, RunFailed, RunInfo, State, StillRunning
from queryrun_client.errors import Refusal, Unreachable, refused

RUN = RunInfo("1", State.FAILED, error=RunError("name_not_found", "no column", line=2, column=3))
ERRORS = [
    RunFailed(RUN),
    StillRunning(RUN),
    refused(Refusal(404, "resource_not_found", "no run", "id")),
    Unreachable("no response"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_arrives_in_another_process_with_all_it_holds(error: ClientError) -> None:
    for same in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 our own bytes
        assert type(same) is type(error)
        assert str(same) == str(error)
        assert vars(same) == vars(error)
