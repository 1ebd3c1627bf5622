"""Text files as a relation: `relation.Reader`s of CSV, TSV and JSON."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from duckdb import DuckDBPyConnection

from queryrun.tables.model import displayed, table_key, unreadable
from queryrun.tables.partitions import partitioned
from queryrun.tables.snapshot import SnapshotFile, TableSnapshot, changed
from queryrun.tables.sql import quoted_name, quoted_text, text_list
from queryrun.tables.text import kinds, locate
from queryrun.tables.text.convert import UNREAD, Column, Converted, Converter, ValueFault
from queryrun.tables.text.delimited import Layout, RaggedFault, defined_layout
from queryrun.tables.text.faults import COLUMN_FAULT, NOT_UTF8, FileFault, cut, replace_line
from queryrun.tables.text.nested import InexactError, Shape
from queryrun.tables.text.request_once import RequestOnce, columns_named
from queryrun.tables.text.small_files import MAX_FILE_BYTES, convert_small, write_parquet
from queryrun.tables.text.sources import DelimitedSource, JsonSource, Source
from queryrun.tables.text.store import CopyStore, Entry, key_of
from queryrun.tables.text.stream import TextFile

SOME_COLUMNS_BYTES = 32 * 1024**2
"""Of a longer file the first statement has the columns converted that it names: that takes a part
of the time, and most files have more columns than statements read."""

MIN_TOGETHER = 3
"""Fewer small files are converted one by one."""


def text_kinds(table: TableSnapshot) -> Mapping[str, str]:
    """The kinds (`kinds.type_of`) of a text table's columns, by lower-case name."""
    layouts = {"csv": Layout(","), "tsv": Layout("\t", is_defined=True)}
    layout = layouts.get(table.table.format)
    if layout is not None:
        layout = defined_layout(layout, table.table.definition)
    with contextlib.closing(_Reading(table, layout)) as reading:
        reading.copies()
        return reading.kinds


def read_csv(_: DuckDBPyConnection, table: TableSnapshot) -> str:
    """Commas, or what the header line says for sure (`delimited.read_header`)."""
    return _read(table, defined_layout(Layout(","), table.table.definition))


def read_tsv(_: DuckDBPyConnection, table: TableSnapshot) -> str:
    """Tabs."""
    layout = Layout("\t", is_defined=True)
    return _read(table, defined_layout(layout, table.table.definition))


def read_json(_: DuckDBPyConnection, table: TableSnapshot) -> str:
    """One object after another, or one array per file."""
    return _read(table, None)


def _read(table: TableSnapshot, layout: Layout | None) -> str:
    with contextlib.closing(_Reading(table, layout)) as reading:
        files, paths, faults = reading.copies()
        own = reading.names
        errors, order = faults | reading.unread, reading.order
    table.column_faults.update(faults)

    def relation(paths: list[str], options: str) -> str:
        union = ", union_by_name=true" if len(paths) > 1 else ""
        read = f"read_parquet({text_list(paths)}{union}{options})"
        if not errors:
            return read
        items = {
            name: f"CAST(error({quoted_text(COLUMN_FAULT + message)}) AS VARCHAR) AS "
            f"{quoted_name(name)}"
            for name, message in errors.items()
        }
        if order:
            listed = ", ".join(items.get(name, quoted_name(name)) for name in order)
            return f"(SELECT {listed} FROM {read})"
        return f"(SELECT * REPLACE ({', '.join(items.values())}) FROM {read})"

    return partitioned(table, paths, relation, own, files)


@dataclass(slots=True)
class _File:
    """A file of the table, and what is known of it."""

    file: SnapshotFile
    text: TextFile
    source: Source
    key: str
    converted: Converted = field(default=Converted((), 0))

    def column(self, name: str) -> tuple[int, Column] | None:
        """The column of this name, in any case, with its number."""
        for index, column in enumerate(self.converted.columns):
            if column.name.lower() == name.lower():
                return index, column
        return None


class _Reading:
    """Brings the copies of a table's files up to date. Raises `RunFailed` that names the fault."""

    def __init__(self, table: TableSnapshot, layout: Layout | None) -> None:
        self._table = table
        self._layout = layout
        self._context = table.text
        self._store = _store_of(table)
        self.kinds: dict[str, str] = {}
        """By lower-case column name, once `copies` has been called."""
        self.names: list[set[str]] = []
        """The lower-case columns of each file, once `copies` has been called."""
        self.unread: dict[str, str] = {}
        """Columns that the copy leaves out, and what to say if a statement read one all the same:
        then `TextContext.columns` did not name it."""
        self.order: list[str] = []
        """All columns, when some are not in the copy."""
        self._request = RequestOnce(table_key(table.table.name), table.text)

    def close(self) -> None:
        """Release the converter."""
        if self._context.converter:
            self._context.converter.close()
            self._context.converter = None

    def copies(self) -> tuple[list[SnapshotFile], list[str], dict[str, str]]:
        """The files that have rows, where their copies are, and what columns cannot be read."""
        files = [self._file(file) for file in self._table.files if file.identity.size_bytes]
        if not files:
            raise unreadable(self._table.table.name, "its file is empty, so it has no columns")
        missing = [
            file
            for file in files
            if not self._remember_some(file) and not self._recall(file, file.key)
        ]
        if missing and self._request():
            missing = [file for file in missing if not self._recall(file, file.key)]
        for file in self._without_small(missing):
            self._remember(file, file.key, self._convert)
        files = [file for file in files if file.converted.columns]
        if not files:
            raise unreadable(self._table.table.name, "it has no records, so it has no columns")
        self._require_common_names(files)
        faults = self._unify(files)
        self._note_unread(files)
        self.names = [{c.name.lower() for c in file.converted.columns} for file in files]
        return [file.file for file in files], [self._open(file) for file in files], faults

    # --- one file ---------------------------------------------------------------------------

    def _file(self, file: SnapshotFile) -> _File:
        definition = self._table.table.definition
        rules = definition.columns
        name = displayed(file.found.name)
        text = TextFile(
            file.read_path,
            name,
            file.found.compression,
            definition.encoding,
            definition.comment,
        )
        how = (text.compression, text.encoding, text.comment, self._layout, sorted(rules.items()))
        key = key_of(file.identity, *how)
        if self._layout is None:
            return _File(file, text, JsonSource(text, rules), key)
        return _File(file, text, DelimitedSource(text, self._layout, rules), key)

    def _remember(self, file: _File, key: str, make: Callable[[_File, Path], Converted]) -> None:
        """What is known by this key, or `make` it known. A fault is known as well."""
        if self._recall(file, key) or (self._request() and self._recall(file, key)):
            return
        with self._store.writing() as path:
            try:
                entry = Entry(make(file, path))
            except FileFault as fault:
                entry = Entry(fault=self._located(file, fault))
            if not file.file.is_unchanged():
                raise changed(self._table.table.name, file.file.found.name)
            is_written = entry.converted is not None and bool(entry.converted.columns)
            self._store.add(key, entry, path if is_written else None)
        self._take(file, key, entry)

    def _recall(self, file: _File, key: str) -> bool:
        """Whether something is known by this key; then the file has it."""
        entry = self._store.find(key)
        if entry:
            self._take(file, key, entry)
        return entry is not None

    def _take(self, file: _File, key: str, entry: Entry) -> None:
        if entry.fault:
            raise unreadable(self._table.table.name, str(entry.fault))
        if entry.converted is None:
            raise unreadable(self._table.table.name, "it could not be converted")
        file.key, file.converted = key, entry.converted

    def _without_small(self, files: Sequence[_File]) -> list[_File]:
        """Convert what can be together with others; returns the files that cannot."""
        small = [file for file in files if file.file.identity.size_bytes <= MAX_FILE_BYTES]
        if len(small) < MIN_TOGETHER:
            return list(files)
        done = set()
        for found in convert_small(self._converter, [file.source for file in small]):
            file = small[found.index]
            converted = Converted(found.columns, found.rows.num_rows)
            try:
                self._require(file, converted)
            except FileFault:
                continue
            if not file.file.is_unchanged():
                raise changed(self._table.table.name, file.file.found.name)
            with self._store.writing() as path:
                write_parquet(found.rows, path)
                self._store.add(file.key, Entry(converted), path)
            file.converted = converted
            done.add(file.key)
        return [file for file in files if file.key not in done]

    def _remember_some(self, file: _File) -> bool:
        """Whether a copy of the columns that the statement names will do, and is there now.

        There is one such copy of a version: a statement that needs more columns has all converted.
        """
        is_long = file.file.identity.size_bytes >= SOME_COLUMNS_BYTES
        is_alone = len(self._table.files) == 1 and not self._table.table.partition_keys
        if not is_long or self._layout is None or not is_alone:
            return False
        columns = columns_named(self._context, file.source)
        if columns is None:
            return False
        columns |= {self._table.table.deleted_column.lower()}
        if self._store.find(file.key):
            return False
        key = key_of(file.file.identity, file.key, "some columns")
        known = self._store.find(key)
        if known and (known.converted is None or _unread(known.converted) & columns):
            return False
        self._remember(file, key, lambda file, path: self._convert(file, path, columns))
        return True

    def _note_unread(self, files: Sequence[_File]) -> None:
        for column in (column for file in files for column in file.converted.columns):
            if column.kind == UNREAD:
                problem = "was left out of the table's copy"
                self.unread[column.name] = self._column_message(
                    column.name, problem, "report this, and define the column's type"
                )
        if self.unread:
            self.order = [column.name for column in files[0].converted.columns]

    def _convert(
        self, file: _File, path: Path, columns: Collection[str] | None = None
    ) -> Converted:
        converted = self._converter.convert(file.source, path, columns)
        if converted.columns:
            self._require(file, converted)
        return converted

    def _require(self, file: _File, converted: Converted) -> None:
        self._require_columns(file, converted)
        if isinstance(file.source, DelimitedSource):
            self._require_header(file, converted)

    def _require_columns(self, file: _File, converted: Converted) -> None:
        known = {column.name.lower() for column in converted.columns}
        for name in file.source.rules:
            if name not in known:
                problem = f"has no column '{cut(name)}', which tables.toml defines"
                raise FileFault(file.text.name, problem, "correct the definition")

    def _require_header(self, file: _File, converted: Converted) -> None:
        """A first line of numbers above numbers may be a row: refused, not guessed."""
        if self._layout is None or not self._layout.header or self._layout.is_header_defined:
            return
        names = [column.name for column in converted.columns]
        if all(map(kinds.is_plainly_text, names)):
            return
        classes = self._converter.classes(names)
        for column, found in zip(converted.columns, classes, strict=True):
            family = kinds.family_of(kinds.Facts({found: 1}))
            if family and (not converted.rows or family == kinds.family_of(column.facts)):
                raise FileFault(
                    file.text.name,
                    f"may be a row of values and not the names of columns ('{cut(column.name)}')",
                    "say header = true or header = false in tables.toml",
                    line=1,
                )

    def _located(self, file: _File, fault: FileFault) -> FileFault:
        """The fault with its line, where only another pass can tell."""
        header = file.source.header if isinstance(file.source, DelimitedSource) else None
        if header is None and isinstance(fault, ValueFault):
            return replace_line(fault, locate.line_of_record(file.text, fault.row))
        if header is None or fault.line:
            return fault
        if isinstance(fault, ValueFault):
            columns = len(header.names)
            line = locate.line_of_row(file.text, header.layout, columns, fault.row)
            return replace_line(fault, line)
        if isinstance(fault, RaggedFault):
            columns = len(header.names)
            line, found = locate.ragged_row(file.text, header.layout, columns)
            if line:
                problem = f"has {found} values instead of {columns}"
                return FileFault(fault.file, problem, fault.advice, line)
        elif fault.problem == NOT_UTF8:
            return replace_line(fault, locate.invalid_line(file.text))
        return fault

    def _open(self, file: _File) -> str:
        """The copy where the engine reads it: open, so that it stays whatever is evicted."""
        return self._table.keep(self._store.open_copy(file.key))

    @property
    def _converter(self) -> Converter:
        if self._context.converter is None:
            self._context.converter = Converter(dict(self._context.config))
        return self._context.converter

    # --- all files --------------------------------------------------------------------------

    def _require_common_names(self, files: Sequence[_File]) -> None:
        """A file that has no column of the others has no header: its first row would name columns
        that nobody has, and would not be counted.
        """
        layout = self._layout
        if layout is None or not layout.header or layout.is_header_defined:
            return
        counts = Counter(c.name.lower() for file in files for c in file.converted.columns)
        for file in files if len(files) > 1 else ():
            names = [column.name for column in file.converted.columns]
            if all(counts[name.lower()] == 1 for name in names):
                raise unreadable(
                    self._table.table.name,
                    f"'{file.text.name}' line 1 names no column that another file has "
                    f"('{cut(names[0])}'), so it may be a row; write the names above it, or say "
                    "header = true or header = false in tables.toml",
                )

    def _unify(self, files: Sequence[_File]) -> dict[str, str]:
        """One type per column in all files; the columns for which there is none, and why."""
        names = {c.name.lower(): c.name for file in reversed(files) for c in file.converted.columns}
        if any(self._differs(files, name) for name in names.values()):
            self._examine(files)
        faults = {}
        kinds_by_name: dict[str, tuple[str, Shape | None]] = {}
        for name in names.values():
            columns = [found[1] for file in files if (found := file.column(name))]
            kinds_by_name[name.lower()] = self._kind(columns)
            fault = self._column_fault(files, name, kinds_by_name[name.lower()][0])
            if fault:
                faults[name] = fault
        self.kinds = {name: kind for name, (kind, _) in kinds_by_name.items()}
        for file in files:
            self._rewrite(file, kinds_by_name, names)
        return faults

    def _differs(self, files: Sequence[_File], name: str) -> bool:
        columns = [found[1] for file in files if (found := file.column(name))]
        return len({(c.kind, str(c.shape)) for c in columns}) > 1

    def _examine(self, files: Sequence[_File]) -> None:
        """Types differ between files: what they have in common takes the facts of every value."""
        for file in files:
            if _is_complete(file) or (self._request.is_possible and self._is_examined(file)):
                continue
            columns = self._converter.examine(file.source, file.converted.columns)
            file.converted = Converted(tuple(columns), file.converted.rows)
            self._store.add(file.key, Entry(file.converted))

    def _is_examined(self, file: _File) -> bool:
        """Whether who was asked has examined it meanwhile."""
        self._request()
        return self._recall(file, file.key) and _is_complete(file)

    def _kind(self, columns: Sequence[Column]) -> tuple[str, Shape | None]:
        if len({(column.kind, str(column.shape)) for column in columns}) == 1:
            return columns[0].kind, columns[0].shape
        facts = kinds.joined(column.facts for column in columns)
        kind = kinds.type_of(facts, is_json=self._layout is None)
        if kind != "NESTED":
            return kind, None
        shape = Shape()
        for column in columns:
            if column.facts.values and column.shape is None:
                return "JSON", None
            shape.merge(column.shape or Shape())
        try:
            shape.arrow_type()
        except InexactError:
            return "JSON", None
        return kind, shape

    def _rewrite(
        self,
        file: _File,
        types: Mapping[str, tuple[str, Shape | None]],
        names: Mapping[str, str],
    ) -> None:
        """Give the copy the types, and the spelling of names, that all files have in common.

        A spelling in ASCII stays: the engine folds its case, and that of no other.
        """
        columns = []
        for column in file.converted.columns:
            kind, shape = types[column.name.lower()]
            name = column.name if column.name.isascii() else names[column.name.lower()]
            columns.append(replace(column, name=name, kind=kind, shape=shape))
        if columns == list(file.converted.columns):
            return
        parts = [(column.name, column.kind, str(column.shape)) for column in columns]
        key = key_of(file.file.identity, file.key, parts)
        self._remember(
            file, key, lambda file, path: self._converter.rewrite(file.source, columns, path)
        )

    def _column_fault(self, files: Sequence[_File], name: str, kind: str) -> str:
        """Why a column has no type that can be trusted; empty when it has one."""
        if self._layout is None or name.lower() in self._table.table.definition.columns:
            return ""
        families = {
            column.family or kinds.family_of(column.facts)
            for file in files
            if (found := file.column(name)) and (column := found[1]).facts.values
        } - {""}
        if kind.startswith("DATE/"):
            return self._undecided_dates(files, name, kinds.SLASHED)
        if kind == "VARCHAR" and families == {kinds.SLASHED_FAMILY}:
            undecided = self._undecided_dates(files, name, kinds.DAY_FIRST, kinds.MONTH_FIRST)
            if undecided:
                return undecided
        if kind != "VARCHAR" or not families:
            return ""
        family = sorted(families)[0]
        for file in files:
            found = file.column(name)
            if found and kinds.breaks_family(found[1].facts, family):
                return self._break(file, name, found[0], family)
        return ""

    def _undecided_dates(self, files: Sequence[_File], name: str, *orders: str) -> str:
        """Each of `orders` is that of some file alone: then no order is that of all files."""
        found = [(file, column[1]) for file in files if (column := file.column(name))]
        for order in orders:
            alone = [file for file, c in found if c.facts.classes - {kinds.SLASHED} <= {order}]
            alone = [file for file in alone if order in self._classes(file, name)]
            if not alone:
                return ""
        problem = f"'{alone[0].text.name}' does not tell whether day or month comes first"
        if len(orders) > 1:
            problem = "its files do not agree whether day or month comes first"
        return self._column_message(name, problem, "give the column's date_format")

    def _classes(self, file: _File, name: str) -> set[str]:
        found = file.column(name)
        return found[1].facts.classes if found else set()

    def _break(self, file: _File, name: str, index: int, family: str) -> str:
        found = self._converter.find(file.source, index, kinds.fits_sql(family))
        where, value = f"'{file.text.name}'", ""
        if found and isinstance(file.source, DelimitedSource) and file.source.header:
            header = file.source.header
            line = locate.line_of_row(file.text, header.layout, len(header.names), found[0])
            where, value = f"{where} line {line}" if line else where, cut(found[1])
        problem = f"{where} has '{value}' among {family}"
        advice = f'correct it, or define the column\'s type (or nulls = ["{value}"])'
        return self._column_message(name, problem, advice)

    def _column_message(self, name: str, problem: str, advice: str) -> str:
        table = displayed(self._table.table.name)
        return f"Table '{table}', column '{cut(name)}': {problem}: {advice} in tables.toml"


def _is_complete(file: _File) -> bool:
    return all(column.is_complete for column in file.converted.columns)


def _unread(converted: Converted) -> set[str]:
    return {column.name.lower() for column in converted.columns if column.kind == UNREAD}


def _store_of(table: TableSnapshot) -> CopyStore:
    context = table.text
    shared = None
    if context.copies_dir:
        shared = CopyStore(context.copies_dir, context.max_copies_bytes)
        if context.writes_copies:
            return shared
    if table.work_dir is None:
        raise unreadable(table.table.name, "there is no directory for its copy")
    return CopyStore(table.work_dir / f"table-{table.version}-copies", shared=shared)
