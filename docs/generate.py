"""Render the reference pages that come from code: `python docs/generate.py` writes them.

A test renders them again and fails when a committed page differs.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import typer
from prometheus_client import CollectorRegistry

from queryrun import settings
from queryrun.cli.logs import register_log_gauge
from queryrun.engines.registry import ENGINES
from queryrun.errors import FailureCode
from queryrun.http.error_advice import ADVICE
from queryrun.http.metrics import HttpMetrics
from queryrun.http.routes import contract_document, full_document
from queryrun.processes.sandbox import SandboxMode, SandboxSupport
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.runs.health import NodeHealth
from queryrun.runs.metrics import RunMetrics
from queryrun.sql.trino.tokens import RESERVED
from queryrun.tracing.export import SpanMetrics
from queryrun.webhooks.metrics import WebhookMetrics
from queryrun.wiring.gauges import register_gauges
from queryrun.wiring.sandbox import NodeSandbox, register_sandbox
from queryrun_cli import commands
from queryrun_cli.main import program

ROOT = Path(__file__).resolve().parent.parent
TOML_NAMES: dict[object, str] = {
    bool: "boolean",
    str: "string",
    int: "integer",
    float: "number",
    Path: "path",
}
WORDS: dict[str, Any] = tomllib.loads((ROOT / "docs/settings.toml").read_text(encoding="utf-8"))
"""Examples and units of settings."""
HIDDEN = {"help", "install_completion", "show_completion"}
SECTIONS = {
    "Settings": "(top level)",
    "ServerSettings": "[server]",
    "DatabaseSettings": "[database]",
    "SourceSettings": "[sources.NAME]",
    "WorkerSettings": "[workers]",
    "ResultSettings": "[results]",
    "LeaseSettings": "[leases]",
    "RetrySettings": "[retries]",
    "RateSettings": "[rates]",
    "LimitSettings": "[limits]",
    "TracingSettings": "[tracing]",
    "LogSettings": "[log]",
    "AuditSettings": "[audit]",
    "WebhookSettings": "[webhooks]",
    "UsageSettings": "[usage]",
    "OidcSettings": "[oidc]",
    "OidcRule": "[[oidc.rules]]",
}


FORMATS_MODULE = ROOT / "packages/client/src/queryrun_client/formats.py"
CLIENT_FORMATS = '''\
"""The server's result formats. `docs/generate.py` writes this module from the registry."""

from __future__ import annotations

from typing import NamedTuple


class Format(NamedTuple):
    """One format of result files."""

    is_text: bool
    separator: str | None
    """Between fields. None: not a delimited format, or one whose separator the caller chooses."""
    needs_separator: bool


FORMATS = {{
{formats}
}}
COMPRESSIONS = {{
{compressions}
}}
"""By the suffix of a file's name."""
'''


WORDS_MODULE = ROOT / "packages/client/src/queryrun_cli/shell/words.py"
FUNCTIONS_OF_TRINO: dict[str, Any] = json.loads(
    (ROOT / "src/queryrun/sql/compile/functions.json").read_text(encoding="utf-8")
)
MORE_WORDS = """all any asc at bigint boolean char columns date decimal desc double explain fetch
filter first following functions if integer interval json last lateral limit map next nulls offset
only over partition preceding range real row rows sets show smallint some table tables ties time
timestamp tinyint try_cast unbounded uuid varbinary varchar window within zone"""
"""Words that are not reserved, and names of types."""
SHELL_WORDS = '''\
"""The words that a shell completes. `docs/generate.py` writes this module from the language."""

from __future__ import annotations

_KEYWORDS = """
{keywords}
"""
_FUNCTIONS = """
{functions}
"""
KEYWORDS = tuple(_KEYWORDS.split())
FUNCTIONS = tuple(_FUNCTIONS.split())
'''


def pages() -> dict[Path, str]:
    """Every generated file, by its path in the repository."""
    return {
        FORMATS_MODULE: client_formats(),
        WORDS_MODULE: shell_words(),
        ROOT / "docs/reference/settings.md": settings_page(),
        ROOT / "docs/reference/cli.md": cli_page(),
        ROOT / "docs/reference/metrics.md": metrics_page(),
        ROOT / "docs/reference/errors.md": errors_page(),
        ROOT / "docs/reference/openapi.json": full_document().decode(),
        ROOT / "docs/reference/openapi-contract.json": contract_document().decode(),
    }


def client_formats() -> str:
    """What the client knows of the server's formats, which it must not import."""
    formats = [
        f'    "{one.value}": Format('
        f"is_text={one.spec.is_text}, separator={_literal(one.spec.separator)}, "
        f"needs_separator={one.spec.needs_separator}),"
        for one in ContentType
    ]
    compressions = [
        f'    "{one.spec.suffix}": "{one.value}",' for one in ContentEncoding if one.spec.suffix
    ]
    return CLIENT_FORMATS.format(formats="\n".join(formats), compressions="\n".join(compressions))


def shell_words() -> str:
    """What the shell completes: the words of Trino's grammar and the functions of its own table."""
    functions = [name for name in FUNCTIONS_OF_TRINO if name.isidentifier()]
    keywords = sorted({word.lower() for word in RESERVED} | set(MORE_WORDS.split()))
    return SHELL_WORDS.format(keywords=_words_of(keywords), functions=_words_of(sorted(functions)))


def _words_of(names: list[str]) -> str:
    """The words as lines of text for `str.split`."""
    return textwrap.fill(" ".join(names), 96, break_long_words=False, break_on_hyphens=False)


def metrics_page() -> str:
    """Every metric that a node registers, read off the registry itself."""
    registry = CollectorRegistry()
    metrics = RunMetrics(registry)
    HttpMetrics(metrics.registry)
    NodeHealth([], registry)
    register_gauges(registry, 0, lambda: 0, {})
    WebhookMetrics(registry)
    register_sandbox(NodeSandbox(SandboxMode.REQUIRED, SandboxSupport(1, True)), registry)
    register_log_gauge(registry, lambda: 0)
    SpanMetrics.on(registry)
    parts = [
        "# Metrics\n",
        "`GET /metrics` of each node, in Prometheus' text format. `docs/generate.py` writes this "
        "page from the code. Those of connections and descriptors begin with "
        "`queryrun_http_connections` and end with `_descriptors`.\n",
        "Alert rules on them are in `deploy/prometheus/alerts.yaml`, a dashboard for Grafana is in "
        "`deploy/grafana/queryrun.json`.\n",
        "| metric | type | labels | meaning |\n|---|---|---|---|",
    ]
    parts += [_metric_row(metric) for metric in dict.fromkeys(registry._collector_to_names)]
    return "\n".join(parts) + "\n"


def _metric_row(metric: Any) -> str:
    labels = ", ".join(f"`{name}`" for name in metric._labelnames)
    bounds = metric._kwargs.get("buckets", ()) if hasattr(metric, "_kwargs") else ()
    text = metric._documentation.rstrip(".")
    finite = [f"{bound:g}" for bound in bounds if bound != float("inf")]
    if finite:
        text += f". Bounds: {', '.join(finite)}"
    suffix = "_total" if metric._type == "counter" else ""
    return f"| `{metric._name}{suffix}` | {metric._type} | {labels} | {text} |"


def errors_page() -> str:
    """Every error code of runs, with cause and cure. A code without advice is an error here."""
    parts = [
        "# Error codes of runs\n",
        "`error.code` of a failed run ([the contract](contract.md#f8)). `docs/generate.py` writes "
        "this page from the code.\n",
        "| code | blame | retried | cause | what to do |\n|---|---|---|---|---|",
    ]
    for code in FailureCode:
        cause, cure = ADVICE[code]
        retried = "yes" if code.retryable else "no"
        parts.append(f"| `{code.value}` | {code.blame.value} | {retried} | {cause} | {cure} |")
    return "\n".join(parts) + "\n"


def _literal(text: str | None) -> str:
    return "None" if text is None else json.dumps(text)


def settings_page() -> str:
    """The settings, read off `settings/`: name, type, default and what the code says of it."""
    source = (ROOT / "src/queryrun/settings/__init__.py").read_text(encoding="utf-8")
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    parts = [
        "# Settings\n",
        "Generated from `src/queryrun/settings` by `python docs/generate.py`; do not edit.\n",
        "`queryrun.toml` in the home directory; the environment wins, with "
        "`QUERYRUN_<SECTION>__<NAME>` (`QUERYRUN_SERVER__PORT=9000`). Unknown names refuse to "
        "start. Sizes are written `2GB` or `512MiB`; durations end in `_s` and are seconds.\n",
    ]
    parts += [_section(title, classes[name]) for name, title in SECTIONS.items()]
    return "\n".join(parts)


def _section(title: str, node: ast.ClassDef) -> str:
    head = "| name | values | default | | example |"
    lines = [f"## `{title}`\n", f"{ast.get_docstring(node)}\n", head, "|---|---|---|---|---|"]
    fields = {field.name: field for field in msgspec.structs.fields(getattr(settings, node.name))}
    for field, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            lines.append(_row(title, fields[field.target.id], _text(following)))
    return "\n".join(lines) + "\n"


def _row(title: str, field: msgspec.structs.FieldInfo, text: str) -> str:
    values, example = _values(field.type), example_of(title, field)
    if unit := unit_of(field):
        values += f": {unit}"
    shown = "" if example is None else f"`{field.name} = {json.dumps(example)}`"
    return f"| `{field.name}` | {values} | {_default(field)} | {text} | {shown} |"


def unit_of(field: msgspec.structs.FieldInfo) -> str:
    """What a number, or a size, counts; empty for other values. A number without is an error."""
    endings = {"_s": "seconds", "_days": "days", "_bytes": "bytes"}
    by_name = next((unit for end, unit in endings.items() if field.name.endswith(end)), "")
    unit = str(WORDS["units"].get(field.name, by_name))
    if field.type in (int, float) and not unit:
        raise KeyError(f"docs/settings.toml: [units] lacks {field.name}")
    return unit


def example_of(title: str, field: msgspec.structs.FieldInfo) -> object:
    """A value other than the default, as TOML has it; None for tables and what no file has."""
    if field.name == "home" or "table" in _values(field.type):
        return None
    if field.type is bool:
        return not field.default
    if get_origin(field.type) is Literal:
        return next(one for one in get_args(field.type)[::-1] if one != field.default)
    return WORDS["examples"][title][field.name]


def _values(kind: object) -> str:
    """What may be written, in the words of TOML."""
    if get_origin(kind) is Literal:
        return ", ".join(f'`"{one}"`' for one in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, settings.Section):
        return "table"
    if get_origin(kind) is dict:
        return "table"
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        return "tables" if item not in TOML_NAMES else f"{TOML_NAMES[item]}s"
    return TOML_NAMES[kind]


def _default(field: msgspec.structs.FieldInfo) -> str:
    """The default as an operator would write it; nothing for tables."""
    if not isinstance(field.default, (str, int, float, bool)):
        return ""
    return f"`{json.dumps(field.default, ensure_ascii=False)}`"


def _text(following: ast.stmt | None) -> str:
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        text = " ".join(str(following.value.value).split())
        return text.replace("{engines}", ", ".join(f"`{name}`" for name in ENGINES))
    return ""


def cli_page() -> str:
    """The command line, read off the program itself: every command with its help."""
    root = typer.main.get_command(program())
    parts = [
        "# Command line\n",
        "Generated from the program by `python docs/generate.py`; do not edit. How it is used is\n"
        "in [a how-to](../how-to/command-line.md). `queryrun completion` prints what\n"
        "teaches your shell the commands.\n",
        *_command("queryrun", root),
    ]
    exits = " ".join(commands.EXITS.split()).removeprefix("Exit status: ")
    parts += ["## Exit status\n", "Of the commands that talk to a server:\n"]
    parts += [f"- {text}" for text in re.split(r", (?=\d)", exits.rstrip("."))]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)) + "\n"


def _command(path: str, command: Any) -> list[str]:
    """A command and those below it, each with what it does, its arguments and its options."""
    lines = [f"## `{path}`\n", _paragraphs(command.help or "")]
    rows = [_parameter(one) for one in command.params if one.name not in HIDDEN]
    if rows:
        lines += ["| | | |", "|---|---|---|", *rows, ""]
    for name, below in sorted(getattr(command, "commands", {}).items()):
        lines += _command(f"{path} {name}", below)
    return lines


def _paragraphs(text: str) -> str:
    """Help as paragraphs: line ends within one mean nothing."""
    found = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(part for part in found if part) + "\n"


def _parameter(one: Any) -> str:
    names = [*one.opts, *one.secondary_opts]
    shown = ", ".join(f"`{name}`" for name in names)
    if one.param_type_name == "argument":
        shown = f"`{one.name.upper()}`"
    default = "" if one.required or _is_nothing(one.default) else f"default `{one.default}`"
    text = " ".join((getattr(one, "help", None) or "").split()).replace("|", "\\|")
    return f"| {shown} | {text} | {'required' if one.required else default} |"


def _is_nothing(default: object) -> bool:
    return default in (None, False, "", []) or callable(default)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
