"""``python -m animegen_cli``: the program by the name of its package, as launchers of several processes want it."""

import sys

from animegen_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
