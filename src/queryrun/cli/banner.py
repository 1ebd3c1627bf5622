"""The banner of `serve`: its address, its data directory, commands to paste."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from shlex import quote

from queryrun.cli.home import FIRST_CLIENT_NAME, FIRST_SECRET_NAME
from queryrun.settings import DATABASE_NAME, Settings, SourceSettings
from queryrun.wiring.sandbox import NodeSandbox

_PASTE = """\
# the command line: paste these into another terminal
{program} login {url} --home {home}
{program} run "SELECT 42 AS answer"

# the same with curl: a token, a run, its state, a cancel
TOKEN=$(curl -s {url}/oauth/token -d grant_type=client_credentials \\
  --data-urlencode client_id@{client_id} --data-urlencode client_secret@{secret} \\
  | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
RUN=$(curl -s {url}/v2/query_runs -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' \\
  -d '{{"sql": "SELECT 42 AS answer", "content_type": "csv"}}' \\
  | python3 -c 'import json,sys; print(json.load(sys.stdin)["id"])')
curl -s {url}/v2/query_runs/$RUN -H "Authorization: Bearer $TOKEN"
curl -s -X POST {url}/v2/query_runs/$RUN/cancel -H "Authorization: Bearer $TOKEN"
"""


def banner(settings: Settings, url: str, sandbox: NodeSandbox) -> str:
    """The whole text. Secrets are named by the file they are in, never printed."""
    home = settings.home
    lines = [
        f"queryrun serves {home}",
        f"  listening  {url}",
        *([f"  console    {url}/console"] if settings.server.serve_console else []),
        f"  roles      {', '.join(sorted(settings.roles))}",
        f"  store      {_store(settings)}",
        f"  results    {_results(settings)}",
        f"  sandbox    {sandbox}",
    ]
    lines += [
        f"  source     {name}: {source.engine} on {_data(settings, source)}"
        for name, source in settings.sources.items()
    ]
    lines += [
        f"  WARNING    statements run without {missing}" for missing in sandbox.support.missing
    ]
    return "\n".join([*lines, "", _paste(home, url)])


def _store(settings: Settings) -> str:
    """A shared database's URL contains a password, so it is not printed."""
    return "PostgreSQL, shared" if settings.is_shared else str(settings.home / DATABASE_NAME)


def _data(settings: Settings, source: SourceSettings) -> str:
    return source.url if source.kind.is_remote else str(settings.path(source.data))


def _results(settings: Settings) -> str:
    results = settings.results
    if results.store == "s3":
        return f"s3://{results.bucket}/{results.prefix}"
    return str(settings.path(results.directory))


def _paste(home: Path, url: str) -> str:
    secret = home / FIRST_SECRET_NAME
    client_id = home / FIRST_CLIENT_NAME
    if not secret.exists():
        return f"# `queryrun clients create --home {home} --entity NAME` makes a client"
    quoted = {"client_id": quote(str(client_id)), "secret": quote(str(secret))}
    return _PASTE.format(url=url, home=quote(str(home)), program=_program(), **quoted)


def _program() -> str:
    """This command as it can be typed: by its path where the PATH does not lead to it."""
    installed = Path(sys.executable).with_name("queryrun")
    found = shutil.which(installed.name)
    if not installed.exists() or (found is not None and installed.samefile(found)):
        return installed.name
    return quote(str(installed))
