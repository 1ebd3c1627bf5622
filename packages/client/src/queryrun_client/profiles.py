"""Which server, and the credentials for it: from the environment, or a profile of the command line.

A name, else QUERYRUN_URL with the credentials in the environment, else QUERYRUN_PROFILE, else the
current profile. The file of the profiles contains client secrets. Only its owner may read it (0600,
in a 0700 directory); a file that others may read is refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from queryrun_client.errors import NotConfigured

FILE_NAME = "profiles.json"
NO_DIRECTORY = Path(os.devnull) / "queryrun"
"""Below a file there is nothing."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One server and the credentials for it."""

    url: str
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    api_version: str = "v2"
    entity_id: str = ""
    private_key_file: str = ""


@dataclass(slots=True)
class Profiles:
    """All profiles, and the name of the current one."""

    current: str = ""
    profiles: dict[str, Profile] = field(default_factory=dict)

    def get(self, name: str) -> Profile:
        """The profile of that name; `NotConfigured` when there is none."""
        if name not in self.profiles:
            known = ", ".join(sorted(self.profiles)) or "none; `queryrun login` makes one"
            raise NotConfigured(f"no profile is called {name!r} (there are: {known})")
        return self.profiles[name]


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and where its profile comes from."""

    origin: str
    profile: Profile
    token: str | None = field(default=None, repr=False)


def find_server(profile_name: str | None, environ: Mapping[str, str] = os.environ) -> Server:
    """The server to use; `NotConfigured` when there is none."""
    if profile_name is not None:
        return Server(f"profile {profile_name}", load_profiles().get(profile_name))
    if environ.get("QUERYRUN_URL"):
        return _from_environment(environ)
    profiles = load_profiles()
    name = environ.get("QUERYRUN_PROFILE") or profiles.current
    if not name:
        raise NotConfigured(
            "no server: `queryrun login --home HOME` or `queryrun login URL` makes a profile, "
            "or set QUERYRUN_URL, QUERYRUN_CLIENT_ID and QUERYRUN_CLIENT_SECRET"
        )
    return Server(f"profile {name}", profiles.get(name))


def _from_environment(environ: Mapping[str, str]) -> Server:
    """The environment alone suffices, so that a CI job needs no profile file."""
    profile = Profile(
        url=environ["QUERYRUN_URL"],
        client_id=environ.get("QUERYRUN_CLIENT_ID", ""),
        client_secret=secret_in(environ) or "",
        api_version=environ.get("QUERYRUN_API_VERSION") or "v2",
        entity_id=environ.get("QUERYRUN_ENTITY_ID", ""),
    )
    return Server("environment", profile, environ.get("QUERYRUN_TOKEN") or None)


def secret_in(environ: Mapping[str, str]) -> str | None:
    """The client's secret: QUERYRUN_CLIENT_SECRET, or the file QUERYRUN_CLIENT_SECRET_FILE."""
    if environ.get("QUERYRUN_CLIENT_SECRET"):
        return environ["QUERYRUN_CLIENT_SECRET"]
    named = environ.get("QUERYRUN_CLIENT_SECRET_FILE")
    return secret_from(Path(named)) if named else None


def secret_from(path: Path) -> str:
    """The secret in a file, without a trailing line break. Raises `NotConfigured`."""
    try:
        return path.read_bytes().decode("utf-8-sig").strip()
    except OSError as error:
        raise NotConfigured(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NotConfigured(
            f"{path}: byte 0x{error.object[error.start]:02x} is not UTF-8"
        ) from None


def key_password(environ: Mapping[str, str] = os.environ) -> bytes | None:
    """The private key's password, from QUERYRUN_KEY_PASSWORD."""
    text = environ.get("QUERYRUN_KEY_PASSWORD")
    return text.encode() if text else None


def config_directory() -> Path:
    """The platform's directory for configuration of this user; it need not exist.

    A user without a home, as in some containers, has a path at which nothing can be: nothing is
    kept then.
    """
    is_mac = sys.platform == "darwin"
    standard = "~/Library/Application Support" if is_mac else "~/.config"
    named = standard if is_mac else os.environ.get("XDG_CONFIG_HOME") or standard
    try:
        return Path(named).expanduser() / "queryrun"
    except RuntimeError:
        return NO_DIRECTORY


def profiles_path() -> Path:
    """The path of the file of profiles."""
    return config_directory() / FILE_NAME


def load_profiles() -> Profiles:
    """The profiles; none when the file does not exist."""
    path = profiles_path()
    try:
        text = read_private(path)
    except (FileNotFoundError, NotADirectoryError):
        return Profiles()
    try:
        return msgspec.json.decode(text, type=Profiles)
    except msgspec.DecodeError as error:
        raise NotConfigured(f"{path}: {error}") from error


def read_private(path: Path) -> bytes:
    """A file that holds secrets. `NotConfigured` when others may read it, `OSError` as usual."""
    with path.open("rb") as file:
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
            raise NotConfigured(f"{path} holds secrets and others may read it: chmod 600 {path}")
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Replace a file that holds secrets in one step, readable only by its owner. Raises `OSError`,
    and then leaves nothing behind; `NotConfigured` for a user without a home."""
    if NO_DIRECTORY in path.parents:
        raise NotConfigured("this user has no home directory: set HOME, or XDG_CONFIG_HOME")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
        part.replace(path)
    except OSError as error:  # such as a full disk
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
