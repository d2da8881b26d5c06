"""Print the tables: ``python -m bench [--cuda] [--only steps,share] [--quick] [--write]``.

``python -m bench --share`` prints one line that you can send: this machine and a few ratios. The
tables m4 and hours read their data from ``--data FOLDER``. ``python -m bench --fuzz`` loads
corrupted model files instead.
"""

import argparse
import sys
import warnings

from lightrnn import cuda

from . import fuzz, peers, sharing
from .adding import ADDING
from .archive import ARCHIVE
from .c_step import C_STEP
from .counts import COUNTS
from .distance import DISTANCE
from .distributed import DISTRIBUTED, SMALL_STEPS_ON_DASK
from .explaining import EXPLAINING
from .forecasting import FORECASTING
from .gpu import GPU_FIT, GPU_RAGGED, GPU_STEPS
from .hours import HOURS
from .inspecting import INSPECTION
from .jax_steps import JAX_STEPS
from .long_sequences import LONG
from .m4 import M4
from .machine import describe
from .mlp import MLP
from .overhead import OVERHEAD
from .piano_rolls import PIANO_ROLLS
from .predict import PREDICT
from .ragged import RAGGED
from .regression import REGRESSION
from .report import Row, Run, Table, write
from .serving import BATCHES, SCRIPT, STREAM
from .short_texts import SHORT_TEXTS
from .startup import MEMORY, STARTUP
from .steps import SHARE, STEPS
from .text import SENTENCES, TEXT
from .uses import GROWTH_TABLE, USES_TABLE
from .vowels import VOWELS

GPU_TABLES = (GPU_STEPS, GPU_RAGGED, GPU_FIT)
TABLES = (
    STEPS,
    SHARE,
    USES_TABLE,
    GROWTH_TABLE,
    OVERHEAD,
    JAX_STEPS,
    RAGGED,
    VOWELS,
    PREDICT,
    STREAM,
    C_STEP,
    BATCHES,
    SCRIPT,
    STARTUP,
    MEMORY,
    LONG,
    INSPECTION,
    EXPLAINING,
    MLP,
    DISTANCE,
    DISTRIBUTED,
    SMALL_STEPS_ON_DASK,
    ADDING,
    ARCHIVE,
    REGRESSION,
    FORECASTING,
    HOURS,
    M4,
    SHORT_TEXTS,
    PIANO_ROLLS,
    TEXT,
    SENTENCES,
    COUNTS,
)


def main() -> None:
    """Measure the chosen tables and print each as soon as it is complete."""
    arguments = _arguments()
    if arguments.fuzz:
        sys.exit(not fuzz.main(arguments.fuzz))
    # The tables fix the number of epochs, converged or not.
    warnings.filterwarnings("ignore", message=".*Maximum iterations")
    if arguments.share:
        print(sharing.line(arguments.quick))
        return
    run = Run(arguments.quick, arguments.data)
    summary = []
    machine = describe(0) if arguments.quick else describe()
    # An environment of JAX alone has measured one table of the page.
    _show("machine", machine, arguments.write and peers.HAS_TORCH)
    if not (peers.HAS_TORCH and peers.HAS_SKLEARN and peers.HAS_ONNX):
        print("A peer is missing and its columns are empty: pip install '.[bench]' installs all.\n")
    for table in arguments.tables:
        if table.name in arguments.only:
            text, rows = table.measure(run)
            if not rows:  # its peer or its data are not there
                print(f"{table.name}: nothing to measure here\n")
                continue
            if arguments.write:
                text = f"{text}\nMeasured on: {machine}"
            _show(table.name, text, arguments.write)
            summary.append(_summary(table, rows))
    print("\n".join(line for line in summary if line))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m bench", description="Compare lightrnn with its peers on this machine."
    )
    parser.add_argument("--only", help="names of tables, separated by commas")
    parser.add_argument("--data", help="folder of the data of the tables m4 and hours")
    parser.add_argument(
        "--cuda", action="store_true", help="the tables of the GPU, which needs one"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few repetitions, to see that everything runs"
    )
    parser.add_argument(
        "--write", action="store_true", help="write the tables into bench/README.md"
    )
    parser.add_argument(
        "--share", action="store_true", help="print one line to send: machine and a few ratios"
    )
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
        parser.error("--cuda needs a usable GPU; RNNClassifier(device='cuda') says what is missing")
    arguments.tables = GPU_TABLES if arguments.cuda else TABLES
    names = [table.name for table in arguments.tables]
    arguments.only = arguments.only.split(",") if arguments.only else names
    unknown = sorted(set(arguments.only) - set(names))
    if unknown:
        parser.error(f"--only must name some of {', '.join(names)}, got {', '.join(unknown)}")
    return arguments


def _show(name: str, text: str, keep: bool) -> None:
    print(text, flush=True)
    if keep:
        write(name, text)


def _summary(table: Table, rows: list[Row]) -> str:
    """Return the number of bars that were reached, and the rows of those that were not."""
    if table.columns[-1] != "reached":
        return ""
    marks = [row[-1] for row in rows if row[-1]]
    if not marks:
        return ""
    missed = [" ".join(row[:-1]) for row in rows if row[-1] == "NO"]
    reached = f"{table.name}: {marks.count('yes')} of {len(marks)} bars reached"
    return "\n  ".join([reached, *missed])


if __name__ == "__main__":
    main()
