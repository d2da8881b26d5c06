"""Hypothesis strategies of learning problems, with every option that changes the loss."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from helpers.networks import randomize
from hypothesis import strategies as st

from lightrnn.cells import HEAD_CELLS
from lightrnn.losses import LOSSES, make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network

CELLS = ("ffnn", "rnn", "gru", "lstm")
TARGETS = ("sequence", "step")
POOLINGS = ("last", "mean", "max", "attention")
DTYPES = ("float32", "float64")
OPTIONS = "target bidirectional window pooling dropout n_tokens head dtype".split()
OPTIONS += ["head_layer_sizes", "head_activation"]


@dataclass(frozen=True)
class Problem:
    """A network's arguments and the data it learns."""

    cell: str
    sizes: tuple[int, ...] = (3,)
    bidirectional: bool = False
    window: int = 3
    dropout: float = 0.0
    target: str = "sequence"
    dtype: str = "float64"
    loss: str = "softmax"
    constant: float = 0.5  # of the losses that have one
    k: int = 2
    F: int = 2
    n_tokens: int = 0  # X holds numbers
    head: str = "linear"
    lengths: tuple[int, ...] = (2, 4, 1, 3)
    truncate: int | None = None
    seed: int = 0
    pooling: str = "last"
    head_layer_sizes: tuple[int, ...] = ()
    head_activation: str = "relu"

    @property
    def shape(self) -> dict[str, Any]:
        """Return what the oracle cannot see of the weights."""
        return {
            "window": self.window,
            "pooling": self.pooling,
            "activation": self.head_activation,
        }

    def network(self, **changes: Any) -> Network:
        """Return a network with random parameters, biases included."""
        options = {name: getattr(self, name) for name in OPTIONS}
        network = Network(self.cell, self.F, self.sizes, self.k, **options | changes)
        return randomize(network, np.random.default_rng(self.seed))

    def make_loss(self):
        return make_loss(self.loss, **self.loss_options)

    @property
    def loss_options(self) -> dict[str, Any]:
        quantile = self.constant  # of all outputs, or one for each
        if self.k % 2 == 0:
            quantile = tuple(np.linspace(self.constant, 0.9, self.k).tolist())
        return {"huber": {"delta": self.constant}, "quantile": {"quantile": quantile}}.get(
            self.loss, {}
        )

    @property
    def X(self) -> list[np.ndarray]:
        rng = np.random.default_rng(self.seed + 1)
        if self.n_tokens:
            return [rng.integers(0, self.n_tokens, T) for T in self.lengths]
        return [rng.normal(size=(T, self.F)) for T in self.lengths]

    def other(self, T: int) -> np.ndarray:
        """Return another sequence, of T steps."""
        return np.ones(T, np.int64) if self.n_tokens else np.ones((T, self.F))

    def _drawn(self, draw) -> Any:
        """Return values drawn for each sequence, or for each step of it."""
        if self.target == "step":
            return [draw((T,)) for T in self.lengths]
        return draw((len(self.lengths),))

    @property
    def targets(self) -> Any:
        rng = np.random.default_rng(self.seed + 2)
        if self.loss == "softmax":
            return self._drawn(lambda shape: rng.integers(0, self.k, shape))
        if self.loss == "sigmoid":
            return self._drawn(lambda shape: rng.integers(0, 2, (*shape, self.k)).astype(float))
        return self._drawn(lambda shape: rng.normal(size=(*shape, self.k)))

    @property
    def weights(self) -> Any:
        rng = np.random.default_rng(self.seed + 3)
        return self._drawn(lambda shape: rng.uniform(0.2, 2, shape))

    def batch(self, network: Network) -> Batch:
        """Return all sequences as one batch, with dropout masks if there is dropout."""
        rng = np.random.default_rng(self.seed + 4)
        masks = network.dropout_masks(len(self.lengths), rng)
        return Batch.of(self.X, self.targets, self.weights, masks)


@st.composite
def problems(
    draw,
    cells=CELLS,
    dtypes=DTYPES,
    targets=TARGETS,
    losses=LOSSES,
    max_size=20,
    max_length=9,
    **fixed,
):
    """Draw a problem; `fixed` fields are not drawn. Sizes reach beyond a register of 16 lanes."""
    picked = {"cell": cells, "dtype": dtypes, "target": targets, "loss": losses}
    fields = {name: draw(st.sampled_from(options)) for name, options in picked.items()}
    # Without recurrence there is neither a reverse direction nor a state to truncate.
    plain = fields["cell"] == "ffnn"
    fields["bidirectional"] = not plain and draw(st.booleans())
    fields["sizes"] = draw(st.lists(st.integers(1, max_size), min_size=1, max_size=3).map(tuple))
    fields["window"] = draw(st.integers(1, 6))
    fields["dropout"] = draw(st.sampled_from([0.0, 0.4]))
    fields["constant"] = draw(st.sampled_from([0.1, 0.5, 0.8]))
    fields["k"] = draw(st.integers(2 if fields["loss"] == "softmax" else 1, 4))
    # Beyond a register of 16 lanes
    fields["F"] = draw(st.integers(1, 18))
    fields["n_tokens"] = draw(st.just(0) | st.integers(2, 9))
    fields["lengths"] = draw(
        st.lists(st.integers(1, max_length), min_size=1, max_size=20).map(tuple)
    )
    fields["truncate"] = (
        None if plain or fields["bidirectional"] else draw(st.none() | st.integers(1, 4))
    )
    fields["seed"] = draw(st.integers(0, 2**16))
    if fields["target"] == "sequence":
        fields["pooling"] = draw(st.sampled_from(POOLINGS))
    fields |= fixed
    heads = ["linear", "tied", "adaptive"] if fields["loss"] == "softmax" else ["linear"]
    if "head" not in fixed:
        fields["head"] = draw(st.sampled_from(heads))
    if fields["head"] == "linear" and "head_layer_sizes" not in fixed:
        hidden = st.lists(st.integers(1, max_size), max_size=2).map(tuple)
        fields["head_layer_sizes"] = draw(st.just(()) | hidden)
        fields["head_activation"] = draw(st.sampled_from(list(HEAD_CELLS)))
    if fields["head"] == "tied":
        # The embedding is as wide as the features, and its tokens are the classes.
        last = fields["sizes"][-1] * (1 + fields["bidirectional"])
        fields |= {"n_tokens": max(2, fields["n_tokens"]), "F": last}
        fields["k"] = fields["n_tokens"]
    elif fields["head"] == "adaptive":
        fields["k"] = draw(st.integers(4, 40))
    return Problem(**fields)
