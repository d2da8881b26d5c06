"""``python -m lightrnn``: ``info`` of this install, ``warmup`` of its kernels, ``compare`` nets on one's own data."""

import argparse
import sys

from .cli import compare, info, warmup

_COMMANDS = {
    "info": (info, "versions, processor, cache of machine code, and a check of gradients"),
    "warmup": (warmup, "compile what an install needs, and keep it"),
    "compare": (compare, "every cell and two baselines on your data"),
}


def main() -> int:
    """Run a command; return the exit status."""
    parser = argparse.ArgumentParser(
        "python -m lightrnn", description="Recurrent networks on the command line."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, (module, purpose) in _COMMANDS.items():
        module.add_arguments(
            commands.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
        )
    arguments = parser.parse_args()
    if arguments.command is None:
        parser.print_help()
        return 0
    return _COMMANDS[arguments.command][0].run(arguments)


if __name__ == "__main__":
    sys.exit(main())
