"""``uemu``, also as ``python -m uemu``: Ctrl-C ends it in a line from the first moment on."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command that `sys.argv` asks for; returns its exit status."""
    try:
        # Longer to load than most commands run.
        from uemu.cli.main import main as front

        return front()
    except KeyboardInterrupt:
        sys.stderr.write("uemu: error: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
