"""``python -m rui_cli``: the same as ``rui``."""

from rui_cli.main import main

main()
