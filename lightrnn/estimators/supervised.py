"""`SupervisedEstimator`, the base of `RNNClassifier` and `RNNRegressor`: fitting and hidden states.

A fit reads its data and trains a `Model`; only then it changes the estimator, so an exception
leaves the estimator as it was. What depends on y is left to the targets (`data/targets.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np

from ..base import TransformerMixin
from ..data.dataset import (
    Data,
    HeldOut,
    Inputs,
    TargetsFrom,
    read,
    read_inputs,
    read_validation,
    split,
)
from ..data.patches import count_patches
from ..data.ragged import Values, arranged_like, contained_like, pool
from ..data.sample_weight import check_sample_weight, of_mean_one
from ..data.samples import Samples
from ..data.sequences import Sequences
from ..data.tokens import as_items, encoded
from ..nn.groups import largest_batch
from ..training.history import warn_of_the_end
from ..training.lbfgs import LBFGS_BATCH
from ..training.minibatches import Minibatches
from ..utils.availability import UnavailableError
from .arguments import ARCHITECTURE, SupervisedArguments
from .automatic import chosen_batch_size, chosen_structure, chosen_token_dropout
from .continuing import check_same_classes, refuse_other_form
from .estimator import Arguments, NetworkEstimator
from .model import Model, loss_arguments
from .rules import check_together
from .scoring import make_score


# The order of the base classes puts the arguments of training behind those of the network.
def check_takes_parts(estimator: Any) -> None:
    """Refuse `partial_fit` where the solver needs all data at once."""
    if getattr(estimator, "solver", None) == "lbfgs":
        raise UnavailableError(
            "solver must be 'adam', 'sgd' or 'rmsprop' for partial_fit, got 'lbfgs'. "
            "It needs all data; use fit."
        )


class SupervisedEstimator(TransformerMixin, NetworkEstimator, SupervisedArguments):
    """Base class of the estimators that are fitted to y; not for use by itself."""

    # -- fitting ----------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train on sequences and their targets.

        Parameters
        ----------
        X : list of array-like (T_i, F), array-like (n, T, F), or table (n, T)
            Sequences of any lengths; the docstring of the class lists every form. NaN end the rows
            of an array or a table.
        y : array-like (n,) or (n, k); with ``target="step"`` list of (T_i,) or (T_i, k)
            Targets.
        sample_weight : array-like (n,), or list of array-like (T_i,), default=None
            Weights, at least 0; sequences of weight 0 are left out. Only their ratios count. One
            weight per step is for ``target="step"``. None: equal weights.
        X_val, y_val : as X and y, default=None
            Validation data, scored after each epoch as `scoring` says. Early stopping uses them
            instead of a held-out part of X.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If an argument of the constructor, X, y or a weight is invalid, if the network is too
            large for memory, or if the loss stops being finite. The estimator is then as it was
            before the call.
        RuntimeError
            If `device` names a GPU that cannot be used or whose memory does not suffice. The
            estimator is then as it was before the call.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` epochs went by before training converged, unless the cosine schedule
            ended there by design; if the gradient explodes; if nothing is learned: after a tenth of
            the epochs (ten at least), or in the end, predicting without X has no greater loss.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = [np.ones((3, 2)), np.zeros((5, 2)), np.ones((4, 2))]
        >>> model = RNNRegressor("rnn", (4,), max_iter=2, random_state=0)
        >>> model.fit(X, [1.0, 2.0, 1.5]).n_iter_
        2
        """
        arguments = self._checked()
        before = vars(self).get("_model") if arguments["warm_start"] else None
        inputs = self._read_inputs(arguments, X, before)
        data = read(arguments, inputs, y, sample_weight, self._targets_from(arguments))
        arguments |= chosen_batch_size(arguments, len(data.samples.lengths))
        # Only for a whole fit: a part of the data may have a single class.
        data.targets.require_enough(data.samples.targets, data.samples.weights)
        held_out = read_validation(type(self).__name__, arguments, data, X_val, y_val)
        model = self._model_for(arguments, data, before, warm=True)
        samples = data.samples
        holds_out = arguments["early_stopping"] or arguments.get("calibrate", False)
        if held_out is None and holds_out:
            samples, held_out = split(data, X, y, arguments["validation_fraction"], model.rng)
        samples = replace(samples, weights=of_mean_one(samples.weights))
        self._fit_model(arguments, model, samples, held_out, arguments["max_iter"])
        self._adopt(model)
        if model.history.stop_reason == "max_iter":
            warn_of_the_end(**arguments)
        return self

    def _partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Any = None,
    ) -> Self:
        """Train for one epoch, from where the last call left off."""
        arguments = self._checked()
        if arguments["early_stopping"]:
            raise ValueError(
                "early_stopping must be False for partial_fit, got True. "
                "It sees one batch of data; use fit."
            )
        if arguments.get("calibrate"):
            raise ValueError(
                "calibrate must be False for partial_fit, got True. It holds data out; use fit."
            )
        if arguments.get("class_weight") == "balanced":
            raise ValueError(
                "class_weight must be None or a dict for partial_fit, got 'balanced'. One part of "
                "the data does not show how frequent the classes are; compute the weights once: "
                "class_weight=dict(zip(classes, compute_class_weight('balanced', classes=classes, "
                "y=y))), with sklearn.utils.class_weight.compute_class_weight."
            )
        before = vars(self).get("_model")
        inputs = self._read_inputs(arguments, X, before)
        # Classes are fixed by the first call; mean and scale follow the y of all calls.
        if before is None:
            targets_from = self._targets_from(arguments, classes, partial=True)
        else:
            targets_from = before.targets.follow
        data = read(arguments, inputs, y, sample_weight, targets_from, whole=False)
        arguments |= chosen_batch_size(arguments, len(data.samples.lengths))
        model = self._model_for(arguments, data, before, warm=False)
        self._fit_model(arguments, model, data.samples, None, 1)
        self._adopt(model)
        return self

    def _checked(self) -> Arguments:
        arguments = super()._checked()
        check_together(**arguments)
        return arguments

    def _targets_from(
        self, arguments: Arguments, classes: Any = None, *, partial: bool = False
    ) -> TargetsFrom:
        """Return the function that learns targets from y, with `partial` from the first of many."""
        raise NotImplementedError

    def _read_inputs(self, arguments: Arguments, X: Any, before: Model | None) -> Inputs:
        """Read X: like that of the last fit, if this one continues its model."""
        if before is None:
            return read_inputs(arguments, X)
        refuse_other_form(before.form, arguments)
        return Inputs(self._read_steps(before, X), before.form, before.vocabulary)

    def _read_steps(self, model: Model, X: Any) -> Sequences:
        """Read X for a fitted model: numbers of the same features, or the same tokens."""
        vocabulary = model.vocabulary
        if vocabulary is None:
            form: Any = model.form
            return form.read(type(self).__name__, X, model.network.dtype)
        return encoded(as_items(X, vocabulary.kind), vocabulary)

    def _read_sequences(self, model: Model, X: Any) -> list[Any]:
        """Read X for a fitted model, as the network reads it."""
        form: Any = model.form
        return form.encoded(self._read_steps(model, X)).items

    # -- the model --------------------------------------------------------------------------------

    def _architecture(
        self,
        arguments: Arguments,
        n_outputs: int,
        n_features: int = 0,
        n_tokens: int = 0,
        patch: int = 1,
    ) -> Arguments:
        """Return the arguments of `Network`; tokens are read by their embedding."""
        return {
            "n_features": arguments["embedding_size"] if n_tokens else n_features,
            "n_outputs": n_outputs,
            "n_tokens": n_tokens,
            **{name: arguments[name] for name in ARCHITECTURE},
            **chosen_structure(arguments, patch, n_tokens),
        }

    def _model_for(
        self,
        arguments: Arguments,
        data: Data,
        before: Model | None,
        *,
        warm: bool,
    ) -> Model:
        """Return a model to train: a new one, or a copy of the one `before`.

        With `warm` the copy keeps nothing but the weights.
        """
        form = data.form
        vocabulary = data.vocabulary
        architecture = self._architecture(
            arguments,
            data.targets.n_outputs,
            form.input_features,
            len(vocabulary or ()),
            form.patch,
        )
        lengths = data.samples.lengths
        # Of one target per sequence truncation cuts the gradient alone: all steps are run at once.
        if arguments["truncate"] and arguments["target"] == "step":
            lengths = np.minimum(lengths, arguments["truncate"])
        batch_size = LBFGS_BATCH if arguments["solver"] == "lbfgs" else arguments["batch_size"]
        largest = largest_batch(lengths, batch_size)
        if before is not None:
            check_same_classes(before.targets, data.targets)
            model = before.resumed(arguments, architecture, largest, warm=warm)
            # A fit brings targets of its own. In `partial_fit` the same ones go on, but those of an
            # earlier version's file.
            if warm or getattr(before.targets, "folded", None) is not None:
                data.targets.take_over(model.network, before.targets)
            model.targets = data.targets
            model.standardize(data.standardization, merge=not warm)
            return model
        return Model.untrained(
            arguments,
            architecture,
            largest,
            data.samples.lengths,
            vocabulary=vocabulary,
            targets=data.targets,
            form=form,
            standardization=data.standardization,
        )

    def _fit_model(
        self,
        arguments: Arguments,
        model: Model,
        samples: Samples,
        held_out: HeldOut | None,
        epochs: int,
    ) -> None:
        """Run epochs on the model."""
        model.loss = loss_arguments(arguments)
        loss = model.targets.loss(**model.loss)
        form: Any = model.form
        batches = Minibatches(
            samples,
            arguments["batch_size"],
            arguments["shuffle"],
            # It counts steps, of which the network reads whole patches.
            arguments["truncate"] and int(count_patches(arguments["truncate"], form.patch)),
            model.rng,
            chosen_token_dropout(arguments, len(model.vocabulary or ())),
        )
        score = None
        if held_out is not None:
            score = make_score(self, arguments, model, loss, held_out)
        n_steps = int(samples.lengths.sum())
        self._train(arguments, model, loss, batches, epochs=epochs, n_steps=n_steps, score=score)

    # -- using a fitted network -------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:  # type: ignore[override]
        """The number of columns of `transform`."""
        return self._fitted().network.widths[-1]

    def _outputs(self, model: Model, X: Any, what: str = "outputs") -> tuple[np.ndarray, Values]:
        """Return the raw outputs, or "states", of X twice: see `_computed`."""
        return self._computed(model, self._read_sequences(model, X), what)

    def _decoded(self, model: Model, rows: np.ndarray, form: Values) -> np.ndarray:
        """Return predictions for raw outputs (N, k), which are also given by sequence."""
        predicted: np.ndarray = model.targets.decode(rows)
        return predicted

    def _scored(self, X: Any, y: Any, sample_weight: Any) -> float:
        """Return the score of predictions, pooled over steps."""
        model = self._fitted()
        rows, form = self._outputs(model, X)
        step = model.targets.step
        counts = [len(part) for part in form] if step else [1] * len(form)
        lengths = np.array(counts, np.int64)
        weights = of_mean_one(check_sample_weight(sample_weight, lengths, step))
        truth = model.targets.truth(y, lengths)
        score: float = model.targets.compare(truth, self._decoded(model, rows, form), pool(weights))
        return score

    def _stream_methods(self, model: Model) -> dict[str, tuple[Any, Any]]:
        return {"predict": (model.targets.decode, model.targets.decode_row)}

    def predict(self, X: Any) -> Any:
        """Return the prediction for each sequence or step.

        Parameters
        ----------
        X : as in `fit`
            Sequences.

        Returns
        -------
        predictions : ndarray (n,) or (n, k), or with ``target="step"`` list of (T_i,) or (T_i, k)
            In the form of y; for steps an object array if X is one. A classifier returns the most
            probable labels, or 0/1 indicators. A regressor returns numbers in the units of y:
            float32 if y was float32, else float64; of several quantiles there is a column each,
            for a y of several columns (n, k, q).

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X does not have the form that it had in `fit`, or if the network overflows on it.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNClassifier
        >>> X = [np.ones((3, 1)), -np.ones((5, 1))] * 5
        >>> model = RNNClassifier("rnn", (4,), random_state=0)
        >>> model.fit(X, ["up", "down"] * 5).predict(X[:2]).tolist()
        ['up', 'down']
        """
        model = self._fitted()
        rows, form = self._outputs(model, X)
        return contained_like(arranged_like(self._decoded(model, rows, form), form), X)

    def transform(self, X: Any) -> Any:
        """Return the state of the last hidden layer: a representation of each sequence or step.

        Parameters
        ----------
        X : as in `fit`
            Sequences.

        Returns
        -------
        states : ndarray (n, D), or with ``target="step"`` list of ndarray (T_i, D)
            The final state, or the state after each step, in the network's dtype. D is the number
            of units of the last layer; for a bidirectional network it is twice that, the forward
            direction first.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X does not have the form that it had in `fit`, or if the network overflows on it.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> X = [np.ones((3, 2)), np.zeros((5, 2)), np.ones((4, 2))]
        >>> model = RNNRegressor("rnn", (4,), max_iter=2, random_state=0)
        >>> model.fit(X, [1.0, 2.0, 1.5]).transform(X).shape
        (3, 4)
        """
        _, states = self._outputs(self._fitted(), X, "states")
        return self._contained(contained_like(states, X), X)
