"""The state of a fitted estimator, in one place, and its form as a tree of plain values.

Pickling and saving use the tree. Its arrays are the named ones without padding, so it does not
depend on the machine.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import cpu
from ..data.base_targets import Targets
from ..data.form import Form
from ..data.labels import ClassTargets, MultilabelTargets
from ..data.targets import RealTargets
from ..data.tokens import Vocabulary
from ..training.history import History
from ..utils.checks import random_generator
from ..utils.memory import free_memory, memory
from ..utils.standardization import Standardization
from .continuing import refuse_change

if TYPE_CHECKING:
    from ..nn.network import Network
    from ..nn.solvers import Solver

_KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in (ClassTargets, MultilabelTargets, RealTargets)
}
_LOSS = ("loss", "delta", "quantile")
# Steps over which gates with a bias of 1 learn to remember: a cue over 40 steps was recalled by all
# of six nets, one over 80 by one of them. Where nothing lies that far back they learn in fewer
# epochs than gates that start at the length of the sequences.
_LONG = 50
# Bytes of a batch from which it counts how much memory is free: to read that takes .2 ms.
_SMALL = 1 << 26


def build_network(
    architecture: dict[str, Any],
    largest_batch: tuple[int, int] = (1, 1),
    n_jobs: int | None = None,
    device: str = "cpu",
) -> Network:
    """Return a network, unless it cannot fit into the memory of this machine.

    Parameters
    ----------
    architecture : dict
        Arguments of `Network`.
    largest_batch : tuple of int, default=(1, 1)
        Sequences of the largest minibatch, and steps of them all.
    n_jobs : int, default=None
        Threads that train it.
    device : str, default="cpu"
        Where it is trained. Of a GPU's memory the GPU itself says what does not fit.

    Returns
    -------
    Network
        Its weights are not set yet.

    Raises
    ------
    ValueError
        If training it would take more memory than there is.
    """
    cpu.once.imported("lightrnn.nn.network")  # by which Numba is imported
    from ..nn.network import Network

    network = Network(**architecture)
    network.threads = cpu.threads.usable(n_jobs)
    if device.startswith("cuda"):
        largest_batch = 1, 1
    # In segments, if need be: that depends on what others leave of the memory.
    network.available = available_memory(network.bytes_needed(*largest_batch))
    needed = network.bytes_needed(*largest_batch)
    if needed > memory():
        B, steps = largest_batch
        other = " or embedding_size" if network.embedding else " or patch"
        raise ValueError(
            "hidden_layer_sizes must make a network that fits into memory, got "
            f"{architecture['hidden_layer_sizes']}: {network.n_parameters:,} parameters, "
            f"{needed / 2**30:,.1f} GiB to train on {B} sequences of {steps:,} steps in all, "
            f"where {memory() / 2**30:,.1f} GiB are. Lower hidden_layer_sizes, batch_size{other}."
        )
    return network


def available_memory(needed: float) -> int:
    """Return the bytes that training may use now, or all of the memory where little is `needed`."""
    return memory() if needed < _SMALL else min(memory(), free_memory())


@dataclass(eq=False, repr=False)
class Model:
    """A network and everything needed to use it and to continue its training.

    An estimator that has one is fitted. Nothing changes a model that an estimator has taken over:
    further training works on a copy. So a method that reads the estimator's model once computes
    from one fit, whatever another thread does meanwhile.

    Attributes
    ----------
    architecture : dict
        Arguments of `Network`.
    network : Network
        The outputs of a regressor's are standardised: `targets` puts them in the units of y.
    targets : ClassTargets, MultilabelTargets, RealTargets or None
        Converts between y and the network's outputs; None for a language model.
    vocabulary : Vocabulary or None
        Converts between tokens and codes; None for numbers.
    solver : str
        Its name.
    moments : dict or None
        State of the solver; None for lbfgs, or before training.
    history : History
        Losses, scores, and the state of schedule and stopping rule.
    rng : Generator
        Source of shuffling and dropout masks.
    device : str
        Device on which the network was trained.
    form : Form or None
        Names and number of the features of X, and what the network reads of it; None for a
        language model.
    loss : dict
        The arguments that chose a regressor's loss: see `loss_arguments`.
    standardization : Standardization or None
        What is done to the columns of a step before the network reads them, values of features
        first; None: nothing.
    """

    architecture: dict[str, Any]
    network: Network
    solver: str
    rng: np.random.Generator
    targets: Any = None
    vocabulary: Vocabulary | None = None
    moments: dict[str, Any] | None = None
    history: History = field(default_factory=History)
    device: str = "cpu"
    form: Form | None = None
    loss: dict[str, Any] = field(default_factory=dict)
    standardization: Standardization | None = None

    def __post_init__(self) -> None:
        """Let the network standardise what it reads."""
        self._standardize_inputs()

    def _standardize_inputs(self) -> None:
        """Give the network the standardisation of its inputs."""
        standardization = self.standardization
        if self.form is not None:
            standardization = self.form.of_inputs(standardization)
        self.network.standardization = standardization

    @classmethod
    def untrained(
        cls,
        arguments: Mapping[str, Any],
        architecture: dict[str, Any],
        largest_batch: tuple[int, int],
        lengths: np.ndarray,
        **data: Any,
    ) -> Self:
        """Return a model with initial weights; `data` are its targets, vocabulary and form.

        Each sequence to learn from has one of the `lengths`, as the network reads it.

        Raises
        ------
        ValueError
            As `build_network`; `random_state` has then not been drawn from.
        """
        placement = arguments["n_jobs"], arguments["device"]
        network = build_network(architecture, largest_batch, *placement)
        rng = random_generator(arguments["random_state"])
        forget_bias = arguments["forget_bias"]
        if forget_bias == "auto":
            remembers = architecture["target"] == "sequence" and np.median(lengths) > _LONG
            forget_bias = "chrono" if remembers else 1.0
        network.initialize(rng, forget_bias, int(lengths.max()))
        return cls(architecture, network, solver=arguments["solver"], rng=rng, **data)

    def results(self) -> dict[str, Any]:
        """Return the public attributes of an estimator that has this model."""
        history = self.history
        targets = self.targets
        results = {
            "n_iter_": history.epochs,
            "stop_reason_": history.stop_reason,
            "best_epoch_": history.best_epoch,
            # Copies, so that what the user does to them leaves the next `partial_fit` alone.
            "loss_curve_": list(history.losses),
            "best_loss_": min(history.losses, default=math.inf),
            "validation_scores_": list(history.scores) or None,
            "n_parameters_": self.network.n_parameters,
            "tokens_": "number" if self.vocabulary is None else self.vocabulary.kind,
            "vocabulary_": None if self.vocabulary is None else self.vocabulary.tokens,
            "device_": self.device,
        }
        if targets is not None:
            results["n_outputs_"] = targets.n_outputs
            results["patch_"] = 1 if self.form is None else self.form.patch
            standardization = self.standardization
            # Copies: what the user does to them must not reach the network.
            F = None if self.form is None else self.form.step_features
            for name in ("mean", "scale"):
                found: Any = standardization and getattr(standardization, name)[:F].copy()
                results[f"X_{name}_"] = found
        if hasattr(targets, "classes_"):
            results["classes_"] = targets.classes_
        return results if self.form is None else results | self.form.attributes()

    def tree(self) -> dict[str, Any]:
        """Return everything as plain values."""
        tree = shallow(self)
        for name in ("targets", "vocabulary", "history", "form", "standardization"):
            tree[name] = tree[name] and shallow(tree[name])
        if self.targets is not None:
            tree["targets"]["kind"] = type(self.targets).__name__
        named = self.network.named
        tree["moments"] = self.moments and {
            key: named(value) if isinstance(value, np.ndarray) else value
            for key, value in self.moments.items()
        }
        return tree | {"network": self.network.arrays()}

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the model of a tree; what training changes is copied."""
        network = build_network(tree["architecture"])
        network.assign(tree["network"])
        standardization = tree["standardization"]
        built = {
            "network": network,
            "moments": tree["moments"]
            and {
                key: network.flatten(value) if isinstance(value, dict) else value
                for key, value in tree["moments"].items()
            },
            "targets": tree["targets"] and targets_from_tree(tree["targets"]),
            "vocabulary": tree["vocabulary"] and Vocabulary(**tree["vocabulary"]),
            "history": History(**tree["history"]),
            "rng": copy.deepcopy(tree["rng"]),
            "form": tree["form"] and Form(**tree["form"]),
            "standardization": standardization and Standardization.of(**standardization),
        }
        return cls(**tree | built)

    def resumed(
        self,
        arguments: Mapping[str, Any],
        architecture: dict[str, Any],
        largest_batch: tuple[int, int],
        *,
        warm: bool,
    ) -> Self:
        """Return a copy of the model to continue with; with `warm` it keeps only the weights.

        Raises
        ------
        ValueError
            If the architecture is another, as only dropout may change; and as `build_network`.
        """
        # Every other argument decides which parameters there are, or what they mean.
        for name, value in architecture.items():
            if name != "dropout":
                refuse_change(name, self.architecture[name], value)
        # What training changes is copied, so that an exception in it leaves the old model alone.
        placement = arguments["n_jobs"], arguments["device"]
        network = build_network(architecture, largest_batch, *placement)
        network.parameters[:] = self.network.parameters
        solver = arguments["solver"]
        model = replace(self, architecture=architecture, network=network, solver=solver)
        model.history = History() if warm else self.history.continued()
        # A Generator given as random_state is used itself and moves on.
        model.rng = random_generator(arguments["random_state"]) if warm else copy.deepcopy(self.rng)
        # Moments of another solver mean something else.
        if warm or solver != self.solver:
            model.moments = None
        return model

    def standardize(self, standardization: Standardization | None, *, merge: bool) -> None:
        """Set the standardisation of X, or with `merge` let more data add to it.

        A model that was trained on numbers as they are goes on with numbers as they are, and that
        of a whole fit keeps its own: its weight is infinite.
        """
        if self.standardization is None or standardization is None:
            return
        if merge:
            standardization = self.standardization.merged(standardization)
        self.standardization = standardization
        self._standardize_inputs()

    def make_solver(self, momentum: float, alpha: float) -> Solver | None:
        """Return the solver, with its moments if there are any; None for lbfgs."""
        with cpu.once.MAKING:
            from ..nn.solvers import make_solver

        # L-BFGS begins every call anew: it keeps no state to continue from.
        if self.solver == "lbfgs":
            return None
        vector = self.network.parameters
        solver = make_solver(self.solver, len(vector), vector.dtype, momentum=momentum, alpha=alpha)
        solver.state |= copy.deepcopy(self.moments or {})
        return solver


def loss_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of an estimator's arguments that choose its loss; only a regressor has some."""
    return {name: arguments[name] for name in _LOSS if name in arguments}


def shallow(instance: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name, as they are."""
    return {field.name: getattr(instance, field.name) for field in fields(instance)}


def targets_from_tree(tree: dict[str, Any]) -> Targets:
    """Return the targets of a tree."""
    values = dict(tree)
    kind = _KINDS[values.pop("kind")]
    if kind is RealTargets and "folded" not in values:
        # A file of an earlier version, whose predictions stay the same bits.
        mean, scale = values["mean"], values["scale"]
        identity = {"mean": np.zeros_like(mean), "scale": np.ones_like(scale)}
        values |= identity | {"folded": np.array([mean, scale])}
    targets: Targets = kind(**values)
    return targets
