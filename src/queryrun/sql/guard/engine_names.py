"""Names that the embedded engine keeps for what is about itself."""

ENGINE_RELATIONS = ("duckdb_", "pg_", "pragma_", "sqlite_")
"""How they begin, in lower case. A table of such a name is listed, and never read."""
OF_THE_ENGINE = (
    f"names that begin with {', '.join(ENGINE_RELATIONS)} are of what is about the engine; "
    "rename it, or give its files another name in tables.toml"
)
"""Why not, and what to do."""
