"""The command line as a person or a script uses it, against a real server process."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from queryrun.cli.home import MadeHome
from tests.e2e.conftest import RUNAWAY, Server, ServerHarness

COMMAND = [sys.executable, "-m", "queryrun.cli"]


@dataclass
class Shell:
    """A shell that is logged in to a server, with its own configuration directory."""

    server: Server
    config: Path
    work: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("QUERYRUN_")}
        return clean | {"XDG_CONFIG_HOME": str(self.config), "COLUMNS": "120", "TERM": "xterm"}

    def __call__(
        self, *arguments: str, stdin: str | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            cwd=self.work,
            env=self.environ | environ,
            timeout=60,
            check=False,
        )

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        done = self(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def login(self, made: MadeHome) -> None:
        """What `queryrun login --home` does, without the second that a process takes."""
        issued = made.issued
        profile = {
            "url": self.server.url,
            "client_id": issued.client.id,
            "client_secret": issued.secret,
        }
        path = self.config / "queryrun" / "profiles.json"
        path.parent.mkdir(parents=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({"current": "default", "profiles": {"default": profile}}))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.work,
            env=self.environ,
        )
        self.started.append(process)
        return process

    def terminate(self) -> None:
        """Kill what a failed test left running."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def in_a_terminal(self, *arguments: str) -> str:
        """What a terminal shows: standard output and error together."""
        reader, writer = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=writer,
            stdout=writer,
            stderr=writer,
            cwd=self.work,
            env=self.environ,
        )
        os.close(writer)
        output = b"".join(_until_closed(reader))
        os.close(reader)
        assert process.wait(timeout=30) == 0, output.decode()
        return output.decode()


def _until_closed(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # Linux: the other end of a terminal was closed
            return
        if not chunk:
            return
        yield chunk


@pytest.fixture
def shell(common: Server, tmp_path: Path) -> Iterator[Shell]:
    """On the server that tests share, as a client that sees its own runs alone."""
    with logged_in(common, tmp_path) as shell:
        yield shell


@pytest.fixture
def own(harness: ServerHarness, tmp_path: Path) -> Iterator[Shell]:
    """On a server that no other test uses: with tables of the test's own, or to be ended."""
    with logged_in(harness.serve(), tmp_path) as shell:
        yield shell


@contextmanager
def logged_in(server: Server, directory: Path) -> Iterator[Shell]:
    work = directory / "work"
    work.mkdir()
    shell = Shell(server, directory / "config", work)
    shell.login(server.made)
    yield shell
    shell.terminate()


def test_a_pipe_gets_csv_and_nothing_else(shell: Shell) -> None:
    done = shell("run", "SELECT i, 'x' AS t FROM range(3) r(i) ORDER BY i")
    assert (done.returncode, done.stdout, done.stderr) == (0, "i,t\n0,x\n1,x\n2,x\n", "")


def test_tables_and_describe_list_tables_and_columns(own: Shell) -> None:
    data = own.server.made.data_dir
    (data / "rates.csv").write_text("code,rate\neur,1.5\n")
    (data / "odd name.csv").write_text("a\n1\n")
    lines = own.ok("tables").splitlines()
    assert lines[0] == "name,size_bytes,rows,format,problem"
    assert [line.split(",")[:2] for line in lines[1:]] == [["odd name", "4"], ["rates", "18"]]
    assert [json.loads(line)["name"] for line in own.ok("tables", "--json").splitlines()] == [
        "odd name",
        "rates",
    ]
    columns = [line.split(",")[:2] for line in own.ok("describe", "rates").splitlines()]
    assert columns == [["name", "type"], ["code", "varchar"], ["rate", "double"]]
    assert "a,bigint" in own.ok("describe", "odd name")
    runs = own.server.http.get("/v2/query_runs").json()["data"]
    assert not runs, "neither takes a slot"


def test_describe_takes_a_name_and_not_a_statement(shell: Shell) -> None:
    done = shell("describe", 'x"; SELECT 1 --')
    assert done.returncode == 1
    assert "could not be found" in done.stderr


def test_a_table_shows_every_digit_of_the_file(shell: Shell) -> None:
    exact = "CAST('12.30' AS decimal(10,2)) AS price"
    exact += ", CAST('12345678901234567.100000' AS decimal(38,6)) AS big"
    output = shell.in_a_terminal("run", f"SELECT {exact}, '007' AS code, chr(27) || '[2J' AS text")
    for text in ("12.30", "12345678901234567.100000", "007", r"\x1b[2J", "(1 row)"):
        assert text in output
    assert "\x1b[2J" not in output


def test_statements_of_a_script_run_in_turn_until_one_fails(shell: Shell) -> None:
    done = shell("run", stdin="SELECT 1 AS a; SELECT ';' AS b;\nSELECT nosuch; SELECT 4 AS d")
    assert (done.returncode, done.stdout) == (3, "a\n1\nb\n;\n")
    assert "the statement begins in line 2 of standard input" in done.stderr
    refused = shell("run", "SELECT 1; SELECT 2", "-o", "out.csv")
    assert refused.returncode == 1
    assert "run them one by one" in refused.stderr


def test_a_run_is_named_by_the_beginning_of_its_id_and_the_last_by_a_word(shell: Shell) -> None:
    shell.ok("run", "SELECT 5 AS five")
    run_id = json.loads(shell.ok("show", "@last", "--json"))["id"]
    assert shell.ok("get", run_id[:13], "-o", "-") == "five\n5\n"
    assert shell("run", "SELECT 1", "-o", "a.xlsx").returncode == 1
    assert shell.ok("--version").startswith("queryrun ")


def test_a_terminal_gets_a_table(shell: Shell) -> None:
    output = shell.in_a_terminal("run", "SELECT 42 AS answer, NULL AS nothing, '[bold]' AS t")
    assert "answer" in output
    assert "42" in output
    assert "NULL" in output
    assert "[bold]" in output
    assert "(1 row)" in output


def test_a_terminal_shows_the_state_while_it_waits(shell: Shell) -> None:
    output = shell.in_a_terminal("run", "SELECT count(*) AS n FROM range(300000000) r(i)")
    assert "accepted" in output or "in_progress" in output


def test_the_statement_comes_from_standard_input_or_a_file(shell: Shell) -> None:
    (shell.work / "q.sql").write_text("SELECT 2 AS b")
    assert shell.ok("run", "-", stdin="SELECT 1 AS a") == "a\n1\n"
    assert shell.ok("run", "--file", "q.sql") == "b\n2\n"
    assert shell("run").returncode == 2


def test_the_suffix_of_the_output_file_chooses_the_format(shell: Shell) -> None:
    import gzip

    shell.ok("run", "SELECT 1 AS a", "--output", "rows.json.gz")
    shell.ok("run", "SELECT 1 AS a", "--output", "rows.parquet")
    assert gzip.decompress((shell.work / "rows.json.gz").read_bytes()) == b'{"a":1}\n'
    assert (shell.work / "rows.parquet").read_bytes().startswith(b"PAR1")


def test_json_prints_the_run_without_its_link(shell: Shell) -> None:
    run = json.loads(shell.ok("run", "SELECT 1 AS a", "--json", "--tag", "team=ops"))
    assert (run["state"], run["number_of_rows"]) == ("complete", 1)
    assert "url" not in run["file"]
    assert json.loads(shell.ok("show", run["id"], "--json"))["tags"] == {"team": "ops"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_the_run_and_reports_it(shell: Shell, number: signal.Signals) -> None:
    process = shell.start("run", RUNAWAY)
    run_id = _running(shell)
    worker = shell.server.computing_worker(run_id)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"run {run_id} canceled" in errors
    assert not Path(f"/proc/{worker}").exists()
    assert shell.server.get(run_id)["state"] == "canceled"


def _running(shell: Shell) -> str:
    """The id of the run, once there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = shell.server.http.get("/v2/query_runs").json()["data"]
        if found:
            return str(found[0]["id"])
    raise AssertionError("no run was made")


@pytest.mark.parametrize(
    ("sql", "status", "reported"),
    [
        ("DROP TABLE account", 1, "SELECT"),
        ("SELECT nothing_of_this_name", 3, "line 1, column 8"),
    ],
)
def test_the_exit_status_distinguishes_refused_from_failed(
    shell: Shell, sql: str, status: int, reported: str
) -> None:
    done = shell("run", sql)
    assert (done.returncode, done.stdout) == (status, "")
    assert reported in done.stderr


def test_the_server_enforces_the_time_limit(shell: Shell) -> None:
    done = shell("run", RUNAWAY, "--timeout", "0.5")
    assert done.returncode == 3
    assert "time limit" in done.stderr


def test_a_run_canceled_by_another_process_exits_with_four(shell: Shell) -> None:
    process = shell.start("run", RUNAWAY)
    shell.server.cancel(_running(shell))
    process.communicate(timeout=30)
    assert process.returncode == 4


def test_an_unreachable_server_exits_with_five(own: Shell) -> None:
    own.server.terminate()
    assert own("ls").returncode == 5


def test_cancel_reports_canceled_already_canceled_and_too_late(shell: Shell) -> None:
    run_id = shell.ok("run", "--no-wait", RUNAWAY).strip()
    assert shell.ok("cancel", run_id) == f"{run_id}  canceled\n"
    assert shell.ok("cancel", run_id) == f"{run_id}  already canceled\n"
    done = json.loads(shell.ok("run", "--json", "SELECT 1"))["id"]
    late = shell("cancel", done, run_id)
    assert late.returncode == 7
    assert f"{done}  too late: complete" in late.stdout
    assert shell("cancel", "nonsense").returncode == 1


def test_cancel_all_cancels_the_active_runs_only(shell: Shell) -> None:
    done = json.loads(shell.ok("run", "--json", "SELECT 1"))["id"]
    active = {shell.ok("run", "--no-wait", RUNAWAY).strip() for _ in range(3)}
    response = json.loads(shell.ok("cancel", "--all", "--json"))["runs"]
    assert {run["id"] for run in response} == active
    assert {run["outcome"] for run in response} == {"canceled"}
    assert shell.server.get(done)["state"] == "complete"


def test_ls_filters_by_state_source_and_age(shell: Shell) -> None:
    done = json.loads(shell.ok("run", "--json", "SELECT 1"))["id"]
    shell("run", "SELECT nothing_of_this_name")
    complete = shell.ok("ls", "--state", "completed", "--source", "live", "--since", "1h")
    assert done in complete
    assert len(complete.splitlines()) == 2
    assert len(json.loads(shell.ok("ls", "--json"))["runs"]) == 2
    assert len(json.loads(shell.ok("ls", "--json", "--limit", "1"))["runs"]) == 1
    assert shell("ls", "--state", "sleeping").returncode == 2
    assert json.loads(shell.ok("ls", "--json", "--since", "2100-01-01"))["runs"] == []


def test_ls_watch_follows_until_ctrl_c(shell: Shell) -> None:
    shell.ok("run", "SELECT 1")
    process = shell.start("ls", "--watch")
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("complete" in line for line in lines)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_get_fetches_a_file_and_decrypt_opens_it(shell: Shell) -> None:
    key = rsa.generate_private_key(65537, 2048)
    (shell.work / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        )
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    run = shell.server.submit("SELECT 42 AS a", encryption_key=public.decode())
    path = Path(json.loads(shell.ok("get", run["id"], "--json"))["path"])
    assert path.suffix == ".enc"
    arguments = ["decrypt", str(path), "--key", "key.pem"]
    done = shell(*arguments, QUERYRUN_KEY_PASSWORD="open sesame")
    assert done.stdout.strip() == str(path.with_suffix(""))
    assert (shell.work / path.with_suffix("")).read_text() == "a\n42\n"
    wrong = shell(*arguments, "-o", "no", QUERYRUN_KEY_PASSWORD="wrong")
    assert wrong.returncode == 1
    assert not (shell.work / "no").exists()
    direct = shell(
        "get", run["id"], "-o", "-", "--private-key", "key.pem", QUERYRUN_KEY_PASSWORD="open sesame"
    )
    assert direct.stdout == "a\n42\n"


def test_profiles_are_private_and_never_show_a_secret(shell: Shell) -> None:
    secret = shell.server.made.issued.secret
    (file,) = shell.config.rglob("profiles.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret in file.read_text()
    for command in (["profiles", "ls"], ["profiles", "ls", "--json"], ["config", "--json"]):
        output = shell.ok(*command)
        assert shell.server.url in output
        assert secret not in output
    file.chmod(0o644)
    done = shell("ls")
    assert (done.returncode, "chmod 600" in done.stderr) == (1, True)


def test_the_profile_is_chosen_by_variable_or_option(shell: Shell) -> None:
    other = shell.server.made.home
    shell.ok("login", "http://127.0.0.1:9", "--no-check", "--home", str(other), "--name", "other")
    assert shell("ls").returncode == 5
    assert shell("ls", QUERYRUN_PROFILE="default").returncode == 0
    shell.ok("profiles", "use", "default")
    assert shell("ls").returncode == 0
    assert shell("ls", "--profile", "other").returncode == 5
    shell.ok("profiles", "rm", "other")
    assert shell("ls", "--profile", "other").returncode == 1


def test_the_environment_alone_is_enough(shell: Shell, tmp_path: Path) -> None:
    issued = shell.server.made.issued
    secret_file = tmp_path / "secret"
    secret_file.write_text(f"{issued.secret}\n")
    done = shell(
        "run",
        "SELECT 1 AS a",
        XDG_CONFIG_HOME=str(tmp_path / "empty"),
        QUERYRUN_URL=shell.server.url,
        QUERYRUN_CLIENT_ID=issued.client.id,
        QUERYRUN_CLIENT_SECRET_FILE=str(secret_file),
    )
    assert done.stdout == "a\n1\n"


def test_a_wrong_secret_is_not_saved(shell: Shell) -> None:
    done = shell(
        "login",
        shell.server.url,
        "--name",
        "bad",
        QUERYRUN_CLIENT_ID=shell.server.made.issued.client.id,
        QUERYRUN_CLIENT_SECRET="wrong",
    )
    assert done.returncode == 1
    assert "bad" not in shell.ok("profiles", "ls")


def test_a_server_starts_with_the_variables_of_the_client_set(harness: ServerHarness) -> None:
    from queryrun.settings.file import CLIENT_VARIABLES

    server = harness.serve(dict.fromkeys(CLIENT_VARIABLES, "set"))
    assert server.submit("SELECT 1")["state"] == "accepted"


FISH = {"_TYPER_COMPLETE_ARGS": "queryrun ca", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}


@pytest.mark.parametrize(
    ("shell_name", "variables"),
    [
        ("bash", {"COMP_WORDS": "queryrun ca", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "queryrun ca"}),
        ("fish", FISH),
    ],
)
def test_commands_are_completed_in_every_shell(shell_name: str, variables: dict[str, str]) -> None:
    """As the function that `--show-completion` prints asks for it."""
    environ = {**os.environ, "_QUERYRUN_COMPLETE": f"complete_{shell_name}", **variables}
    code = "import sys; sys.argv[0] = 'queryrun'; from queryrun_cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert "cancel" in done.stdout
    assert "login" not in done.stdout
