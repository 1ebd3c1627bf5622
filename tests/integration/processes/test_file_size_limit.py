"""The limit of a file's size that a child process sets itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

_LIMIT = """
import resource, sys
from queryrun.processes.child_setup import limit_file_size
hard, requested = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
limit_file_size(requested)
print(resource.getrlimit(resource.RLIMIT_FSIZE)[0])
"""
HARD = 1_024_000


@pytest.mark.parametrize(("requested", "limit"), [(1 << 40, HARD), (5000, 5000), (0, HARD)])
def test_a_limit_above_that_of_the_node_leaves_the_nodes(requested: int, limit: int) -> None:
    """As `ulimit -f` around a server sets it: the statement's own limit is refused then."""
    command = [sys.executable, "-c", _LIMIT, str(HARD), str(requested)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == limit
