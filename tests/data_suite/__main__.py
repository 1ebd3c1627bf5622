"""`python -m tests.data_suite [CELLS [SEED]]`"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.data_suite.suite import Suite, main_lines

if __name__ == "__main__":
    cells, seed = (
        [*map(int, sys.argv[1:]), 100_000, 1][:2] if len(sys.argv) < 3 else map(int, sys.argv[1:3])
    )
    with tempfile.TemporaryDirectory() as made:
        outcome = Suite(Path(made) / "suite", seed).run(cells)
    print("\n".join(main_lines(outcome)))
    sys.exit(bool(outcome.differences))
