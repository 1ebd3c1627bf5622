"""Settings of the S3 store: what must be said, and where credentials come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.errors import ConfigurationError
from queryrun.results.sigv4 import Credentials
from queryrun.settings import CONFIG_NAME, Settings, load
from queryrun.wiring.secrets import s3_credentials

S3 = '[results]\nstore = "s3"\nbucket = "b"\n'
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


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[results]\nstore = "s3"\n', "bucket"),
        (S3 + 'endpoint = "s3.example.net"\n', "endpoint"),
        (S3 + 'endpoint = "https://s3.example.net/path"\n', "endpoint"),
        (S3 + 'link_endpoint = "ftp://s3.example.net"\n', "link_endpoint"),
        (S3 + "link_ttl_s = 604801\n", "link_ttl_s"),
        (S3 + 'part_size = "1MiB"\n', "part_size"),
        (S3 + 'links = "redirect"\n', "links"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        settings_with(tmp_path, text)


def test_credentials_come_from_the_environment(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, S3)
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    assert s3_credentials(settings, environ) == Credentials("id", "s", "t")


def test_credentials_come_from_a_file_and_are_read_anew(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, S3 + 'credentials = "keys"\n')
    (tmp_path / "keys").write_text(FILE)
    assert s3_credentials(settings, {}) == Credentials("id", "se%cret")
    (tmp_path / "keys").write_text(FILE.replace("se%cret", "newer"))
    assert s3_credentials(settings, {}) == Credentials("id", "newer")


@pytest.mark.parametrize("content", [None, "", "[default]\naws_access_key_id = id\n", "\xff", "x"])
def test_missing_credentials_are_an_error_of_the_configuration(
    tmp_path: Path, content: str | None
) -> None:
    settings = settings_with(tmp_path, S3 + 'credentials = "keys"\n')
    if content is not None:
        (tmp_path / "keys").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError, match="credentials"):
        s3_credentials(settings, {})


def test_a_secret_alone_is_not_enough_and_is_not_shown(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, S3)
    with pytest.raises(ConfigurationError) as refused:
        s3_credentials(settings, {"AWS_SECRET_ACCESS_KEY": "hidden"})
    assert "hidden" not in str(refused.value)
