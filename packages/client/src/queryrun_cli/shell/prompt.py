"""The terminal of a shell: a line editor with a history, completion and several lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from queryrun_cli.errors import CommandError
from queryrun_cli.shell.completion import Words, completions
from queryrun_cli.shell.entries import is_whole
from queryrun_cli.shell.session import Session
from queryrun_client import ClientError
from queryrun_client.profiles import config_directory

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

HISTORY_NAME = "shell_history"
MAX_HISTORY_BYTES = 1024 * 1024
"""Of the file; from there on it is cut to its newer half when a shell starts."""
PROMPT = "queryrun> "
CONTINUED = "      ...> "


def entries(session: Session) -> Iterator[str]:
    """What is typed, entry by entry, until Ctrl-D. Ctrl-C discards what is being typed."""
    prompt = _prompt(session)
    while True:
        try:
            text = prompt.prompt(PROMPT)
        except KeyboardInterrupt:
            if session.is_done:
                return
            continue
        except EOFError:
            return
        if text.strip():
            yield text


def private_history(path: Path) -> Path:
    """The file of the history, readable by its owner alone, and bounded."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        os.fchmod(descriptor, 0o600)
        if os.fstat(descriptor).st_size > MAX_HISTORY_BYTES:
            file.seek(-MAX_HISTORY_BYTES // 2, os.SEEK_END)
            newer = file.read()
            file.seek(0)
            file.write(newer[max(newer.find(b"\n# "), 0) :])
            file.truncate()
    return path


def _prompt(session: Session) -> PromptSession[str]:
    try:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import Completer, Completion
        from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    except ImportError as error:
        raise CommandError(
            "the shell needs the package prompt_toolkit: pip install prompt_toolkit; "
            "without it, pipe statements into `queryrun shell`"
        ) from error

    words = Words(session)

    class _Completer(Completer):
        """In a thread: the tables are asked of the server."""

        def get_completions(
            self, document: Document, _event: CompleteEvent
        ) -> Iterable[Completion]:
            try:
                found = completions(document.text, document.cursor_position, words)
            except ClientError:  # no list of tables now: no completion
                return
            for one in found:
                yield Completion(one.text, -one.replaced, display_meta=one.kind)

    history: History
    try:
        history = FileHistory(str(private_history(config_directory() / HISTORY_NAME)))
    except OSError:  # a directory that cannot be written: the shell works without its memory
        history = InMemoryHistory()
    return PromptSession(
        history=history,
        completer=_Completer(),
        complete_in_thread=True,
        complete_while_typing=False,
        multiline=True,
        enable_open_in_editor=True,
        tempfile_suffix=".sql",
        prompt_continuation=CONTINUED,
        key_bindings=_bindings(),
    )


def _bindings() -> KeyBindings:
    """Enter runs what is whole, and else begins a line."""
    from prompt_toolkit.filters import completion_is_selected
    from prompt_toolkit.key_binding import KeyBindings

    bindings = KeyBindings()

    @bindings.add("enter", filter=~completion_is_selected)
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    @bindings.add("enter", filter=completion_is_selected)
    def _choose(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    return bindings
