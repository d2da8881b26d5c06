"""``python -m lightrnn compare data.npz``: which net for one's own data."""

import argparse
import sys

from . import comparison


def main() -> int:
    """Run a command; return the exit status."""
    parser = argparse.ArgumentParser("python -m lightrnn", description="Recurrent networks on the command line.")
    commands = parser.add_subparsers(dest="command", required=True)
    comparison.add_arguments(commands.add_parser("compare", help="every cell and two baselines on your data"))
    return comparison.run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
