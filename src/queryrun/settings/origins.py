"""Where a setting comes from: a line of queryrun.toml, or a variable of the environment.

An error that blames the file for what the environment says sends the operator to the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")
_HEADER = re.compile(r"\s*\[+\s*(?P<name>[^\]]+?)\s*\]+")
_CHECKED = re.compile(r"(?P<path>[A-Za-z_][\w.-]*)(?=[: ])")


class SettingOrigins:
    """Looks up where settings were set. The file is read as text: TOML keeps no lines."""

    def __init__(
        self, file_name: str, text: str, prefix: str, variables: Mapping[str, str]
    ) -> None:
        self._file_name = file_name
        self._lines = text.splitlines()
        self._prefix = prefix
        self._variables = variables

    def of_validation(self, message: str) -> str:
        """A message of the type check, with the setting's name and origin."""
        unknown, at = _UNKNOWN.search(message), _PATH.search(message)
        where = at["path"].replace("[...]", "") if at else ""
        path = [part for part in where.split(".") if part]
        if unknown is not None:
            path.append(unknown["field"])
            reason = f"there is no setting {'.'.join(path)!r}"
        else:
            reason = f"{'.'.join(path)}: {_PATH.sub('', message)}"
        return f"{self._origin(path)}: {reason}"

    def of_check(self, message: str) -> str:
        """A message of a check, which begins with the setting's name, with its origin.

        Unchanged for a setting that was set nowhere: then the message is about a default.
        """
        named = _CHECKED.match(message)
        origin = self._found(named["path"].split(".")) if named else None
        return message if origin is None else f"{origin}: {message}"

    def _origin(self, path: Sequence[str]) -> str:
        return self._found(path) or self._file_name

    def _found(self, path: Sequence[str]) -> str | None:
        """The environment wins over the file, so it is asked first."""
        variable = self._prefix + "__".join(path).upper()
        for name in self._variables:
            if name == variable or name.startswith(f"{variable}__"):
                return f"the environment variable {name}"
        line = self._line(path)
        return None if line is None else f"{self._file_name}, line {line}"

    def _line(self, path: Sequence[str]) -> int | None:
        """The line of `[section] key`, or of the section itself; None when neither is found."""
        section: list[str] = []
        *parents, key = path
        for number, line in enumerate(self._lines, 1):
            header = _HEADER.match(line)
            if header is not None:
                section = [part.strip(" \"'") for part in header["name"].split(".")]
                if section == list(path):
                    return number
            elif section == parents and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", line):
                return number
        return None
