"""The operator's commands. `queryrun_cli` is the program; `commands.PLUGIN` adds these to it."""
