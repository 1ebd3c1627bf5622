"""Which tables an entity's directory holds."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.guard.engine_names import ENGINE_RELATIONS, OF_THE_ENGINE
from queryrun.tables.defined import defined_table
from queryrun.tables.definition import ALL_TABLES, FILE_NAME, read_definitions
from queryrun.tables.folder import (
    is_directory,
    is_file,
    is_hidden,
    is_inside,
    table_of_folder,
)
from queryrun.tables.formats import split, unread_table, why_unread
from queryrun.tables.model import NO_DEFINITION, FoundFile, Table, displayed, table_key
from queryrun.tables.shortage import raise_if_short


class DataDirectory:
    """The tables of a directory as it is when this is made; one per statement.

    `accounts.parquet`, `accounts.csv.gz` and a sub-directory `accounts/` are each a table
    `accounts`; when there are two of one name, the name stands for neither, and asking for it is
    an error that names both. Sub-directories are walked when a table of theirs is asked for.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._root = os.path.realpath(directory)
        self._entries: dict[str, list[os.DirEntry[str]]] = {}
        self._tables: dict[str, Table | None] = {}
        self._unread: dict[str, Table] = {}
        self._definitions = {
            table_key(name): (name, definition)
            for name, definition in read_definitions(directory).items()
        }
        self._problem_of_all = self._definitions.pop(ALL_TABLES, ("", NO_DEFINITION))[1].problem
        self.ignored: dict[str, str] = {}
        """Entries that are no table, and what to do about it."""
        try:
            with os.scandir(directory) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    self._classify(entry)
        except OSError as error:
            raise_if_short(error)
            raise RunFailed.of(
                FailureCode.DATA_UNREADABLE,
                f"The source's data directory cannot be listed ({error.strerror})",
            ) from error

    def reread(self) -> DataDirectory:
        """The same directory as it is now."""
        return DataDirectory(self._directory)

    def candidates(self) -> list[str]:
        """The keys (`table_key`) that may be tables: fast, for checking a name's spelling.

        A directory with nothing in it that could be read is among them.
        """
        return list(dict.fromkeys((*self._entries, *self._unread, *self._defined)))

    @property
    def _defined(self) -> list[str]:
        """The keys of tables that `tables.toml` defines; of some there may be no file."""
        return list(self._definitions)

    def find(self, name: str) -> Table | None:
        """The table of this name, in any case; None when there is none. It may have a `problem`."""
        key = table_key(name)
        if key not in self._tables:
            found = self._with_definition(key, self._entries.get(key, []))
            if found and key.startswith(ENGINE_RELATIONS):
                found = replace(found, problem=OF_THE_ENGINE)
            self._tables[key] = found
        return self._tables[key] or self._unread.get(key)

    def _with_definition(self, key: str, entries: list[os.DirEntry[str]]) -> Table | None:
        name, definition = self._definitions.get(key, ("", None))
        if definition is None:
            found = self._table(entries)
            return replace(found, problem=self._problem_of_all or found.problem) if found else None
        if self._problem_of_all and not definition.problem:
            definition = replace(definition, problem=self._problem_of_all)
        found = None if definition.files else self._table(entries)
        return defined_table(name, found, definition, self._directory)

    def tables(self) -> list[Table]:
        """All tables, those that cannot be read among them, by name. Walks every sub-directory.

        Not what is `ignored`, although `find` says of an ending that is not read what to do.
        """
        found = (self.find(key) for key in sorted({*self._entries, *self._defined}))
        return [table for table in found if table is not None]

    def _classify(self, entry: os.DirEntry[str]) -> None:
        if is_hidden(entry.name) or entry.name == FILE_NAME:
            return
        if not entry.name.isprintable():
            self.ignored[entry.name] = "its name is not printable text; rename it"
            return
        if known := split(entry.name):
            name = known.table
        elif is_directory(entry):
            name = entry.name
        else:
            why = why_unread(entry.name) or "its ending is not known"
            self.ignored[entry.name] = why
            name = unread_table(entry.name)
            if name and is_file(entry):
                problem = f"'{displayed(entry.name)}': {why}"
                self._unread[table_key(name)] = Table(name, "parquet", problem=problem)
            return
        self._entries.setdefault(table_key(name), []).append(entry)

    def _table(self, entries: list[os.DirEntry[str]]) -> Table | None:
        found = [table for entry in entries if (table := self._of_entry(entry))]
        if len(found) < 2:
            return found[0] if found else None
        names = " and ".join(f"'{displayed(entry.name)}'" for entry in entries)
        problem = f"{names} have the same name; rename one, or define the table in tables.toml"
        return Table(found[0].name, found[0].format, problem=problem)

    def _of_entry(self, entry: os.DirEntry[str]) -> Table | None:
        known = split(entry.name)
        if entry.is_symlink() and not is_inside(entry.path, self._root):
            name, kind = (known.table, known.format.name) if known else (entry.name, "parquet")
            return Table(name, kind, problem=_OUTSIDE.format(displayed(entry.name)))
        if is_directory(entry):
            name = known.table if known else entry.name
            return table_of_folder(name, entry.path, self._root)
        if known is None:
            return None
        if not is_file(entry):
            what = "a link to nothing" if entry.is_symlink() else "not a file"
            problem = f"'{displayed(entry.name)}' is {what}"
            return Table(known.table, known.format.name, problem=problem)
        file = FoundFile(entry.path, entry.name, known.compression)
        return Table(known.table, known.format.name, (file,))


_OUTSIDE = (
    "'{}' is a link that leads out of the data directory; copy the data here, or let the source's "
    "setting `data` name the other directory"
)
