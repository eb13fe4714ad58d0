"""``python -m ergo_cli`` is ``ergo``."""

from ergo_cli.cli.app import main

if __name__ == "__main__":
    main()
