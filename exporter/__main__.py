"""``python -m exporter``: the same command as ``minefleet-exporter``."""

from exporter.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
