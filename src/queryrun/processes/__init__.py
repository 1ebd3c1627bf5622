"""How a child process of ours starts, is confined and dies: fork server, sandbox, frames."""
