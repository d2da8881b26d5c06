"""What `RNNClassifier` and `RNNRegressor` share: fitting, going on fitting, states.

A fit reads its data, trains a `Model`, and only then touches the estimator: whatever raises before leaves it as it was.
A subclass says what its targets, its loss and its score are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import cpu, devices
from ..base import TransformerMixin, check_is_fitted
from ..data.dataset import Data, like_fitted, read, read_validation, split
from ..data.ragged import Values, as_values, pool
from ..data.sample_weight import check_sample_weight
from ..data.samples import Samples
from ..data.sequences import Sequences, remember_features
from ..exceptions import ConvergenceWarning, warn
from ..training.history import History
from ..training.lbfgs import LBFGS_BATCH
from ..training.loop import train
from ..training.minibatches import Minibatches
from ..utils.checks import random_generator
from .arguments import checked
from .estimator import NetworkEstimator
from .model import Model, Targets, build_network

if TYPE_CHECKING:
    from ..losses import Loss
    from ..training.trainable import TrainableNetwork

_ARCHITECTURE = (
    "cell",
    "hidden_layer_sizes",
    "target",
    "bidirectional",
    "window",
    "dropout",
    "dtype",
)
Arguments = dict[str, Any]


class RecurrentEstimator(TransformerMixin, NetworkEstimator):
    """Base of the estimators; not for use by itself."""

    max_iter: int
    n_jobs: int | None
    random_state: Any
    _model: Model

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train on sequences and their targets.

        Parameters
        ----------
        X : list of array-like (T_i, F), ndarray (n, T, F), or table (n, T)
            Sequences of any lengths; the class's docstring lists every form.
        y : array-like (n,) or (n, k); with ``target="step"`` a list of (T_i,) or (T_i, k)
            Targets.
        sample_weight : array-like (n,), or with ``target="step"`` a list of (T_i,), optional
            Weights, not negative. Sequences of weight zero are left out.
        X_val, y_val : as X and y, optional
            Validation data: scored after each epoch, and what early stopping looks at instead of a held-out part of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an argument of the constructor, X, y or a weight is not as it must be, if the network is too large for
            memory, or if the loss stops being finite. The estimator is then as it was before the call.
        RuntimeError
            If `device` asks for a GPU that cannot be used, or whose memory does not suffice; so too.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` epochs went by before training converged (not with the cosine schedule, which ends there
            by design).
        """
        arguments = checked(self.get_params(deep=False))
        continues = arguments["warm_start"] and self.__sklearn_is_fitted__()
        data = read(self, arguments, (X, y, sample_weight), fitted=continues)
        self._check_samples(data.samples)
        held_out = read_validation(arguments, data, X_val, y_val)
        model = (
            self._resumed(arguments, data, warm=True) if continues else self._begun(arguments, data)
        )
        samples = data.samples
        if held_out is None and arguments["early_stopping"]:
            samples, held_out = split(data, arguments["validation_fraction"], model.rng)
        ended = self._train(arguments, model, samples, held_out, arguments["max_iter"])
        self._finish(model, None if continues else data.sequences)
        if not ended and (arguments["solver"] == "lbfgs" or arguments["learning_rate"] != "cosine"):
            message = f"Maximum iterations ({self.max_iter}) reached and the training hasn't converged yet."
            warn(ConvergenceWarning, message)
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """Train for one epoch, from where the last call left off."""
        arguments = checked(self.get_params(deep=False))
        if arguments["early_stopping"]:
            raise ValueError(
                "early_stopping must be False for partial_fit, got True. It sees one batch of data; use fit."
            )
        if arguments["solver"] == "lbfgs":
            raise ValueError(
                "solver must be 'adam', 'sgd' or 'rmsprop' for partial_fit, got 'lbfgs'. It needs all data; use fit."
            )
        continues = self.__sklearn_is_fitted__()
        targets = self._model.targets if continues else None
        data = read(
            self,
            arguments,
            (X, y, sample_weight),
            fitted=continues,
            targets=targets,
            classes=classes,
        )
        model = (
            self._resumed(arguments, data, warm=False)
            if continues
            else self._begun(arguments, data)
        )
        self._train(arguments, model, data.samples, None, 1)
        self._finish(model, None if continues else data.sequences)
        return self

    # -- the model ----------------------------------------------------------------------------------------------------

    def _architecture(self, arguments: Arguments, data: Data) -> Arguments:
        sizes = {
            "n_features": data.sequences.n_features,
            "n_outputs": data.targets.n_outputs,
            "n_tokens": 0,
        }
        if data.vocabulary is not None:
            sizes |= {"n_features": arguments["embedding_size"], "n_tokens": len(data.vocabulary)}
        return sizes | {name: arguments[name] for name in _ARCHITECTURE}

    def _begun(self, arguments: Arguments, data: Data) -> Model:
        """Make a model that has learned nothing yet."""
        architecture = self._architecture(arguments, data)
        longest = int(data.sequences.lengths.max())
        batch_size = LBFGS_BATCH if arguments["solver"] == "lbfgs" else arguments["batch_size"]
        rows = (
            min(batch_size, len(data.samples.items)),
            min(arguments["truncate"] or longest, longest),
        )
        network = build_network(architecture, rows)
        rng = random_generator(self.random_state)
        network.initialize(rng)
        return Model(
            architecture,
            network,
            data.targets,
            data.vocabulary,
            arguments["solver"],
            None,
            History(),
            rng,
        )

    def _resumed(self, arguments: Arguments, data: Data, *, warm: bool) -> Model:
        """Copy the fitted model to go on with; a warm start keeps nothing but the weights."""
        rng = random_generator(self.random_state) if warm else None
        _check_same_classes(self._model.targets, data.targets)
        model = self._model.resumed(self._architecture(arguments, data), arguments["solver"], rng)
        model.targets = data.targets
        self._fold(model, undo=True)
        return model

    def _train(
        self,
        arguments: Arguments,
        model: Model,
        samples: Samples,
        held_out: Samples | None,
        epochs: int,
    ) -> bool:
        """Run epochs on the model; return whether training ended by itself."""
        options = self._make_plan(arguments)
        loss = self._make_loss(model.targets)
        solver = model.make_solver(arguments["momentum"], arguments["alpha"])
        feed = Minibatches(
            samples, options.batch_size, options.shuffle, options.truncate, model.rng
        )
        work = devices.training_work(model.network, epochs * int(samples.lengths.sum()))
        with devices.placed(model.network, arguments["device"], work) as network:
            validate = (
                None
                if held_out is None
                else self._validator(network, loss, held_out, options.threads)
            )
            ended = train(
                network,
                loss,
                solver,
                options,
                feed,
                model.history,
                epochs=epochs,
                validate=validate,
            )
            model.device = network.device
        model.keep_moments(solver)
        return ended

    def _validator(
        self, network: TrainableNetwork, loss: Loss, held_out: Samples, threads: int
    ) -> Callable[[], float]:
        """Return the function that scores the network as it is."""
        targets, weights = pool(held_out.targets), pool(held_out.weights)

        def validate() -> float:
            outputs = pool(network.outputs(held_out.items, threads))
            return self._score_outputs(loss, outputs, targets, weights)

        return validate

    def _finish(self, model: Model, sequences: Sequences | None) -> None:
        """Make the model the estimator's own; X's form is noted from a first call's `sequences`."""
        self._fold(model)
        if sequences is not None:
            remember_features(self, sequences)
        self._adopt(model)
        self.n_outputs_ = model.targets.n_outputs
        self._n_features_out = model.architecture["hidden_layer_sizes"][-1] * (
            1 + model.architecture["bidirectional"]
        )

    # -- what a subclass decides --------------------------------------------------------------------------------------

    def _learn_targets(
        self, arguments: Arguments, y: Any, lengths: np.ndarray, weights: Values, classes: Any
    ) -> Targets:
        """Learn from y how to encode it."""
        raise NotImplementedError

    def _make_loss(self, targets: Targets) -> Loss:
        """Return what the network minimises."""
        raise NotImplementedError

    def _score_outputs(
        self, loss: Loss, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> float:
        """Score raw outputs against encoded targets, both pooled over steps."""
        raise NotImplementedError

    def _weigh(
        self, arguments: Arguments, targets: Targets, encoded: Values, weights: Values
    ) -> Values:
        """Return the weights in the loss."""
        return weights

    def _check_samples(self, samples: Samples) -> None:
        """Refuse data that a whole fit cannot learn from."""

    def _fold(self, model: Model, undo: bool = False) -> None:
        """Let the network give targets in the user's units, or back."""

    # -- using a fitted network ---------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> Values:
        """Return the raw outputs: (n, n_outputs), or a list of (T_i, n_outputs)."""
        check_is_fitted(self)
        sequences = like_fitted(self, X)
        with self._placed(int(sequences.lengths.sum())) as network:
            outputs: Values = network.outputs(sequences.items, cpu.threads.usable(self.n_jobs))
        return outputs

    def _scored(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return predictions, truth and weights, pooled over steps."""
        predicted: Any = self.predict(X)
        step = isinstance(predicted, list)
        lengths = np.array(
            [len(rows) for rows in predicted] if step else np.ones(len(predicted), np.int64)
        )
        weights = check_sample_weight(sample_weight, lengths, step)
        return pool(predicted), as_values(y, lengths, step), pool(weights)

    def _answers(self) -> dict[str, tuple[Any, Any]]:
        return {"predict": (self._model.targets.decode, self._model.targets.decode_row)}

    def predict(self, X: Any) -> Any:
        """Return predictions in y's form."""
        raise NotImplementedError

    def transform(self, X: Any) -> Any:
        """Return what the last hidden layer holds: a representation of each sequence, or of each step.

        Parameters
        ----------
        X : as in `fit`
            Sequences.

        Returns
        -------
        ndarray (n, D), or with ``target="step"`` a list of ndarray (T_i, D)
            The final state, or the state after each step, in the network's dtype. D is the number of units of the
            last layer, twice that if bidirectional: forward first, then backward.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        check_is_fitted(self)
        sequences = like_fitted(self, X)
        with self._placed(int(sequences.lengths.sum())) as network:
            states = network.states(sequences.items, cpu.threads.usable(self.n_jobs))
        return self._contained(states, X)


def _check_same_classes(old: Targets, new: Targets) -> None:
    """Refuse to go on with other labels."""
    before, now = getattr(old, "classes_", ()), getattr(new, "classes_", ())
    if type(old) is not type(new) or not np.array_equal(before, now):
        raise ValueError(
            "warm_start can only be used where y has the same classes as in the previous call to fit. "
            f"Previously got {before}, y has {now}. Fit with warm_start=False."
        )
