"""Each bad situation with one command; `make command-faults` plays every command in each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.commands.__main__ import cases
from tests.faults.commands.lines import COMMANDS, LINES, Line, Uses
from tests.faults.commands.play import Exit, judge
from tests.faults.commands.situations import SITUATIONS, Situation


def test_every_command_has_a_line() -> None:
    assert {line.command for line in LINES} == set(COMMANDS)


def test_every_situation_concerns_a_command() -> None:
    every = list(cases(sample=False))
    assert {situation.name for situation, _ in every} == {one.name for one in SITUATIONS}
    assert len(every) > 1500


def test_no_command_of_the_sample_says_what_is_no_sentence() -> None:
    """In a process of its own, which forks once for each: this one has threads."""
    command = [sys.executable, "-m", "tests.faults.commands", "--sample"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("exited", "words"),
    [
        (Exit(None, "", ""), "does not end"),
        (Exit(1, "", "Traceback (most recent call last):\n"), "a traceback"),
        (Exit(1, "", ""), "without a word"),
        (Exit(1, "", "queryrun: [Errno 13] Permission denied"), "is of the program"),
        (Exit(1, "", "queryrun: something else"), "none of"),
        (Exit(0, "done", ""), "it succeeds"),
        (Exit(8, "", "queryrun: x"), "is not documented"),
    ],
)
def test_what_is_no_sentence_is_found(exited: Exit, words: str) -> None:
    """The judge itself: what it has to find, it finds."""
    situation = Situation("a full disk", Uses.HOME, lambda _workspace: None, words=("disk",))
    assert words in judge(exited, situation, Line("ls"))
    assert judge(Exit(1, "", "queryrun: the disk is full"), situation, Line("ls")) == ""
