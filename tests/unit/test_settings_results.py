"""Settings of the result store that cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME, Settings
from queryrun.settings.file import load

S3 = '[results]\nstore = "s3"\nbucket = "b"\n'


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
