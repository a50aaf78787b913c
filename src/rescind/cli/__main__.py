"""``python -m rescind.cli``."""

from rescind.cli.main import main

main()
