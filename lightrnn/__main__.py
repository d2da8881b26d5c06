"""The command line, ``python -m lightrnn``, with the commands of `lightrnn.cli`."""

import argparse
import io
import sys

from .cli import compare, info, warmup

_COMMANDS = {
    "info": (info, "print versions, processor and cache, and with --check check the gradients"),
    "warmup": (warmup, "compile the kernels ahead of their first use, and keep them"),
    "compare": (compare, "cross-validate every cell and two baselines on your data"),
}


def main() -> int:
    """Run a command; return the exit status."""
    parser = argparse.ArgumentParser(
        "python -m lightrnn", description="Recurrent networks on the command line."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, (module, purpose) in _COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
        module.add_arguments(command)
    arguments = parser.parse_args()
    if arguments.command is None:
        parser.print_help()
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what it cannot encode ends no command
    module, _ = _COMMANDS[arguments.command]
    try:
        return module.run(arguments)
    except KeyboardInterrupt:
        return 130  # as shells have it
    except (MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = error if str(error) else type(error).__name__
        print(f"{parser.prog} {arguments.command}: {reason}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
