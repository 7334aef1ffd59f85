"""``python -m glossrank``."""

from glossrank.cli import main

main()
