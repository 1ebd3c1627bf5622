"""Start, confinement and exit of child processes: fork server, sandbox, frames."""
