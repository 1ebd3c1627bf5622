"""Secrets that settings name: where they come from, and that errors do not contain them."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.errors import ConfigurationError
from queryrun.results.sigv4 import Credentials
from queryrun.settings import CONFIG_NAME, Settings
from queryrun.settings.file import load
from queryrun.wiring.secrets import database_url, s3_credentials, source_secret

S3 = '[results]\nstore = "s3"\nbucket = "b"\n'
TRINO = '[sources.live]\nengine = "trino"\nurl = "http://trino"\nauth = "password"\n'
FILE = """
[other]
aws_access_key_id = not-this
[default]
aws_access_key_id = id
aws_secret_access_key = se%cret
"""


def settings_with(home: Path, text: str) -> Settings:
    """The settings of a home with this text."""
    (home / CONFIG_NAME).write_text(text)
    return load(home, {})


def test_the_database_url_may_be_in_a_file(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, '[database]\nurl_file = "url"\n')
    with pytest.raises(ConfigurationError, match=r"database\.url_file"):
        database_url(settings)
    (tmp_path / "url").write_text("postgresql://host/name\n")
    assert database_url(settings) == "postgresql://host/name"


def test_the_secret_of_a_source_is_in_a_file_or_a_variable(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from file\n")
    settings = settings_with(tmp_path, TRINO + 'secret_file = "password"\n')
    assert source_secret(settings, "live", {}) == "from file"
    settings = settings_with(tmp_path, TRINO + 'secret_env = "PASSWORD"\n')
    assert source_secret(settings, "live", {"PASSWORD": "from variable"}) == "from variable"
    with pytest.raises(ConfigurationError, match=r"sources\.live\.secret_env"):
        source_secret(settings, "live", {})


def test_a_source_without_authentication_has_no_secret(tmp_path: Path) -> None:
    assert source_secret(load(tmp_path, {}), "live", {}) is None


def test_s3_credentials_come_from_the_environment(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, S3)
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    assert s3_credentials(settings, environ) == Credentials("id", "s", "t")


def test_s3_credentials_come_from_a_file_that_is_read_every_time(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, S3 + 'credentials_file = "keys"\n')
    (tmp_path / "keys").write_text(FILE)
    assert s3_credentials(settings, {}) == Credentials("id", "se%cret")
    (tmp_path / "keys").write_text(FILE.replace("se%cret", "newer"))
    assert s3_credentials(settings, {}) == Credentials("id", "newer")


@pytest.mark.parametrize("content", [None, "", "[default]\naws_access_key_id = id\n", "\xff", "x"])
def test_missing_s3_credentials_are_a_configuration_error(
    tmp_path: Path, content: str | None
) -> None:
    settings = settings_with(tmp_path, S3 + 'credentials_file = "keys"\n')
    if content is not None:
        (tmp_path / "keys").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError, match="credentials"):
        s3_credentials(settings, {})


def test_the_error_about_an_incomplete_s3_secret_does_not_contain_it(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, S3)
    with pytest.raises(ConfigurationError) as refused:
        s3_credentials(settings, {"AWS_SECRET_ACCESS_KEY": "hidden"})
    assert "hidden" not in str(refused.value)
