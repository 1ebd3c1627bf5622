"""`python -m queryrun_cli` is the `queryrun` command."""

from queryrun_cli.entry import main

main()
