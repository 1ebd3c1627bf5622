"""Which data a child process opens: an engine and its options, as it goes over the wire."""

from __future__ import annotations

import msgspec

from queryrun.engines.registry import ENGINES, EngineKind

ORGS = "orgs"
"""The option of a source for runs that see the rows of some orgs alone: which they are, as JSON."""


class Secret(msgspec.Struct, frozen=True):
    """A password or token that never shows in a repr."""

    text: str

    def __repr__(self) -> str:
        return "Secret()"


class SourceSpec(msgspec.Struct, frozen=True):
    """An engine and its entity-resolved options (paths, catalog, …).

    `secret` is what a remote engine asks for. It is sent along because a child process reads no
    file of ours and inherits no environment, so a new one counts from the next process on.
    """

    engine: str
    options: dict[str, str]
    secret: Secret | None = None

    @property
    def kind(self) -> EngineKind:
        """What the engine can do."""
        return ENGINES[self.engine]

    @property
    def secret_text(self) -> str | None:
        """The secret itself, for the engine alone."""
        return self.secret.text if self.secret else None

    @property
    def paths(self) -> tuple[str, ...]:
        """The files and directories that an embedded engine reads; none for a remote one."""
        found = [self.options[name] for name in ("data_dir", "database") if name in self.options]
        if "database" in self.options:
            found.append(f"{self.options['database']}.wal")
        if "copies_dir" in self.options:
            found.append(self.options["copies_dir"])
        return tuple(found)

    @property
    def written_paths(self) -> tuple[str, ...]:
        """The directory of the entity's own where copies of its files are kept.

        For processes that no statement reaches (`services.copies`, `services.catalog`), and for
        no other: a statement that takes over its process could write what others read.
        """
        return (self.options["copies_dir"],) if "copies_dir" in self.options else ()
