"""Ids in a process that was forked."""

from __future__ import annotations

import os

from queryrun.http.ids import new_id


def test_a_forked_process_has_ids_of_its_own() -> None:
    new_id()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, new_id().encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(ours, 100).decode() not in {new_id() for _ in range(1000)}
    os.close(ours)
    os.close(theirs)
