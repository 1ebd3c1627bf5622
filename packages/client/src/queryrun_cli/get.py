"""Download a result file, and decrypt one that was downloaded."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import typer

from queryrun_cli.exits import USAGE, note, translated
from queryrun_cli.ids import run_id_of
from queryrun_cli.remote import connect
from queryrun_cli.run import copy_to_stdout
from queryrun_client.decrypt import PrivateKey, decrypt_file
from queryrun_client.profiles import find_server, key_password
from queryrun_client.target import file_at, is_written_into, write_into


def get_file(
    run_id: str, output: str, profile: str | None, *, private_key: Path | None, resume: bool
) -> Path | None:
    """Download the run's file to `output` (a file, a directory, or `-`); waits for the run.

    Returns the path, or None for standard output.
    """
    with translated(), connect(find_server(profile), private_key) as client:
        run = client.run(run_id_of(client, run_id))
        if output != "-":
            return run.download(output, resume=resume)
        copy_to_stdout(run)
    return None


def show_file(path: Path | None, *, as_json: bool) -> None:
    """Print the path of a file."""
    if path is not None:
        typer.echo(
            json.dumps({"path": str(path), "size": path.stat().st_size}) if as_json else path
        )


def decrypt_to(source: Path, key: Path, output: Path | None) -> Path:
    """Decrypt a downloaded file to `output`, by default to its name without `.enc`.

    The target is created after the whole file was verified. Uses no server.
    """
    with translated():
        source.stat()
    target = output or _without_enc(source)
    with translated():
        private_key = PrivateKey(key.read_bytes(), _password(key))
        if is_written_into(target):
            with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
                whole = Path(directory) / "result"
                decrypt_file(source, whole, private_key)
                write_into(whole, target)
            return target
        part = file_at(target).with_name(f".{target.name}.part")
        try:
            decrypt_file(source, part, private_key)
            part.replace(file_at(target))
        finally:
            part.unlink(missing_ok=True)
    return target


def _without_enc(source: Path) -> Path:
    if source.suffix == ".enc":
        return source.with_suffix("")
    note(f"{source} does not end in .enc: give --output")
    raise typer.Exit(USAGE)


def _password(key: Path) -> bytes | None:
    """From QUERYRUN_KEY_PASSWORD, else from a prompt if the key is encrypted."""
    known = key_password()
    if known is None and b"ENCRYPTED" in key.read_bytes():
        entered: str = typer.prompt(f"password of {key}", hide_input=True, err=True)
        return entered.encode()
    return known
