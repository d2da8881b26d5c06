"""`RNNClassifier`: labels for sequences or for their steps."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..data.dataset import TargetsFrom
from ..data.labels import read_labels
from ..data.ragged import Values, arranged_like, contained_like, pool
from ..utils.availability import available_if
from ..utils.checks import shown
from .declarations import CLASS_WEIGHT, argument
from .documentation import documented
from .estimator import Arguments
from .model import Model
from .supervised import SupervisedEstimator, check_takes_parts


@documented
@dataclass(kw_only=True, repr=False, eq=False)
class RNNClassifier(SupervisedEstimator):
    """Classify sequences, or every step of them, with a recurrent network.

    X is a list of sequences of any lengths, each an array or DataFrame (T_i, F), or (T_i,) for one
    feature, or frames (T_i, h, w[, c]); or an array (n, T, F); or a table (n, T) of n one-feature
    sequences. NaN at the end of a sequence in an array or a table are no steps of it: so files
    like those of the UCR archive hold sequences of different lengths. A DataFrame with the index
    (instance, time) has one sequence per instance; tensors and packed sequences of PyTorch are
    read, too. y holds labels of any kind, (n,), or 0/1 indicators (n, k) for several labels at once
    (multilabel). One-hot rows are indicators, too; where classes exclude each other, give
    ``y.argmax(axis=1)``. With ``target="step"`` y is a list of labels (T_i,) or of indicators
    (T_i, k).

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted; for multilabel y the numbers of its columns.
    {data_attributes}
    {attributes}

    References
    ----------
    {references}
    {supervised_references}

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) for length in (3, 8, 5, 6)]
    >>> y = ["up", "down", "up", "down"]
    >>> model = RNNClassifier("gru", (8,), random_state=0)
    >>> model.fit(X, y).predict(X[:2]).tolist()
    ['up', 'down']
    """

    class_weight: Any = argument(
        None,
        CLASS_WEIGHT,
        """Weights by class. "balanced" gives every class the same total weight, counted over all
        steps. Classes that a dict does not name have the weight 1. `partial_fit`, which does not
        see all data, takes a dict only.""",
    )

    _kind = "classifier"

    @available_if(check_takes_parts)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Train for one epoch on a part of the data, from where the last call left off.

        Parameters
        ----------
        X, y : as in `fit`
            Sequences and labels.
        classes : array-like, default=None
            All labels that will ever occur, for the first call; None takes those in y. Later calls
            need not repeat it.
        sample_weight : as in `fit`, default=None
            Weights, which are not divided by their mean: a weight of 2 doubles a gradient.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError
            As `fit`, and if y has an unknown label, with ``early_stopping=True``,
            ``solver="lbfgs"``, or ``class_weight="balanced"``, which needs all data.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNClassifier
        >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
        >>> model = RNNClassifier("rnn", (4,), random_state=0)
        >>> model.partial_fit(X, ["a", "b"], classes=["a", "b", "c"]).n_outputs_
        3
        """
        if classes is not None and self.__sklearn_is_fitted__():
            known = self._fitted().targets.classes_
            if not np.array_equal(np.unique(classes), known):
                raise ValueError(
                    f"classes must stay {shown(known.tolist())} after the first call to "
                    f"partial_fit, got {shown(classes)}. Leave it out."
                )
        return self._partial_fit(X, y, sample_weight, classes)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : as in `fit`
            Sequences.

        Returns
        -------
        probabilities : ndarray (n, n_outputs_), or with ``target="step"`` list of (T_i, n_outputs_)
            Columns in the order of `classes_`. Rows sum to 1, except for multilabel y, where each
            label has its own probability.

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
        >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
        >>> model = RNNClassifier("rnn", (4,), max_iter=2, random_state=0)
        >>> model.fit(X, ["a", "b"]).predict_proba(X).sum(axis=1).round(6).tolist()
        [1.0, 1.0]
        """
        return contained_like(self._probabilities(X), X)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : as in `fit`
            Sequences.

        Returns
        -------
        log_probabilities : as `predict_proba` returns them
            Logarithms; -inf where a probability is 0.

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
        >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
        >>> model = RNNClassifier("rnn", (4,), max_iter=2, random_state=0)
        >>> logarithms = model.fit(X, ["a", "b"]).predict_log_proba(X)
        >>> bool(np.allclose(np.exp(logarithms), model.predict_proba(X)))
        True
        """
        probabilities = self._probabilities(X)
        with np.errstate(divide="ignore"):  # log(0) is -inf, and meant to be
            logarithms = np.log(pool(probabilities))
        return contained_like(arranged_like(logarithms, probabilities), X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, over all steps with ``target="step"``.

        A row of multilabel y counts as right if all its labels are.

        Parameters
        ----------
        X, y : as in `fit`
            Sequences and true labels.
        sample_weight : as in `fit`, default=None
            Weights.

        Returns
        -------
        score : float in [0, 1]
            Weighted share of right predictions.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X, y or a weight does not have the form that it had in `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNClassifier
        >>> X = [np.ones((3, 1)), -np.ones((5, 1))] * 5
        >>> model = RNNClassifier("rnn", (4,), random_state=0)
        >>> model.fit(X, [1, 0] * 5).score(X, [1, 0] * 5)
        1.0
        """
        return self._scored(X, y, sample_weight)

    def _probabilities(self, X: Any) -> Values:
        """Return the probability of each class, (n, k) or a list of (T_i, k)."""
        model = self._fitted()
        rows, form = self._outputs(model, X)
        return arranged_like(model.targets.loss().link(rows), form)

    def _targets_from(
        self, arguments: Arguments, classes: Any = None, *, partial: bool = False
    ) -> TargetsFrom:
        step = arguments["target"] == "step"
        return lambda y, lengths, weights: read_labels(y, lengths, step=step, classes=classes)

    # One row is given an axis, because a link works row by row.
    def _stream_methods(self, model: Model) -> dict[str, tuple[Any, Any]]:
        link = model.targets.loss().link
        return super()._stream_methods(model) | {
            "predict_proba": (link, lambda output: link(output[None])[0])
        }
