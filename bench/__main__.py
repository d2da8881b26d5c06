"""Print the tables: `python -m bench [--cuda] [--only steps,share] [--quick] [--write]`, or `--fuzz` the loader."""

import argparse
import sys
import warnings

from lightrnn import cuda

from . import fuzz, peers
from .adding import ADDING
from .distance import DISTANCE
from .gpu import GPU_FIT, GPU_RAGGED, GPU_STEPS
from .inspecting import INSPECTION
from .machine import describe
from .mlp import MLP
from .predict import PREDICT
from .ragged import RAGGED
from .report import Row, Run, Table, write
from .serving import BATCHES, SCRIPT, STREAM
from .startup import MEMORY, STARTUP
from .steps import SHARE, STEPS
from .text import SENTENCES, TEXT
from .vowels import VOWELS

GPU_TABLES = (GPU_STEPS, GPU_RAGGED, GPU_FIT)
TABLES = (
    *(
        STEPS,
        SHARE,
        RAGGED,
        VOWELS,
        PREDICT,
        STREAM,
        BATCHES,
        SCRIPT,
        STARTUP,
        MEMORY,
        INSPECTION,
        MLP,
    ),
    *(DISTANCE, ADDING, TEXT, SENTENCES),
)


def main() -> None:
    """Measure what was asked for and print each table as it is done."""
    arguments = _arguments()
    if arguments.fuzz:
        sys.exit(not fuzz.main(arguments.fuzz))
    warnings.filterwarnings(
        "ignore", message=".*Maximum iterations"
    )  # the number of epochs is what is asked for
    run, summary = Run(arguments.quick), []
    machine = describe(0) if arguments.quick else describe()
    _show("machine", machine, arguments.write)
    if not (peers.HAS_TORCH and peers.HAS_SKLEARN and peers.HAS_ONNX):
        print(
            "A peer is not installed; its columns are empty. pip install '.[bench]' brings both.\n"
        )
    for table in arguments.tables:
        if table.name in arguments.only:
            text, rows = table.measure(run)
            _show(
                table.name,
                f"{text}\nMeasured on: {machine}" if arguments.write else text,
                arguments.write,
            )
            summary.append(_summary(table, rows))
    print("\n".join(line for line in summary if line))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m bench", description="lightrnn beside its peers, measured here and now."
    )
    parser.add_argument("--only", help="some of the tables, their names with commas between")
    parser.add_argument("--cuda", action="store_true", help="the GPU's tables; needs one")
    parser.add_argument(
        "--quick", action="store_true", help="few repetitions: does it run, not how fast"
    )
    parser.add_argument("--write", action="store_true", help="put the results into bench/README.md")
    parser.add_argument(
        "--fuzz",
        nargs="?",
        const=100_000,
        type=int,
        metavar="FILES",
        help="load corrupted model files instead",
    )
    arguments = parser.parse_args()
    if arguments.cuda and not cuda.driver.present():
        parser.error(
            "--cuda needs a GPU that can be used; RNNClassifier(device='cuda') says what is missing"
        )
    arguments.tables = GPU_TABLES if arguments.cuda else TABLES
    names = [table.name for table in arguments.tables]
    arguments.only = arguments.only.split(",") if arguments.only else names
    if unknown := set(arguments.only) - set(names):
        parser.error(
            f"--only must name tables of {', '.join(names)}, got {', '.join(sorted(unknown))}"
        )
    return arguments


def _show(name: str, text: str, keep: bool) -> None:
    print(text, flush=True)
    if keep:
        write(name, text)


def _summary(table: Table, rows: list[Row]) -> str:
    """Return how many bars were reached, and by name those that were not."""
    if table.columns[-1] != "reached":
        return ""
    marks = [row[-1] for row in rows if row[-1]]
    if not marks:
        return ""
    missed = [" ".join(row[:-1]) for row in rows if row[-1] == "NO"]
    return "\n  ".join(
        [f"{table.name}: {marks.count('yes')} of {len(marks)} bars reached", *missed]
    )


if __name__ == "__main__":
    main()
