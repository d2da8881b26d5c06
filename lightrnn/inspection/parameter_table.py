"""What a network is made of, counted as one counts by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..estimators.arguments import checked
from ..estimators.estimator import check_estimator
from ..estimators.language import RNNLanguageModel
from ..estimators.supervised import RecurrentEstimator
from ..utils.checks import integer
from ..utils.tables import as_table

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator
    from ..nn.layers import Embedding, Layer
    from ..nn.network import Network

_SHARED = ("cell", "hidden_layer_sizes", "window", "dropout", "dtype")


class Part(NamedTuple):
    """A layer, in one direction.

    Attributes
    ----------
    name : str
        As in `weights_`.
    formula : str
        How its parameters are counted.
    parameters : int
        Their number.
    torch : int
        PyTorch's number: its recurrent layers have two biases where one would do.
    flops : int
        Floating-point operations of a step in the matrix products, two for each weight.
    sequence_flops : int
        Those of a sequence of T steps. With ``target="sequence"`` the output layer runs once a sequence, and so does
        all of a feed-forward net.
    memory : int
        Bytes that a batch of B sequences of T steps leaves for the way back: states, and gates.
    """

    name: str
    formula: str
    parameters: int
    torch: int
    flops: int
    sequence_flops: int
    memory: int


class ParameterTable(NamedTuple):
    """What `parameter_table` returns; printed, it is a table.

    Attributes
    ----------
    cell : str
        The estimator's.
    T, B : int
        Steps of a sequence, sequences of a batch.
    parts : tuple of Part
        Layer by layer.
    ffnn : tuple of Part
        The feed-forward net of the same layers whose window is all T steps.
    """

    cell: str
    T: int
    B: int
    parts: tuple[Part, ...]
    ffnn: tuple[Part, ...]

    @property
    def total(self) -> Part:
        """The parts' sum."""
        return _total("total", self.parts)

    def __str__(self) -> str:
        """Put it all into columns."""
        header = (
            "layer",
            "parameters, by hand",
            "parameters",
            "in PyTorch",
            "FLOPs a step",
            f"of {self.T} steps",
            "memory",
        )
        same = _total(f"ffnn, window {self.T}", self.ffnn)
        rows = [_shown(part) for part in (*self.parts, self.total, same)]
        return f"{as_table(header, rows)}\nmemory: what {self.B} sequences of {self.T} steps leave for the way back"


def parameter_table(
    estimator: NetworkEstimator,
    *,
    T: int = 100,
    B: int = 32,
    n_features: int | None = None,
    n_outputs: int | None = None,
    n_tokens: int | None = None,
) -> ParameterTable:
    """Count an estimator's parameters layer by layer, with the formula spelled out, before or after `fit`.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Fitted or not.
    T, B : int >= 1
        Steps of a sequence and sequences of a batch, for memory and for the feed-forward net of equal context.
    n_features, n_outputs : int >= 1, optional
        Features of a step, or instead of them `n_tokens`, and outputs: classes or target columns. Only for an estimator
        that is not fitted; a language model's outputs are its tokens.
    n_tokens : int >= 2, optional
        Size of the vocabulary, the unknown token counted.

    Returns
    -------
    ParameterTable
        Printed, it is a table.

    Raises
    ------
    ValueError
        If the estimator is not fitted and a number is missing, or an argument of it is out of range.

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
    T, B = integer("T", T, 1), integer("B", B, 1)
    architecture = (
        estimator._model.architecture
        if estimator.__sklearn_is_fitted__()
        else _planned(estimator, n_features, n_outputs, n_tokens)
    )
    plain = {"cell": "ffnn", "bidirectional": False, "window": T}
    networks = Network(**architecture), Network(**architecture | plain)
    return ParameterTable(
        networks[0].cell, T, B, *(tuple(_parts(network, T, B)) for network in networks)
    )


def _planned(
    estimator: NetworkEstimator, n_features: int | None, n_outputs: int | None, n_tokens: int | None
) -> dict[str, Any]:
    """Return the architecture that `fit` would build."""
    sizes = {"n_features": n_features, "n_outputs": n_outputs, "n_tokens": n_tokens}
    given = {
        name: integer(name, value, 2 if name == "n_tokens" else 1)
        for name, value in sizes.items()
        if value is not None
    }
    supervised = isinstance(estimator, RecurrentEstimator)
    wanted = (
        {"n_outputs": "n_outputs", "n_features": "n_features or n_tokens"}
        if supervised
        else {"n_tokens": "n_tokens"}
    )
    for name, said in wanted.items():
        if name not in given and not (name == "n_features" and "n_tokens" in given):
            raise ValueError(
                f"{said} must be given for an estimator that is not fitted, got None. ForwardBackward a number, or fit."
            )
    if isinstance(estimator, RNNLanguageModel):
        return estimator._architecture(estimator._checked(), given["n_tokens"])
    arguments = checked(estimator.get_params(deep=False))
    if "n_tokens" in given:
        given["n_features"] = arguments["embedding_size"]
    return given | {name: arguments[name] for name in (*_SHARED, "target", "bidirectional")}


def _parts(network: Network, T: int, B: int) -> list[Part]:
    """Count layer by layer."""
    parts = [] if network.embedding is None else [_embedding(network.embedding)]
    levels = [(layer, number) for number, level in enumerate(network.levels) for layer in level]
    window = network.window if network.cell == "ffnn" else 1
    outputs = T if network.target == "step" else 1
    steps = T if network.recurrent else outputs
    parts += [_layer(layer, steps, B, window if number == 0 else 1) for layer, number in levels]
    return parts + [_layer(layer, outputs, B, 1) for layer in network.head.layers]


def _embedding(embedding: Embedding) -> Part:
    count = embedding.n_tokens * embedding.size
    return Part(embedding.name, _product(embedding.n_tokens, embedding.size), count, count, 0, 0, 0)


def _layer(layer: Layer, steps: int, B: int, window: int) -> Part:
    """Count a layer that runs over so many steps of each of B sequences."""
    F, H, cell = layer.features, layer.units, layer.cell
    G, twice = len(cell.gates), cell.two_biases
    count = sum(parameter.n_free for parameter in layer.parameters)
    weights = count - G * H * (1 + twice)
    memory = steps * B * (len(cell.slots) + len(cell.states)) * H * layer.dtype.itemsize
    if layer.tied:
        flops = 2 * F * H
        return Part(
            layer.name,
            f"{H:,}, and the embedding's matrix",
            count,
            count,
            flops,
            flops * steps,
            memory,
        )
    inputs = f"({window} x {F // window:,})" if window > 1 else f"{F:,}"
    terms = [f"{inputs} x {H:,}"] + [_product(H, H)] * cell.recurrent + [f"{'2 x ' * twice}{H:,}"]
    formula = " + ".join(terms) if G == 1 else f"{G} x ({' + '.join(terms)})"
    torch = count + (G * H if cell.recurrent and not twice else 0)
    return Part(layer.name, formula, count, torch, 2 * weights, 2 * weights * steps, memory)


def _product(a: int, b: int) -> str:
    return f"{a:,} x {b:,}"


def _total(name: str, parts: tuple[Part, ...]) -> Part:
    sums = [sum(getattr(part, field) for part in parts) for field in Part._fields[2:]]
    return Part(name, "", *sums)


def _shown(part: Part) -> tuple[str, ...]:
    memory = f"{part.memory / 2**20:,.2f} MB"
    numbers = (
        f"{number:,}" for number in (part.parameters, part.torch, part.flops, part.sequence_flops)
    )
    return part.name, part.formula, *numbers, memory
