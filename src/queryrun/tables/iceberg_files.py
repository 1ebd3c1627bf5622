"""How `pyiceberg` reads the metadata of a table whose directory was moved or copied."""

from __future__ import annotations

from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from queryrun.tables.iceberg import DIRECTORY, LOCATION, moved


class MovedFiles(PyArrowFileIO):
    """Reads what the metadata says is elsewhere from the table's directory, and writes nothing."""

    def new_input(self, location: str) -> PyArrowFile:
        """A file below the table's directory. Raises `PermissionError` for any other."""
        directory = str(self.properties[DIRECTORY])
        path = location if location.startswith(f"{directory}/") else ""
        path = path or moved(location, str(self.properties[LOCATION]), directory)
        if not path:
            raise PermissionError("a file outside the table's directory")
        return super().new_input(path)

    def new_output(self, location: str) -> PyArrowFile:
        """Never."""
        raise PermissionError(location)
