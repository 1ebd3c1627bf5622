"""Child processes of root's keep nothing of root's but the files."""

from __future__ import annotations

import json
import subprocess
import sys

_PROGRAM = """
import fcntl, json, os
from pathlib import Path
from queryrun.processes.capabilities import drop_capabilities

drop_capabilities()
words = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
found = {name: int(words[name], 16) for name in ("CapInh", "CapPrm", "CapEff")}
largest = int(Path("/proc/sys/fs/pipe-max-size").read_text())
reader, writer = os.pipe()
try:
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 2 * largest)
    found["has_large_pipe"] = True
except PermissionError:
    found["has_large_pipe"] = False
print(json.dumps(found))
"""
_FILES = 0b110
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH."""


def test_what_root_may_do_beyond_files_is_given_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert not found.pop("has_large_pipe")
    assert not any(value & ~_FILES for value in found.values()), found
