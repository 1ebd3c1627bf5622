"""Each operation as a request to copy: for curl, Python and JavaScript. They read the server's URL
and the token from variables, so that no sample has a secret in it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def samples(operation: Mapping[str, Any]) -> dict[str, str]:
    """The request with the operation's first example, by language."""
    return {
        "curl": _curl(operation),
        "Python": _python(operation),
        "JavaScript": _javascript(operation),
    }


def path_of(operation: Mapping[str, Any]) -> str:
    """The path with its parameters' examples. One without an example keeps its braces."""
    path: str = operation["path"]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and "example" in parameter:
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    return path


def body_of(operation: Mapping[str, Any]) -> tuple[str, Any]:
    """The media type of the body and the first example of it; empty and None without a body."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        for example in content.get("examples", {}).values():
            return media_type, example["value"]
        return media_type, {}
    return "", None


def body_text(operation: Mapping[str, Any]) -> str:
    """The body as it is sent: a form as a form, JSON on several lines."""
    media_type, value = body_of(operation)
    if not media_type:
        return ""
    if media_type == FORM:
        return urlencode(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def _headers(operation: Mapping[str, Any]) -> dict[str, str]:
    media_type, _ = body_of(operation)
    return {"content-type": media_type} if media_type else {}


def _is_authorized(operation: Mapping[str, Any]) -> bool:
    return bool(operation.get("security"))


def _curl(operation: Mapping[str, Any]) -> str:
    media_type, value = body_of(operation)
    lines = [f'curl -X {operation["method"]} "$QUERYRUN_URL{path_of(operation)}"']
    if _is_authorized(operation):
        lines.append('-H "authorization: Bearer $QUERYRUN_TOKEN"')
    if media_type == FORM:
        lines += [
            f"--data-urlencode {shlex.quote(f'{name}={text}')}" for name, text in value.items()
        ]
    elif media_type:
        lines.append(f"-H 'content-type: {media_type}'")
        lines.append(f"-d {shlex.quote(json.dumps(value, ensure_ascii=False))}")
    return " \\\n  ".join(lines)


def _python(operation: Mapping[str, Any]) -> str:
    media_type, value = body_of(operation)
    method = operation["method"].lower()
    arguments = [f'os.environ["QUERYRUN_URL"] + {json.dumps(path_of(operation))}']
    if _is_authorized(operation):
        arguments.append('headers={"authorization": "Bearer " + os.environ["QUERYRUN_TOKEN"]}')
    if media_type == FORM:
        arguments.append(f"data={value!r}")
    elif media_type:
        arguments.append(f"json={value!r}")
    listed = "".join(f"    {argument},\n" for argument in arguments)
    call = f"response = requests.{method}(\n{listed})"
    return f"import os\n\nimport requests\n\n{call}\nprint(response.status_code, response.text)"


def _javascript(operation: Mapping[str, Any]) -> str:
    media_type, value = body_of(operation)
    headers = [f'"{name}": "{text}"' for name, text in _headers(operation).items()]
    if _is_authorized(operation):
        headers.insert(0, "authorization: `Bearer ${process.env.QUERYRUN_TOKEN}`")
    options = [f'method: "{operation["method"]}"']
    if headers:
        options.append(f"headers: {{ {', '.join(headers)} }}")
    if media_type == FORM:
        options.append(f"body: new URLSearchParams({json.dumps(value)})")
    elif media_type:
        options.append(f"body: JSON.stringify({json.dumps(value, ensure_ascii=False)})")
    listed = "".join(f"  {option},\n" for option in options)
    url = "`${process.env.QUERYRUN_URL}" + path_of(operation).replace("`", "") + "`"
    return (
        f"const response = await fetch({url}, {{\n{listed}}});\n"
        "console.log(response.status, await response.text());"
    )
