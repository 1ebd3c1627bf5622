"""The situations: each spoils one thing for the commands that use it."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from tests.faults.commands.in_process import (
    closed,
    limited,
    without_capabilities,
    without_pidfd,
)
from tests.faults.commands.lines import Line, Uses
from tests.faults.commands.workspace import RESPONSES, Workspace

Spoil = Callable[[Workspace], object]


@dataclass(frozen=True, slots=True)
class Situation:
    """What is wrong, for which commands, and what has to come of it."""

    name: str
    concerns: Uses
    spoil: Spoil
    fails: bool = True
    """Whether such a command has to be refused: a status of 0 would be a lie."""
    words: tuple[str, ...] = ()
    """One of these has to be in what it says when it is refused."""
    is_silent: bool = False
    """Nothing can be said: the streams are closed."""
    only: tuple[str, ...] = ()
    """These commands alone."""
    spares: tuple[str, ...] = ()
    """These commands need less, and may succeed."""

    def applies_to(self, line: Line) -> bool:
        """Whether the line uses what is spoilt."""
        if self.only:
            return line.command in self.only
        return not self.concerns or bool(line.uses & self.concerns)


def environ(**variables: str) -> Spoil:
    """These variables are set."""
    return lambda workspace: workspace.environ.update(variables)


def unset(*names: str) -> Spoil:
    """These variables are not set."""
    return lambda workspace: [workspace.environ.pop(name, None) for name in names]


def in_child(*calls: Callable[[], object]) -> Spoil:
    """Done in the process of the command."""
    return lambda workspace: workspace.in_child.extend(calls)


def url(name: str) -> Spoil:
    """The server is the one of this name."""

    def spoil(workspace: Workspace) -> None:
        workspace.environ["QUERYRUN_URL"] = workspace.names["url"] = workspace.names[name]

    return spoil


def server_at(text: str) -> Spoil:
    """The server's URL is this."""
    return lambda workspace: (
        workspace.environ.update(QUERYRUN_URL=text),
        workspace.names.update(url=text),
    )


def home_file(name: str, content: bytes | None) -> Spoil:
    """A file of the home has this content; None: it is missing."""

    def spoil(workspace: Workspace) -> None:
        path = workspace.home / name
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)

    return spoil


def directory_instead(name: str) -> Spoil:
    """There is a directory where a file of the home must be."""

    def spoil(workspace: Workspace) -> None:
        (workspace.home / name).unlink()
        (workspace.home / name).mkdir()

    return spoil


def file_instead(name: str) -> Spoil:
    """There is a file where a directory of the home must be."""

    def spoil(workspace: Workspace) -> None:
        shutil.rmtree(workspace.home / name, ignore_errors=True)
        (workspace.home / name).write_text("a file")

    return spoil


def circle_instead(name: str) -> Spoil:
    """There is a link to itself where a directory of the home must be."""

    def spoil(workspace: Workspace) -> None:
        path = workspace.home / name
        shutil.rmtree(path, ignore_errors=True)
        path.symlink_to(path)

    return spoil


def fifo_instead(name: str) -> Spoil:
    """There is a named pipe where a file or directory of the home must be: nobody writes to it."""

    def spoil(workspace: Workspace) -> None:
        path = workspace.home / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        os.mkfifo(path)

    return spoil


def mode(name: str, bits: int) -> Spoil:
    """The owner may not do this with a file of the home. Root may, so it gives that up."""

    def spoil(workspace: Workspace) -> None:
        path = workspace.home / name
        path.chmod(bits)
        workspace.in_child.append(without_capabilities)
        workspace.after.append(lambda: path.chmod(0o700))

    return spoil


def _foreign_home(workspace: Workspace) -> None:
    os.chown(workspace.home, 65533, 65533)
    workspace.home.chmod(0o700)
    workspace.in_child.append(without_capabilities)


def _no_home(workspace: Workspace) -> None:
    shutil.rmtree(workspace.home)


def _home_is_a_file(workspace: Workspace) -> None:
    shutil.rmtree(workspace.home)
    workspace.home.write_text("a file")


def _empty_home(workspace: Workspace) -> None:
    shutil.rmtree(workspace.home)
    workspace.home.mkdir()


def _cut(share: float) -> Spoil:
    def spoil(workspace: Workspace) -> None:
        size = workspace.database.stat().st_size
        os.truncate(workspace.database, int(size * share) if share < 1 else int(share))

    return spoil


def _other_database(workspace: Workspace) -> None:
    workspace.database.unlink()
    with closing(sqlite3.connect(workspace.database)) as other:
        other.execute("CREATE TABLE runs (id)")


def _newer_database(workspace: Workspace) -> None:
    with closing(sqlite3.connect(workspace.database)) as database:
        database.execute("INSERT INTO schema_version VALUES (9999, 'of the future')")
        database.commit()


def _locked_database(workspace: Workspace) -> None:
    connection = sqlite3.connect(workspace.database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    workspace.after.append(connection.close)
    workspace.in_child.append(_short_busy_timeout)


def _short_busy_timeout() -> None:
    from queryrun.db.sqlite import database

    database.BUSY_TIMEOUT_S = 0.1


def _dangling_database(workspace: Workspace) -> None:
    workspace.database.unlink()
    workspace.database.symlink_to("nowhere/queryrun.db")


def _looping_database(workspace: Workspace) -> None:
    workspace.database.unlink()
    workspace.database.symlink_to(workspace.database.name)


def _port_in_use(workspace: Workspace) -> None:
    listener = socket.create_server(("127.0.0.1", int(workspace.names["port"])))
    workspace.after.append(listener.close)


def _home_in_use(workspace: Workspace) -> None:
    """Another server has the spill directory's lock, as it has while it runs."""
    (workspace.home / "spill").mkdir(exist_ok=True)
    lock = os.open(workspace.home / "spill" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    workspace.after.append(lambda: os.close(lock))


def _setting(text: str) -> Spoil:
    def spoil(workspace: Workspace) -> None:
        with (workspace.home / "queryrun.toml").open("a") as file:
            file.write(text)

    return spoil


def _sql(content: bytes | None) -> Spoil:
    def spoil(workspace: Workspace) -> None:
        path = workspace.names["sql"]
        if content is None:
            os.unlink(path)  # noqa: PTH108
        else:
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(content)

    return spoil


def _sql_directory(workspace: Workspace) -> None:
    workspace.names["sql"] = str(workspace.root / "user")


def _new_below(name: str) -> Spoil:
    return lambda workspace: workspace.names.update(new=str(workspace.root / name / "new"))


def _new_not_permitted(workspace: Workspace) -> None:
    (workspace.root / "closed").mkdir(mode=0o500)
    workspace.names["new"] = str(workspace.root / "closed" / "new")
    workspace.in_child.append(without_capabilities)


def _no_directory_any_more(workspace: Workspace) -> None:
    gone = workspace.root / "gone"

    def leave() -> None:
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    workspace.in_child.append(leave)


def _profiles(content: bytes) -> Spoil:
    def spoil(workspace: Workspace) -> None:
        path = workspace.root / "user" / ".config" / "queryrun" / "profiles.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        path.chmod(0o600)
        for name in ("QUERYRUN_URL", "QUERYRUN_CLIENT_ID", "QUERYRUN_CLIENT_SECRET"):
            workspace.environ.pop(name)

    return spoil


def _full_stdout() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)


def _read_only_tmp(workspace: Workspace) -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        workspace.environ[name] = str(workspace.root / "nowhere")


_H, _D, _S, _N, _Q, _P = (
    Uses.HOME,
    Uses.DATABASE,
    Uses.SERVER,
    Uses.NEW,
    Uses.SQL,
    Uses.PROCESSES,
)
_ALL = Uses.NOTHING
_UTF16 = "SELECT 1".encode("utf-16")
_MIGRATE = ("migrate",)

SITUATIONS: tuple[Situation, ...] = (
    # --- the home ---------------------------------------------------------------------------
    Situation("home: missing", _H, _no_home, words=("queryrun init",)),
    Situation("home: a file", _H, _home_is_a_file, words=("queryrun init", "ot a directory")),
    Situation("home: empty", _H, _empty_home, words=("queryrun init",)),
    Situation("home: of another user", _H, _foreign_home, words=("ermission", "not readable")),
    Situation(
        "home: read-only",
        _D,
        mode(".", 0o500),
        fails=False,
        words=("ermission", "read-only", "readonly"),
    ),
    Situation("configuration: empty", _H, home_file("queryrun.toml", b""), fails=False),
    Situation(
        "configuration: Latin-1",
        _H,
        home_file("queryrun.toml", b"tenant = 'caf\xe9'\n"),
        words=("UTF-8",),
    ),
    Situation("configuration: UTF-16", _H, home_file("queryrun.toml", _UTF16), words=("UTF-",)),
    Situation(
        "configuration: binary",
        _H,
        home_file("queryrun.toml", bytes(range(256))),
        words=("queryrun.toml",),
    ),
    Situation("configuration: a directory", _H, directory_instead("queryrun.toml")),
    Situation(
        "configuration: not readable", _H, mode("queryrun.toml", 0o000), words=("ermission",)
    ),
    Situation(
        "configuration: an unknown source",
        _H,
        _setting("[sources.other]\nengine = 'oracle'\n"),
        words=("sources.other",),
    ),
    Situation(
        "configuration: a bad port", _H, home_file("queryrun.toml", b"[server]\nport = 700000\n")
    ),
    Situation(
        "variable: an unknown setting",
        _H,
        environ(QUERYRUN_SERVER__PROT="1"),
        words=("QUERYRUN_SERVER__PROT",),
    ),
    Situation(
        "variable: a value of the wrong type",
        _H,
        environ(QUERYRUN_WORKERS__SLOTS="many"),
        words=("QUERYRUN_WORKERS__SLOTS",),
    ),
    Situation("variable: not UTF-8", _H, environ(QUERYRUN_TENANT="\udce9"), fails=False),
    Situation(
        "link key: missing", _P, home_file("link.key", None), words=("link.key",), only=("serve",)
    ),
    Situation(
        "link key: too short",
        _P,
        home_file("link.key", b"ab\n"),
        words=("link.key",),
        only=("serve",),
    ),
    Situation(
        "link key: binary",
        _P,
        home_file("link.key", b"\xff" * 64),
        words=("link.key",),
        only=("serve",),
    ),
    Situation("link key: a directory", _P, directory_instead("link.key"), only=("serve",)),
    Situation(
        "results: a file",
        _P,
        file_instead("results"),
        fails=False,
        words=("results",),
        only=("serve",),
    ),
    Situation(
        "spill: a file", _P, file_instead("spill"), fails=False, words=("spill",), only=("serve",)
    ),
    Situation("data: a file", _H, file_instead("data"), fails=False),
    Situation("data: a circle of links", _H, circle_instead("data"), fails=False),
    Situation(
        "results: a circle of links",
        _P,
        circle_instead("results"),
        fails=False,
        words=("results",),
        only=("serve",),
    ),
    Situation("data: a pipe", _H, fifo_instead("data"), fails=False),
    Situation("configuration: a pipe", _H, fifo_instead("queryrun.toml"), words=("queryrun.toml",)),
    Situation(
        "link key: a pipe", _P, fifo_instead("link.key"), words=("link.key",), only=("serve",)
    ),
    Situation(
        "results: a pipe",
        _P,
        fifo_instead("results"),
        fails=False,
        words=("results",),
        only=("serve",),
    ),
    Situation(
        "spill: a pipe", _P, fifo_instead("spill"), fails=False, words=("spill",), only=("serve",)
    ),
    Situation(
        "home: in use by another server",
        _P,
        _home_in_use,
        words=("another server",),
        only=("serve",),
    ),
    # --- the database -----------------------------------------------------------------------
    Situation(
        "database: missing",
        _D,
        home_file("queryrun.db", None),
        words=("queryrun.db",),
        spares=_MIGRATE,
    ),
    Situation(
        "database: empty",
        _D,
        home_file("queryrun.db", b""),
        words=("queryrun.db",),
        spares=_MIGRATE,
    ),
    Situation(
        "database: garbage", _D, home_file("queryrun.db", b"no database " * 999), words=("damaged",)
    ),
    Situation("database: cut in the header", _D, _cut(50), words=("damaged",)),
    Situation("database: cut in half", _D, _cut(0.5), words=("damaged",)),
    Situation("database: cut after one page", _D, _cut(4096), words=("damaged",)),
    Situation("database: a directory", _D, directory_instead("queryrun.db")),
    Situation("database: a pipe", _D, fifo_instead("queryrun.db"), words=("is a named pipe",)),
    Situation("database: another program's", _D, _other_database),
    Situation("database: of a newer version", _D, _newer_database),
    Situation("database: locked", _D, _locked_database, fails=False, words=("locked",)),
    Situation(
        "database: not readable",
        _D,
        mode("queryrun.db", 0o000),
        words=("may not read", "ermission"),
    ),
    Situation("database: read-only", _D, mode("queryrun.db", 0o400), fails=False),
    Situation("database: a link to nothing", _D, _dangling_database),
    Situation("database: a link to itself", _D, _looping_database),
    Situation(
        "database: a damaged log", _D, home_file("queryrun.db-wal", b"x" * 9999), fails=False
    ),
    # --- the server -------------------------------------------------------------------------
    Situation("server: refuses", _S, lambda _workspace: None, words=("queryrun serve",)),
    *(Situation(f"server: {name}", _S, url(name), fails="200" not in name) for name in RESPONSES),
    Situation("server: https on a port without", _S, url("https"), words=("https",)),
    Situation("server: a URL without a scheme", _S, server_at("127.0.0.1:8080"), words=("http",)),
    Situation("server: a URL with a bad port", _S, server_at("http://127.0.0.1:99999")),
    Situation("server: a URL with a bad name", _S, server_at("http://a..b:80")),
    Situation("server: a URL with a space", _S, server_at("http://127.0.0.1 :80")),
    Situation("server: an unknown scheme", _S, server_at("gopher://127.0.0.1:80"), words=("http",)),
    Situation("server: not UTF-8", _S, server_at("http://\udce9.example:80")),
    Situation(
        "proxy: an unknown kind", _S, environ(ALL_PROXY="gopher://127.0.0.1:9"), words=("PROXY",)
    ),
    Situation("proxy: not a URL", _S, environ(HTTP_PROXY="::", http_proxy="::")),
    Situation("proxy: refuses", _S, environ(HTTP_PROXY="http://127.0.0.1:9")),
    Situation("secret: not UTF-8", _S, environ(QUERYRUN_CLIENT_SECRET="\udce9")),
    Situation("server: none is set", _S, unset("QUERYRUN_URL"), fails=False),
    Situation("client: none is set", _S, unset("QUERYRUN_CLIENT_ID"), fails=False),
    *(
        Situation(f"profiles: {name}", _S, _profiles(content), fails=True)
        for name, content in (
            ("not JSON", b"{"),
            ("a list", b"[]"),
            ("Latin-1", b'{"current": "\xe9"}'),
            ("no such profile", b'{"current": "x", "profiles": {}}'),
        )
    ),
    # --- files ------------------------------------------------------------------------------
    Situation("SQL: Latin-1", _Q, _sql(b"SELECT '\xe9'"), words=("iconv",)),
    Situation("SQL: UTF-16", _Q, _sql(_UTF16), words=("iconv",)),
    Situation("SQL: a byte order mark", _Q, _sql(b"\xef\xbb\xbfSELECT 1")),
    Situation("SQL: empty", _Q, _sql(b""), fails=False),
    Situation("SQL: binary", _Q, _sql(bytes(range(256)) * 9)),
    Situation("SQL: missing", _Q, _sql(None), words=("No such file", "does not exist")),
    Situation("SQL: a directory", _Q, _sql_directory),
    Situation("output: below a file", _N, _new_below("q.sql")),
    Situation("output: below nothing", _N, _new_below("nowhere"), fails=False),
    Situation("output: not permitted", _N, _new_not_permitted, words=("ermission", "respond")),
    # --- the process ------------------------------------------------------------------------
    Situation("stdin: closed", _ALL, in_child(closed(0)), fails=False),
    Situation("stdout: closed", _ALL, in_child(closed(1)), fails=False),
    Situation("stderr: closed", _ALL, in_child(closed(2)), fails=False, is_silent=True),
    Situation("streams: all closed", _ALL, in_child(closed(0, 1, 2)), fails=False, is_silent=True),
    Situation("stdout: a full disk", _ALL, in_child(_full_stdout), fails=False),
    Situation("HOME: not set", _ALL, unset("HOME"), fails=False),
    Situation("HOME: missing", _ALL, environ(HOME="/nowhere/at/all"), fails=False),
    Situation("HOME: a file", _ALL, environ(HOME="/etc/passwd"), fails=False),
    Situation("HOME: of nobody", _ALL, environ(XDG_CONFIG_HOME="~nobody-at-all"), fails=False),
    Situation("temporary directory: missing", _ALL, _read_only_tmp, fails=False),
    Situation("directory: removed", _ALL, _no_directory_any_more, fails=False),
    Situation("PATH: empty", _ALL, environ(PATH=""), fails=False),
    Situation(
        "terminal: unknown", _ALL, environ(TERM="x", COLUMNS="many", LINES="-1"), fails=False
    ),
    Situation("time zone: unknown", _ALL, environ(TZ="Nowhere/Atall"), fails=False),
    Situation(
        "files: few may be open",
        _ALL,
        in_child(limited(resource.RLIMIT_NOFILE, 16)),
        fails=False,
    ),
    Situation(
        "files: none may grow",
        _N | _D,
        in_child(limited(resource.RLIMIT_FSIZE, 0)),
        fails=False,
        is_silent=True,
    ),
    Situation("kernel: without pidfd", _P, in_child(without_pidfd), words=("pidfd_open",)),
    Situation("port: in use", _P, _port_in_use, words=("in use",), only=("serve",)),
    Situation(
        "port: out of range",
        _P,
        lambda workspace: workspace.names.update(port="70000"),
        words=("65535",),
        only=("serve",),
    ),
    Situation(
        "port: no number",
        _P,
        lambda workspace: workspace.names.update(port="many"),
        only=("serve",),
    ),
    Situation("host: no address", _P, environ(QUERYRUN_SERVER__HOST="a..b"), only=("serve",)),
    Situation(
        "host: not of this machine", _P, environ(QUERYRUN_SERVER__HOST="192.0.2.1"), only=("serve",)
    ),
)
