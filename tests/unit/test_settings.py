"""Settings: defaults, the file, the environment, and typing errors that refuse to start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME
from queryrun.settings.checks import size_bytes
from queryrun.settings.file import load
from queryrun.sql.guard.verdict import BEYOND_THE_CONTRACT
from queryrun.wiring.options import source_policies


def write(home: Path, text: str) -> Path:
    (home / "queryrun.toml").write_text(text, encoding="utf-8")
    return home


def test_a_home_without_a_file_has_the_contracts_limits(tmp_path: Path) -> None:
    live = load(tmp_path, {}).sources["live"]
    assert (live.running_per_tenant, live.queued_per_tenant, live.max_output_rows) == (
        5,
        10,
        500_000,
    )
    assert (live.memory, live.time_limit_s) == ("2GB", 3600)


def test_the_file_overrides_the_defaults(tmp_path: Path) -> None:
    write(tmp_path, '[server]\nport = 9001\n[sources.live]\nmemory = "1GB"\n')
    settings = load(tmp_path, {})
    assert (settings.server.port, settings.sources["live"].memory) == (9001, "1GB")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    write(tmp_path, "[server]\nport = 9001\n")
    assert load(tmp_path, {"QUERYRUN_SERVER__PORT": "9002"}).server.port == 9002


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nprot = 1\n", "prot"),
        ('[server]\nport = "x"\n', "server.port"),
        ('default_source = "gone"\n', "gone"),
        ('time_zone = "Europe/Berln"\n', "time_zone: 'Europe/Berln' is no time zone"),
        ('[sources.live]\nmemory = "much"\n', "sources.live.memory"),
        ("[leases]\nlease_s = 1\nheartbeat_s = 1\n", "lease_s"),
        ("[server\n", "queryrun.toml"),
    ],
)
def test_a_setting_that_cannot_work_refuses_to_start_and_is_named(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load(write(tmp_path, text), {})


def test_an_unknown_variable_refuses_to_start(tmp_path: Path) -> None:
    """A typing error must not pass for a setting that does nothing."""
    with pytest.raises(ConfigurationError, match="servre"):
        load(tmp_path, {"QUERYRUN_SERVRE__PORT": "1"})


def test_relative_paths_start_at_the_home(tmp_path: Path) -> None:
    assert load(tmp_path, {}).data_path("live", "acme") == tmp_path / "data" / "acme"


def test_an_entity_may_have_its_own_data_directory(tmp_path: Path) -> None:
    write(tmp_path, '[sources.live.entities]\nacme = "/srv/acme"\n')
    settings = load(tmp_path, {})
    assert settings.data_path("live", "acme") == Path("/srv/acme")
    assert settings.data_path("live", "other") == tmp_path / "data" / "other"


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("2GB", 2 * 10**9), ("1.5 KiB", 1536), ("0", 0)]
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert size_bytes(text, "x") == size


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", set()),
        ("explain", {"explain"}),
        ("values, schemas", {"values", "schemas"}),
        ("all", set(BEYOND_THE_CONTRACT)),
    ],
)
def test_kinds_of_statement_are_named_one_by_one_or_all(
    tmp_path: Path, text: str, kinds: set[str]
) -> None:
    """The kinds that the contract does not name (contract H9)."""
    assert load(tmp_path, {"QUERYRUN_STATEMENTS": text}).statement_kinds == kinds


@pytest.mark.parametrize("retries", [-1, 21])
def test_retries_out_of_bounds_are_refused(tmp_path: Path, retries: int) -> None:
    (tmp_path / CONFIG_NAME).write_text(f"[sources.live]\nmax_retries = {retries}\n")
    with pytest.raises(ConfigurationError, match=r"sources\.live\.max_retries must be 0 to 20"):
        load(tmp_path, {})


def test_a_source_has_the_retries_that_it_is_set_to(tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_text("[sources.live]\n[sources.warehouse]\nmax_retries = 0\n")
    policies = source_policies(load(tmp_path, {}))
    assert (policies["live"].max_retries, policies["warehouse"].max_retries) == (3, 0)


def test_a_kind_of_statement_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="statements"):
        load(tmp_path, {"QUERYRUN_STATEMENTS": "delete"})


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("", [False]),
        ("[sources.live]\nmarks_deleted = true\n", [True]),
        ('preset = "hosted"\n', [True]),
        (
            'preset = "hosted"\n[sources.live]\n[sources.own]\nmarks_deleted = false\n',
            [True, False],
        ),
    ],
)
def test_the_mark_of_deleted_rows_is_off_unless_a_source_or_the_preset_says_so(
    tmp_path: Path, text: str, marks: list[bool]
) -> None:
    (tmp_path / CONFIG_NAME).write_text(text)
    policies = source_policies(load(tmp_path, {}))
    assert [policy.marks_deleted for policy in policies.values()] == marks


@pytest.mark.parametrize(
    "text",
    [
        'data = "s3://bucket/{entity}"',
        'data = "https://example.com/a"',
        'data = "file:///data"',
        'entities = { a = "gs://bucket" }',
        'data = "data/{tenant}"',
        'data = ""',
        'data = ".."',
        'entities = { a = "/" }',
    ],
)
def test_data_that_cannot_be_read_is_refused_at_start(tmp_path: Path, text: str) -> None:
    (tmp_path / CONFIG_NAME).write_text(f"[sources.live]\n{text}\n")
    with pytest.raises(ConfigurationError, match=r"sources\.live\.(data|entities\.a): "):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PRESET", "\udce9", "the environment variable QUERYRUN_PRESET: its value is not UTF-8"),
        ("OIDC__ISSUER", "https://[::1", "QUERYRUN_OIDC__ISSUER: oidc.issuer: its host or port"),
        ("TRACING__ENDPOINT", "http://a:b", "tracing.endpoint: its host or port is none"),
        ("SOURCES__LIVE__URL", "http://a:99999", "sources.live.url: its host or port is none"),
        ("SERVER__PUBLIC_URL", "http://a:0", "server.public_url: there is no port 0"),
    ],
)
def test_a_value_that_no_part_could_read_is_refused_at_start_and_named(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    (tmp_path / CONFIG_NAME).write_text('[sources.live]\nengine = "duckdb"\n')
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        load(tmp_path, {f"QUERYRUN_{name}": value})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r'tenant = "a\u0000"', "line 1: tenant has a character that no setting can have"),
        ("[results]\n" r'directory = "\u0000"', "line 2: results.directory has a character"),
        ("[sources.live.entities]\n" r'main = "\u0000"', "line 2: sources.live.entities.main has"),
    ],
)
def test_a_nul_in_a_setting_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / CONFIG_NAME).write_text(f"{text}\n")
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        load(tmp_path, {})
