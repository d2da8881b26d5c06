"""Networks of other frameworks that can be run here, on random inputs, so that imports check them.

A module of PyTorch or a model of Keras is at hand together with its framework. What it gives for a
few random sequences shows what its weights do not.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .foreign import ForeignNetwork

Check = tuple[list[np.ndarray], list[np.ndarray]]  # inputs, and the outputs of a network for them
_LENGTHS = (5, 8)  # they differ, so that outputs for every step are told from those for the last
# The forms in which a module may read one sequence (T,) or (T, F): batch first, steps first, alone,
# channels before steps.
_LAYOUTS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda x: x[None],
    lambda x: x[:, None],
    lambda x: x,
    lambda x: x.T[None],
)


def is_module(source: Any) -> bool:
    """Whether an object is a module of PyTorch."""
    return hasattr(source, "state_dict") and hasattr(source, "named_modules")


def is_keras_model(source: Any) -> bool:
    """Whether an object is a model of Keras."""
    return hasattr(source, "get_config") and hasattr(source, "predict") and hasattr(source, "save")


def run_module(module: Any, foreign: ForeignNetwork) -> Iterator[Check]:
    """Yield a check for each layout of X in which a module gives outputs that may be its head's.

    Parameters
    ----------
    module : nn.Module
        The module; copies of it are run, in evaluation mode and without gradients.
    foreign : ForeignNetwork
        Its network, which says what it reads.
    """
    torch = sys.modules["torch"]
    X = _inputs(foreign, _LENGTHS)
    # A module may take the lengths too, or a state.
    more: tuple[Any, ...] = (lambda T: [], lambda T: [torch.tensor([T])], lambda T: [None])
    for others in more:
        runs = [_outputs(torch, module, foreign, X, layout, others) for layout in _LAYOUTS]
        yield from ((X, outputs) for outputs in runs if outputs is not None)
        if any(outputs is not None for outputs in runs):
            return


def _outputs(
    torch: Any,
    module: Any,
    foreign: ForeignNetwork,
    X: list[np.ndarray],
    layout: Callable[[np.ndarray], np.ndarray],
    others: Callable[[int], list[Any]],
) -> list[np.ndarray] | None:
    """Return a module's outputs for each sequence, None if it is not called like this."""
    parameter = next(iter(module.parameters()))
    # In 16 bits it would round at every step, which its network here does not.
    dtype = torch.promote_types(parameter.dtype, torch.float32)
    outputs = []
    for x in X:
        given = torch.as_tensor(layout(x), device=parameter.device)
        given = given.to(dtype) if given.is_floating_point() else given
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                # A module may keep its last state, with which it would go on.
                result = copy.deepcopy(module).eval().to(dtype)(given, *others(len(x)))
        except Exception:  # whatever the user's own code raises
            return None
        fitting = [each for each in _tensors(result) if _fits(each.numel(), len(x), foreign)]
        if not fitting:
            return None
        outputs.append(_rows(fitting[0].float().cpu().numpy(), foreign))
    return outputs


def run_keras(model: Any, foreign: ForeignNetwork) -> Iterator[Check]:
    """Yield a check if a model gives outputs for a sequence of its length.

    A stateful one would go on with a state that it has kept, and one that computes in 16 bits would
    round at every step.
    """
    if any(getattr(layer, "stateful", False) or _is_narrow(layer) for layer in model.layers):
        return
    try:
        X = _inputs(foreign, (model.input_shape[1] or _LENGTHS[0],))
        outputs = [np.asarray(model.predict(x[None], verbose=0)) for x in X]
    except Exception:  # of the user's own code, or of a model for batches of another size
        return
    if all(_fits(row.size, len(x), foreign) for row, x in zip(outputs, X, strict=True)):
        yield X, [_rows(row, foreign) for row in outputs]


def _is_narrow(layer: Any) -> bool:
    """Whether a layer of Keras computes in float16 or bfloat16."""
    return str(getattr(layer, "compute_dtype", "")).endswith("float16")


def has_step_outputs(check: Check) -> bool:
    """Whether there are more outputs for the longer of two sequences."""
    sizes = {len(row) for row in check[1]}
    return len(sizes) > 1


def _inputs(foreign: ForeignNetwork, lengths: Iterable[int]) -> list[np.ndarray]:
    """Return random sequences as a network reads them."""
    rng = np.random.default_rng(0)
    if foreign.embedding is not None:  # row 0 may be padding
        rows = len(foreign.embedding)
        return [rng.integers(min(1, rows - 1), rows, T) for T in lengths]
    return [rng.normal(size=(T, foreign.n_features)).astype(np.float32) for T in lengths]


def _tensors(outputs: Any) -> Iterator[Any]:
    """Yield the tensors of what a module returned, perhaps beside its states."""
    if hasattr(outputs, "numel"):
        yield outputs
    elif isinstance(outputs, (tuple, list, Mapping)):
        for value in outputs.values() if isinstance(outputs, Mapping) else outputs:
            yield from _tensors(value)


def _fits(size: int, steps: int, foreign: ForeignNetwork) -> bool:
    """Whether numbers may be the outputs for a sequence, or for each of its steps."""
    return size in (len(foreign.b), steps * len(foreign.b))


def _rows(outputs: np.ndarray, foreign: ForeignNetwork) -> np.ndarray:
    """Return the outputs for one sequence as rows, one for each step or for the last."""
    return outputs.reshape(-1, len(foreign.b))
