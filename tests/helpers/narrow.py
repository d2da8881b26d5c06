"""Compile kernels for registers that are not the host's: ``narrow.py bytes rows vectors what``.

It runs in a process of its own, since the registers' size is read when kernels are compiled.
"""

import re
import sys

import numpy as np


def results(*cells):
    """Return loss, gradient and outputs of networks, as one dict of arrays.

    The first cell computes in float32, the second one in float64.
    """
    from lightrnn.losses import make_loss
    from lightrnn.nn.batches import Batch
    from lightrnn.nn.network import Network

    rng = np.random.default_rng(0)
    arrays = {}
    X = [rng.normal(size=(T, 5)) for T in (7, 3, 1, 12, 5, 5)]
    y = rng.normal(size=(6, 3))
    for cell, dtype in zip(cells, ("float32", "float64"), strict=False):
        network = Network(cell, 5, (19, 6), 3, bidirectional=True, dtype=dtype)
        network.initialize(np.random.default_rng(1))
        value = network.loss_and_gradient(Batch.of(X, y, np.ones(6)), make_loss("squared_error"))
        arrays |= {
            f"{cell}.{name}": array for name, array in network.named(network.gradient).items()
        }
        arrays |= {f"{cell}.loss": np.array(value), f"{cell}.outputs": network.outputs(X)}
    return arrays


def assembly(triple):
    """Return the assembly of the float32 forward loop of the lstm for another machine."""
    import llvmlite.binding as llvm

    from lightrnn.cpu import recurrence
    from lightrnn.cpu.jit import signature

    kernel = recurrence.forward("lstm")
    kernel.compile(signature(kernel, "float32"))
    (code,) = kernel.inspect_llvm().values()
    code = re.sub(
        r"(tail )?call i8 @llvm\.x86\.atomic\.sub\.cc.*", "add i8 0, 0", code
    )  # reference counts, in x86's way
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=3, reloc="static")
    module = llvm.parse_assembly(code)
    module.triple = triple
    module.data_layout = str(machine.target_data)
    return machine.emit_assembly(module)


if __name__ == "__main__":
    from lightrnn.cpu import host

    host.REGISTER_BYTES = int(sys.argv[1])
    host.TILE_ROWS = int(sys.argv[2])
    host.TILE_VECTORS = int(sys.argv[3])
    if sys.argv[4] == "results":
        np.savez(sys.argv[5], lanes=host.lanes("float32"), **results(*sys.argv[6:]))
    else:
        host.HAS_MXCSR = False
        print(assembly(sys.argv[4]))
