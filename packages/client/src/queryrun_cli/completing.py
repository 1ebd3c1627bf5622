"""What the shell of the system completes: names that are known here, and those that a server knows.

A server that does not answer at once, or a profile that cannot be used, completes nothing: the
line that is being typed must not break or wait.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import typer

from queryrun_cli.printable import printable

if TYPE_CHECKING:
    from queryrun_client import Client

MAX_IDS = 50
"""Newest runs whose ids are completed."""
SHELLS = ("bash", "zsh", "fish")
STATES = ("accepted", "in_progress", "complete", "failed", "canceled")
VARIABLE = "_QUERYRUN_COMPLETE"
"""Of the environment: the shell's function says in it what it wants, and which shell it is."""
_UNSAFE = re.compile(r"""[\\$`"'\[\]]""")
_UNSAFE_IN_BASH = re.compile(r"""[\\$`"'\[\]\s*?(){};&|<>#!~]""")
Found = list[tuple[str, str]]


def states(incomplete: str) -> list[str]:
    """The states of runs."""
    return [name for name in STATES if name.startswith(incomplete)]


def shells(incomplete: str) -> list[str]:
    """The shells of the system that complete our words."""
    return [name for name in SHELLS if name.startswith(incomplete)]


def result_formats(incomplete: str) -> list[str]:
    """How `run` and `shell` can show rows."""
    from queryrun_client.formats import FORMATS

    names = ("table", *(name for name, one in FORMATS.items() if not one.needs_separator))
    return [name for name in names if name.startswith(incomplete)]


def profiles(incomplete: str) -> Found:
    """The profiles, with their URLs."""
    from queryrun_client import ClientError
    from queryrun_client.profiles import load_profiles

    with contextlib.suppress(ClientError, OSError):
        known = load_profiles().profiles
        return [(name, one.url) for name, one in known.items() if name.startswith(incomplete)]
    return []


def sources(context: typer.Context, incomplete: str) -> Found:
    """The sources that the client may use."""
    return _from_server(context, incomplete, _source_names)


def run_ids(context: typer.Context, incomplete: str) -> Found:
    """The newest runs, with their states; and `@last`."""
    last = [("@last", "the newest run")] if "@last".startswith(incomplete) else []
    return last + _from_server(context, incomplete, _newest_runs)


def tables(context: typer.Context, incomplete: str) -> Found:
    """The tables of the source that the line names."""
    source = context.params.get("source")
    return _from_server(context, incomplete, lambda client: _table_names(client, source))


def _source_names(client: Client) -> Iterator[tuple[str, str]]:
    yield from ((name, "") for name in client.sources())


def _newest_runs(client: Client) -> Iterator[tuple[str, str]]:
    from queryrun_cli.statements import without_comments
    from queryrun_cli.texts import shortened
    from queryrun_client import RunQuery

    for run in client.runs(RunQuery(limit=MAX_IDS)):
        yield run.id, f"{run.state} {shortened(without_comments(run.info.sql), 40)}"


def _table_names(client: Client, source: str | None) -> Iterator[tuple[str, str]]:
    yield from ((one.name, one.format or "") for one in client.tables(source))


def _from_server(
    context: typer.Context,
    incomplete: str,
    request: Callable[[Client], Iterable[tuple[str, str]]],
) -> Found:
    """What the server of the line's profile answers, once and without words."""
    from queryrun_cli.remote import connect
    from queryrun_client import ClientError
    from queryrun_client.profiles import find_server

    with contextlib.suppress(ClientError, OSError, LookupError, TypeError):
        server = find_server(context.params.get("profile"))
        with connect(server, quiet=True) as client:
            client.limit_retries(1)
            found = [one for one in request(client) if one[0].startswith(incomplete)]
            return [(name, harmless(words)) for name, words in found if is_plain(name)]
    return []


def is_plain(name: str) -> bool:
    """Whether no shell takes a character of the name for its own. Bash does not quote what it
    completes, so there a name with a blank is none."""
    unsafe = _UNSAFE_IN_BASH if "bash" in os.environ.get(VARIABLE, "") else _UNSAFE
    return name.isprintable() and unsafe.search(name) is None


def harmless(words: str) -> str:
    """What stands beside a completion. zsh evaluates it, so that the text of a statement could be
    a command; and what looks like markup is not printed as it is."""
    return _UNSAFE.sub(" ", printable(words)).strip()
