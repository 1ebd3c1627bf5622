"""Alert rules and the dashboard name metrics that a node exports, and Prometheus' own tool accepts
them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yaml"
DASHBOARD = ROOT / "deploy/grafana/queryrun.json"
ROWS = re.findall(
    r"^\| `(queryrun_\w+)` \| (\w+) \| (.*?) \|",
    (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
METRICS = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROWS}
ADDED = {"job", "instance"}
"""Labels that Prometheus adds itself."""


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[tuple[str, str]]:
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [(panel["title"], target["expr"]) for panel in found for target in panel["targets"]]


EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in rules()] + panels()


def metric_of(series: str) -> str:
    """The metric that exports the series."""
    if series in METRICS:
        return series
    return re.sub(r"_(bucket|count|sum)$", "", series)


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS, ids=[one[0] for one in EXPRESSIONS])
def test_an_expression_names_series_and_labels_that_a_node_exports(
    title: str, expression: str
) -> None:
    for series, matchers in re.findall(r"(queryrun_\w+)(?:\{(.*?)\})?", expression):
        assert metric_of(series) in METRICS, title
        kind, labels = METRICS[metric_of(series)]
        assert (kind == "histogram") == (series != metric_of(series)), (title, series)
        named = set(re.findall(r"(\w+)\s*(?:=~|=|!=)", matchers))
        assert named <= labels | ADDED | {"le"}, (title, series)
    grouped = re.findall(r"\bby \((.*?)\)", expression)
    used = [metric_of(name) for name in re.findall(r"queryrun_\w+", expression)]
    known = set[str]().union(*(METRICS[name][1] for name in used)) | ADDED | {"le"}
    assert {name.strip() for names in grouped for name in names.split(",")} <= known


def test_every_rule_says_how_urgent_it_is_and_what_it_means() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]


def test_the_tool_of_prometheus_accepts_rules_and_panels(tmp_path: Path) -> None:
    tool = shutil.which("promtool") or shutil.which("promtool", path=str(ROOT / ".cache/bin"))
    if tool is None:
        pytest.skip("promtool is not installed: `make promtool`")
    recorded = [
        {"record": f"panel:{number}", "expr": expression}
        for number, (_, expression) in enumerate(panels())
    ]
    as_rules = tmp_path / "panels.yaml"
    as_rules.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    for file in (RULES, as_rules):
        done = subprocess.run(
            [tool, "check", "rules", str(file)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_about_alarms_has_every_alert_with_its_severity() -> None:
    page = (ROOT / "docs/how-to/alarms.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(Queryrun\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert rows == [(rule["alert"], rule["labels"]["severity"]) for rule in rules()]
