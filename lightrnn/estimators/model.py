"""What a fitted estimator holds, all in one place, and its form as a tree of plain values.

The tree serves pickling, saving and copying alike. Its arrays are the named, unpadded ones, so it does not depend on
the machine.
"""

from __future__ import annotations

import copy
import os
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..data.labels import ClassTargets, MultilabelTargets
from ..data.targets import RealTargets
from ..data.tokens import Vocabulary
from ..training.history import History

if TYPE_CHECKING:
    from ..nn.network import Network
    from ..nn.solvers import Solver

Targets = ClassTargets | MultilabelTargets | RealTargets
_KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in (ClassTargets, MultilabelTargets, RealTargets)
}


def build_network(architecture: dict[str, Any], rows: tuple[int, int] = (1, 1)) -> Network:
    """Make the network, refusing one that cannot fit into this machine's memory.

    Parameters
    ----------
    architecture : dict
        Arguments of `Network`.
    rows : tuple of int (B, T)
        The size of the greatest minibatch.

    Raises
    ------
    ValueError
        If training it would take more memory than there is.
    """
    from ..nn.network import Network

    network = Network(**architecture)
    needed = network.bytes_needed(*rows)
    if needed > memory():
        raise ValueError(
            f"hidden_layer_sizes must make a network that fits into memory, got {architecture['hidden_layer_sizes']}: "
            f"{network.n_parameters:,} parameters, {needed / 2**30:,.1f} GiB to train on {rows[0]} sequences of "
            f"{rows[1]} steps, where {memory() / 2**30:,.1f} GiB are. Lower hidden_layer_sizes or batch_size."
        )
    return network


def memory() -> int:
    """Bytes of memory that this machine, or the container around this process, has in all."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**62
    try:
        with open("/sys/fs/cgroup/memory.max") as file:
            return min(total, int(file.read()))
    except (OSError, ValueError):
        return total


@dataclass
class Model:
    """A network and everything needed to use it and to go on training it.

    Attributes
    ----------
    architecture : dict
        Arguments of `Network`.
    network : Network
        A regressor's gives targets in their own units: the standardisation is folded into the head.
    targets : ClassTargets, MultilabelTargets, RealTargets or None
        Between the user's y and the network's outputs; None for a language model.
    vocabulary : Vocabulary or None
        Between tokens and codes; None for numbers.
    solver : str
        Its name.
    moments : dict or None
        The solver's state, vectors as dicts of named arrays; None for lbfgs, or before training.
    history : History
        Losses, scores, and the state of schedule and stopping rule.
    rng : Generator
        Goes on with shuffling and dropout.
    device : str
        Where the network was trained.
    """

    architecture: dict[str, Any]
    network: Network
    targets: Any
    vocabulary: Vocabulary | None
    solver: str
    moments: dict[str, Any] | None
    history: History
    rng: np.random.Generator
    device: str = "cpu"

    def tree(self) -> dict[str, Any]:
        """Return everything as plain values."""
        tree = _shallow(self)
        return tree | {
            "network": self.network.arrays(),
            "targets": None
            if self.targets is None
            else {"kind": type(self.targets).__name__, **_shallow(self.targets)},
            "vocabulary": None if self.vocabulary is None else _shallow(self.vocabulary),
            "history": asdict(self.history),
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Build the model anew from its tree; what training changes is copied."""
        network = build_network(tree["architecture"])
        network.assign(tree["network"])
        targets = tree["targets"] and _targets(tree["targets"])
        vocabulary = tree["vocabulary"] and Vocabulary(**tree["vocabulary"])
        own = {"network": network, "targets": targets, "vocabulary": vocabulary}
        return cls(
            **tree
            | own
            | {"history": History(**tree["history"]), "rng": copy.deepcopy(tree["rng"])}
        )

    def resumed(
        self, architecture: dict[str, Any], solver: str, rng: np.random.Generator | None
    ) -> Self:
        """Copy the model to go on with; with `rng` it keeps nothing but the weights.

        Raises
        ------
        ValueError
            If the architecture is another; dropout may change.
        """
        for name, value in architecture.items():
            if name != "dropout" and value != self.architecture[name]:
                raise ValueError(
                    f"{name} must stay {self.architecture[name]!r} while training goes on, got {value!r}. "
                    "Fit a new estimator, or with warm_start=False."
                )
        tree = self.tree() | {"architecture": architecture, "solver": solver}
        if rng is not None:
            tree |= {"history": asdict(History()), "rng": None}
        if rng is not None or solver != self.solver:
            tree["moments"] = None
        model = self.from_tree(tree)
        model.rng = model.rng if rng is None else rng
        return model

    def make_solver(self, momentum: float, alpha: float) -> Solver | None:
        """Make the solver, going on from its moments if there are any; None for lbfgs."""
        from ..nn.solvers import make_solver

        if self.solver == "lbfgs":
            return None
        vector = self.network.parameters
        solver = make_solver(self.solver, len(vector), vector.dtype, momentum=momentum, alpha=alpha)
        if self.moments is not None:
            named = self.moments.items()
            solver.state = {
                key: self.network.flatten(value) if isinstance(value, dict) else value
                for key, value in named
            }
        return solver

    def keep_moments(self, solver: Solver | None) -> None:
        """Note where the solver stands."""
        if solver is None:
            self.moments = None
        else:
            named = self.network.named
            self.moments = {
                key: named(value) if isinstance(value, np.ndarray) else value
                for key, value in solver.state.items()
            }


def _shallow(instance: Any) -> dict[str, Any]:
    """Return a dataclass's fields by name, as they are."""
    return {field.name: getattr(instance, field.name) for field in fields(instance)}


def _targets(tree: dict[str, Any]) -> Targets:
    """Build targets anew from their tree."""
    kind: Targets = _KINDS[tree["kind"]](
        **{name: value for name, value in tree.items() if name != "kind"}
    )
    return kind
