"""`[oidc]` of queryrun.toml: what is wrong is said at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.errors import ConfigurationError
from queryrun.settings.file import load

RULE = '[[oidc.rules]]\nwhen = { groups = "a" }\nentities = ["main"]\nscopes = ["read"]\n'
GOOD = '[oidc]\nissuer = "https://login.example.com"\naudience = "queryrun"\n'


def test_a_whole_section_is_taken(tmp_path: Path) -> None:
    (tmp_path / "queryrun.toml").write_text(GOOD + RULE, encoding="utf-8")
    oidc = load(tmp_path, {}).oidc
    assert oidc.allowed_algorithms == {"RS256", "ES256"}
    assert oidc.rules[0].when == {"groups": "a"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD, "oidc.rules: without a rule nobody"),
        (RULE, "oidc.issuer must be named"),
        (GOOD.replace("https:", "http:") + RULE, "must be an https:// URL"),
        (GOOD.replace(".com", ".com?x=1") + RULE, "without '?'"),
        ('[oidc]\nissuer = "https://login.example.com"\n' + RULE, "oidc.audience must be named"),
        (GOOD + 'algorithms = "none"\n' + RULE, "oidc.algorithms: name any of RS256"),
        (GOOD + 'algorithms = "RS256,HS256"\n' + RULE, "oidc.algorithms"),
        (GOOD + 'algorithms = ""\n' + RULE, "oidc.algorithms"),
        (GOOD + "clock_skew_s = 301\n" + RULE, "oidc.clock_skew_s must be 0 to 300"),
        (GOOD + RULE.replace('{ groups = "a" }', "{}"), "say who it is for"),
        (GOOD + RULE.replace('["main"]', "[]"), "entities must name at least one"),
        (GOOD + RULE.replace('["read"]', "[]"), "scopes must name any of read"),
        (GOOD + RULE.replace('"read"', '"reed"'), "scopes must name any of read"),
        (GOOD + RULE.replace("main", "{main"), "braces must hold the name of a claim"),
        (GOOD + RULE.replace("main", " "), "must not be empty texts"),
        (GOOD + RULE + 'org = ["x"]\n', "there is no setting"),
    ],
)
def test_a_fault_refuses_to_start_and_says_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "queryrun.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, {})
    assert says in str(refused.value)


def test_an_issuer_on_this_machine_may_be_without_tls(tmp_path: Path) -> None:
    text = GOOD.replace("https://login.example.com", "http://127.0.0.1:9000") + RULE
    (tmp_path / "queryrun.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path, {}).oidc.issuer == "http://127.0.0.1:9000"
