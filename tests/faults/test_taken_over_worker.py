"""A worker that was taken over can do nothing but its own run, and each wall is what stops it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from queryrun.processes.sandbox import sandbox_support
from tests.integration.worker.escapes import taken_over_pool, victim, works
from tests.integration.worker.pool_harness import children
from tests.integration.worker.taken_over import ATTACKS, CALLS, COPIES, FILES

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        bool(sandbox_support().missing),
        reason=f"this kernel lacks {' and '.join(sandbox_support().missing)}",
    ),
]
_AS_ROOT_ALONE = {"raw", "change_root", "bpf", "device", "chown", "perf"}
_KERNEL_MAY_LACK = {"mptcp", "io_uring", "keyctl", "userfaultfd", "sysv_memory", "sysv_queue"}
_KERNEL_MAY_LACK |= {"add_key", "asynchronous_io", "compare_processes", "handle_of_file"}
_KERNEL_MAY_LACK |= {"message_queue", "semaphores", "large_pipe"}
"""Without the walls these may still fail, for reasons that are not ours."""
_OF_LESS_POWER = {"read_other_process"}
"""Behind the filter a worker of root's has fewer capabilities than its victim, and so no access."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_no_attack_works_while_all_walls_stand(tmp_path: Path) -> None:
    async with taken_over_pool(tmp_path) as pool:
        for name in ATTACKS:
            with victim(tmp_path / "all") as aim:
                worked = await works(pool, tmp_path / "all", name, aim)
            (tmp_path / "all" / "listener").unlink()
            assert not worked, name


@pytest.mark.parametrize("missing", [{FILES}, {CALLS}, {FILES, CALLS}], ids=sorted)
async def test_an_attack_works_as_soon_as_the_walls_that_stop_it_are_gone(
    tmp_path: Path, missing: set[str]
) -> None:
    """So it is these walls that hold, and not something that the tests do not see."""
    root, found, expected = tmp_path / "w", set(), set()
    async with taken_over_pool(tmp_path, without=missing) as pool:
        for name, attack in ATTACKS.items():
            with victim(root) as aim:
                if await works(pool, root, name, aim):
                    found.add(name)
            (root / "listener").unlink()
            if attack.layers <= missing:
                expected.add(name)
    excused = _KERNEL_MAY_LACK | (_AS_ROOT_ALONE if os.getuid() else _OF_LESS_POWER)
    assert found <= expected
    assert expected - found <= excused, expected - found


async def test_copies_are_safe_because_a_worker_may_not_write_them(tmp_path: Path) -> None:
    """With all walls but this right of its own taken away from the policy, they are not."""
    async with taken_over_pool(tmp_path, without={COPIES}) as pool:
        for name in ("poison_copy", "forge_copy", "remove_copy", "copy_by_descriptor"):
            with victim(tmp_path / "w") as aim:
                assert await works(pool, tmp_path / "w", name, aim), name
            (tmp_path / "w" / "listener").unlink()


async def test_a_stop_leaves_nothing_although_a_child_left_group_and_session(
    tmp_path: Path,
) -> None:
    """The second wall of that kind: the filter that refuses the fork is missing."""
    async with taken_over_pool(tmp_path, without={CALLS}) as pool:
        with victim(tmp_path / "w") as aim:
            before = children()
            assert await works(pool, tmp_path / "w", "fork", aim)
            assert not [pid for pid in children() - before if _is_taken_over(pid)]


def _is_taken_over(pid: int) -> bool:
    """Orphans keep the name that the worker had."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("qr:r1")
    except FileNotFoundError:
        return False
