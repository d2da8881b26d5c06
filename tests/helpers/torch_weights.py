"""Weights under PyTorch's names, as arrays."""

import numpy as np

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
F = 3
H = 4


def state_dict(cell="lstm", layers=1, both=False, outputs=2, tokens=0, seed=0):
    """Return random weights of a network (F inputs, H units) by the names that torch gives them."""
    rng = np.random.default_rng(seed)
    rows = GATES[cell] * H
    shapes = {"embedding.weight": (tokens, F)} if tokens else {}
    for layer in range(layers):
        for suffix in ("", "_reverse")[: 1 + both]:
            name = f"_l{layer}{suffix}"
            shapes |= {
                f"rnn.weight_ih{name}": (rows, H * (1 + both) if layer else F),
                f"rnn.weight_hh{name}": (rows, H),
            }
            shapes |= {f"rnn.bias_ih{name}": (rows,), f"rnn.bias_hh{name}": (rows,)}
    shapes |= {"fc.weight": (outputs, H * (1 + both)), "fc.bias": (outputs,)}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
