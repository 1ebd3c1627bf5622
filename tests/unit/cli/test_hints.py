"""An error of a server's is followed by what to do next, in the words of where it was met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from queryrun_cli.exits import describe
from queryrun_cli.hints import SHELL, hint
from queryrun_cli.main import program
from queryrun_client import BadRequest, ClientError, NotFound, Unauthorized, Unreachable
from queryrun_client.errors import Refusal

MISSING = Refusal(404, "resource_not_found", "Query run 'zzz' could not be found")
TABLE = replace(MISSING, message="Table 'nope' could not be found")
NAME = replace(TABLE, status=400, code="name_not_found", message="Table 'nope' does not exist")
UNBOUND = Refusal(400, "invalid_parameter", "The statement has the parameter :a: give its value")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotFound(MISSING), "`queryrun ls`"),
        (NotFound(TABLE), "`queryrun tables`"),
        (BadRequest(NAME), "`queryrun tables`"),
        (BadRequest(UNBOUND), "`-p NAME=VALUE`"),
        (Unauthorized(Refusal(401, "unauthorized", "unauthorized")), "`queryrun login`"),
        (Unreachable("nobody responds"), "`queryrun serve`"),
    ],
)
def test_an_error_says_what_to_do_next(error: ClientError, words: str) -> None:
    assert describe(error).startswith(f"{error}. ")
    assert words in describe(error)


def test_the_shell_has_commands_of_its_own() -> None:
    assert "`\\d`" in hint(NotFound(TABLE), SHELL)
    assert "`\\set" in hint(BadRequest(UNBOUND), SHELL)


def test_what_says_all_there_is_stays_as_it_is() -> None:
    error = BadRequest(Refusal(400, "invalid_parameter", "'sql' must not be blank"))
    assert describe(error) == str(error)


def test_a_file_to_decrypt_that_is_not_there_is_named_before_its_suffix(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    arguments = ["decrypt", str(missing), "--key", str(tmp_path / "key")]
    result = CliRunner().invoke(program(), arguments)
    assert result.exit_code == 1
    assert "No such file" in result.output
