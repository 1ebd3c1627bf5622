"""`python -m queryrun.cli` is the `queryrun` command."""

from queryrun.cli.main import main

main()
