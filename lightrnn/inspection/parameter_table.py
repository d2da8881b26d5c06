"""Count parameters, operations and memory of a network layer by layer, with formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import cpu
from ..data.dataset import patch_for
from ..data.missing import COLUMNS
from ..data.patches import count_patches
from ..devices import placed
from ..estimators import model
from ..estimators.estimator import NetworkEstimator, check_estimator
from ..estimators.language import RNNLanguageModel
from ..utils.checks import integer
from ..utils.tables import as_table, counted
from .objective import patch_of

if TYPE_CHECKING:
    from ..nn.layers import Embedding, Layer
    from ..nn.network import Network
    from ..nn.pooling import Pooling


class Part(NamedTuple):
    """Numbers of one layer in one direction.

    Attributes
    ----------
    name : str
        Name of the layer, as in `weights_`; of a pooling that of its kind.
    formula : str
        Number of its parameters as a formula.
    parameters : int
        Number of its parameters.
    torch : int
        Number of PyTorch's parameters for it: recurrent layers have two biases there, of which one
        would do.
    flops : int
        Floating-point operations of a step in products with matrices, two per weight; of a patch,
        if the network reads patches.
    sequence_flops : int
        Floating-point operations of a sequence of T steps. With ``target="sequence"`` the output
        layer runs once per sequence, and so do all layers of a feed-forward net.
    memory : int
        Bytes of states and gates that a batch of B sequences of T steps has for
        back-propagation; `batch_memory` of the table says what is kept at the same time.

    Examples
    --------
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import parameter_table
    >>> parameter_table(RNNRegressor("rnn", (8,)), T=20, B=1, n_features=2, n_outputs=1).parts[1]
    Part(name='head', formula='8 x 1 + 1', parameters=9, torch=9, flops=16, sequence_flops=16, \
memory=8)
    """

    name: str
    formula: str
    parameters: int
    torch: int
    flops: int
    sequence_flops: int
    memory: int


class ParameterTable(NamedTuple):
    """Parts of a network with their numbers, as `parameter_table` counts them.

    Attributes
    ----------
    cell : str
        The estimator's cell.
    T : int
        Steps of a sequence.
    B : int
        Sequences of a batch.
    parts : tuple of Part
        The network's layers.
    ffnn : tuple of Part
        Layers of the feed-forward net with the same sizes whose window is all T steps.
    patch : int, default=1
        Number of steps that are one input of the network.
    batch_memory : int, default=0
        Bytes that training takes for a batch: states and gates, inputs, gradients and indices.
    whole_memory : int, default=0
        The same if all gates were kept. Where that is more than a quarter of the free memory, they
        are kept for few steps at a time, and computed twice.
    device : str, default="cpu"
        Where that memory is: a GPU of this machine if the estimator computes there.

    Examples
    --------
    >>> from lightrnn import RNNRegressor
    >>> from lightrnn.inspection import parameter_table
    >>> print(parameter_table(RNNRegressor("rnn", (8,)), T=1, B=2, n_features=2, n_outputs=1))
    layer           parameters, by hand  parameters  in PyTorch  FLOPs per step  1 step   memory
    layer0            2 x 8 + 8 x 8 + 8          88          96             160     160  0.00 MB
    head                      8 x 1 + 1           9           9              16      16  0.00 MB
    total                                        97         105             176     176  0.00 MB
    ffnn, window 1                               33          33              48      48  0.00 MB
    memory kept for back-propagation, for a batch of 2 sequences of 1 step
    """

    cell: str
    T: int
    B: int
    parts: tuple[Part, ...]
    ffnn: tuple[Part, ...]
    patch: int = 1
    batch_memory: int = 0
    whole_memory: int = 0
    device: str = "cpu"

    @property
    def total(self) -> Part:
        """Sums over all parts."""
        return _total("total", self.parts)

    def __str__(self) -> str:
        """Return the table as text.

        Returns
        -------
        str
            One line per part, their sum, and the sum of the feed-forward net of equal context.
        """
        steps = counted(self.T, "step")
        unit = "step" if self.patch == 1 else "patch"
        window = str(count_patches(self.T, self.patch))
        if self.patch > 1:
            window += f" x {self.patch}"
        header = (
            "layer",
            "parameters, by hand",
            "parameters",
            "in PyTorch",
            f"FLOPs per {unit}",
            steps,
            "memory",
        )
        equal = _total(f"ffnn, window {window}", self.ffnn)
        rows = [_row(part) for part in (*self.parts, self.total, equal)]
        batch = f"a batch of {counted(self.B, 'sequence')} of {steps}"
        if self.patch > 1:
            batch += f", in patches of {self.patch}"
        return f"{as_table(header, rows)}\nmemory kept for back-propagation, for {batch}"


def parameter_table(
    estimator: NetworkEstimator,
    *,
    T: int | None = None,
    B: int = 32,
    n_features: int | None = None,
    n_outputs: int | None = None,
    n_tokens: int | None = None,
) -> ParameterTable:
    """Count an estimator's parameters layer by layer and spell out the formula.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        An estimator, fitted or not. Only one that is not fitted needs the arguments below `B`.
    T : int, optional
        Steps of a sequence, by default 100, for operations, memory and the feed-forward net of
        equal context. If an estimator that is not fitted has ``patch="auto"``, T is the length of
        the training sequences, too; without it they are taken to be short, with patches of 1.
    B : int, default=32
        Sequences of a batch, for memory.
    n_features : int, optional
        Features of a step; a classifier or regressor of tokens takes `n_tokens` instead.
    n_outputs : int, optional
        Classes, or columns of the target; a language model's outputs are its tokens.
    n_tokens : int, optional
        Size of the vocabulary, with the unknown token.

    Returns
    -------
    ParameterTable
        Numbers by layer, and those of the feed-forward net of equal context; printed, it is a
        table.

    Raises
    ------
    TypeError
        If `estimator` is not an estimator of this package, or an argument has the wrong type.
    ValueError
        If a number that is needed is missing, or an argument is out of range.

    Examples
    --------
    >>> from lightrnn import RNNClassifier
    >>> from lightrnn.inspection import parameter_table
    >>> table = parameter_table(RNNClassifier("lstm", (64,)), n_features=12, n_outputs=9)
    >>> table.parts[0].formula
    '4 x (12 x 64 + 64 x 64 + 64)'
    >>> table.parts[0].parameters, table.parts[0].torch, table.total.parameters
    (19712, 19968, 20297)
    """
    from ..nn.network import Network

    check_estimator(estimator)
    known = 1 if T is None else integer("T", T, 1)
    T = 100 if T is None else known
    B = integer("B", B, 1)
    if estimator.__sklearn_is_fitted__():
        architecture = estimator._model.architecture
        device = estimator._model.device
        patch = patch_of(estimator)
    else:
        sizes = {"n_features": n_features, "n_outputs": n_outputs, "n_tokens": n_tokens}
        architecture, patch = _planned_architecture(estimator, known, sizes)
        device = estimator.get_params(deep=False)["device"]
    inputs = int(count_patches(T, patch))
    network = Network(**architecture)
    network.threads = cpu.threads.usable(estimator.get_params(deep=False)["n_jobs"])
    network.available = model.available_memory(network.batch_bytes(B, B * inputs))
    return ParameterTable(
        cell=architecture["cell"],
        T=T,
        B=B,
        parts=_parts(network, patch, inputs, B),
        # A feed-forward net reaches as far back as its window; then it sees all T steps.
        ffnn=_parts(feed_forward(architecture, window=inputs), patch, inputs, B),
        patch=patch,
        **_memory(network, device, B, B * inputs),
    )


def _memory(network: Network, device: str, B: int, steps: int) -> dict[str, Any]:
    """Return the memory of a batch on a device; on the CPU, if the device is not there."""
    try:
        with placed(network, device, work=0) as there:
            return {
                "batch_memory": int(there.batch_bytes(B, steps)),
                "whole_memory": int(there.batch_bytes(B, steps, math.inf)),
                "device": there.device,
            }
    except RuntimeError:
        return _memory(network, "cpu", B, steps)


def feed_forward(architecture: dict[str, Any], window: int) -> Network:
    """Return the feed-forward net of the same layers with this window."""
    from ..nn.network import Network

    changes = {"cell": "ffnn", "bidirectional": False, "window": window, "pooling": "last"}
    return Network(**architecture | changes)


def _planned_architecture(
    estimator: Any, T: int, sizes: dict[str, int | None]
) -> tuple[dict[str, Any], int]:
    """Return architecture and patch that `fit` would choose for T steps of data of these sizes."""
    given = {
        name: integer(name, size, 2 if name == "n_tokens" else 1)
        for name, size in sizes.items()
        if size is not None
    }
    if isinstance(estimator, RNNLanguageModel):
        _require(given, "n_tokens")
        return estimator._architecture(estimator._checked(), given["n_tokens"]), 1
    _require(given, "n_outputs")
    _require(given, "n_features", "n_tokens")
    arguments = estimator._checked()
    patch = 1
    if "n_tokens" not in given:
        patch = patch_for(arguments, np.array([T]))
        columns = COLUMNS if arguments["missing"] == "mask" else 1
        given["n_features"] *= patch * columns
    return estimator._architecture(arguments, **given, patch=patch), patch


def _require(given: dict[str, int], *names: str) -> None:
    """Raise an error unless one of these numbers is given."""
    if not any(name in given for name in names):
        raise ValueError(
            f"{' or '.join(names)} must be given for an estimator that is not fitted, got None. "
            "Pass a number, or call fit."
        )


def _parts(network: Network, patch: int, T: int, B: int) -> tuple[Part, ...]:
    """Count layer by layer, for T inputs of the network which are `patch` steps each."""
    parts = [] if network.embedding is None else [_embedding_part(network.embedding)]
    outputs = T if network.target == "step" else 1
    # Without recurrence only the steps that are read need to be computed.
    steps = T if network.recurrent or network.pooling else outputs
    # The first layer of a net without recurrence reads a window of the input.
    joined: tuple[int, ...] = (1 if network.recurrent else network.window, patch)
    for level in network.levels:
        parts += [_layer_part(layer, steps, B, joined) for layer in level]
        joined = ()
    if network.pooling:
        parts.append(_pooling_part(network.pooling, T, B))
    parts += [_layer_part(layer, outputs, B) for layer in network.head.layers]
    return tuple(parts)


def _embedding_part(embedding: Embedding) -> Part:
    """Return the numbers of an embedding: its rows are looked up, so nothing is multiplied."""
    count = embedding.n_tokens * embedding.size
    formula = _product(embedding.n_tokens, embedding.size)
    return Part(embedding.name, formula, count, count, flops=0, sequence_flops=0, memory=0)


def _pooling_part(pooling: Pooling, T: int, B: int) -> Part:
    """Return the numbers of the pooling: attention multiplies each state with its query."""
    count = sum(parameter.n_free for parameter in pooling.parameters)
    memory = B * pooling.features * pooling.dtype.itemsize
    return Part(pooling.kind, f"{count:,}", count, count, 2 * count, 2 * count * T, memory)


def _layer_part(
    layer: Layer,
    steps: int,
    B: int,
    joined: tuple[int, ...] = (),
) -> Part:
    """Return the numbers of a layer that runs over this many steps of each of B sequences.

    Its features are those of an input times the numbers that are `joined`.
    """
    F = layer.features
    H = layer.units
    cell = layer.cell
    G = len(cell.gates)
    count = sum(parameter.n_free for parameter in layer.parameters)
    torch = count
    if layer.tied:  # its matrix is counted with the embedding, but multiplied here
        weights = F * H
        formula = f"{H:,}, and the embedding's matrix"
    else:
        biases = 1 + cell.two_biases
        weights = count - G * H * biases
        formula = _formula(layer, joined)
        if cell.recurrent:  # PyTorch keeps two biases per gate, for cuDNN
            torch = weights + 2 * G * H
    values = len(cell.slots) + len(cell.states)  # kept for each unit and step
    return Part(
        name=layer.name,
        formula=formula,
        parameters=count,
        torch=torch,
        flops=2 * weights,
        sequence_flops=2 * weights * steps,
        memory=steps * B * values * H * layer.dtype.itemsize,
    )


def _formula(layer: Layer, joined: tuple[int, ...]) -> str:
    """Return the number of a layer's parameters as a formula of its sizes."""
    F = layer.features
    H = layer.units
    G = len(layer.cell.gates)
    # The window of a feed-forward net, and a patch, multiply the features of a step.
    factors = [n for n in joined if n > 1]
    inputs = " x ".join(f"{n:,}" for n in (*factors, F // math.prod(factors)))
    inputs = f"({inputs})" if factors else inputs
    terms = [f"{inputs} x {H:,}"]
    if layer.cell.recurrent:
        terms.append(_product(H, H))
    terms.append(_product(2, H) if layer.cell.two_biases else f"{H:,}")
    formula = " + ".join(terms)
    return formula if G == 1 else f"{G} x ({formula})"


def _product(a: int, b: int) -> str:
    """Return a product as text."""
    return f"{a:,} x {b:,}"


def _total(name: str, parts: tuple[Part, ...]) -> Part:
    """Return the sums of all numbers."""
    # All fields after name and formula are numbers.
    numbers = zip(*(part[2:] for part in parts), strict=True)
    return Part(name, "", *map(sum, numbers))


def _row(part: Part) -> tuple[str, ...]:
    """Return a row of the printed table."""
    numbers = [f"{number:,}" for number in part[2:-1]]
    return part.name, part.formula, *numbers, f"{part.memory / 2**20:,.2f} MB"
