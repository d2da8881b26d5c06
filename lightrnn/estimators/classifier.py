"""`RNNClassifier`: labels for sequences or for their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..data.labels import class_targets
from ..data.ragged import Values
from ..data.sample_weight import class_weights, require_two_classes
from ..metrics import accuracy
from ..utils.checks import shown
from .model import Model, Targets
from .supervised import Arguments, RecurrentEstimator

if TYPE_CHECKING:
    from ..data.samples import Samples
    from ..data.sequences import Sequences
    from ..losses import Loss


class RNNClassifier(RecurrentEstimator):
    """Classify sequences, or every step of them, with a recurrent network.

    X is a list of sequences of any lengths, each an array or DataFrame (T_i, F), or (T_i,) for one feature, or frames
    (T_i, h, w[, c]); or an array (n, T, F); or a table (n, T) of n one-feature sequences. y holds labels of any kind,
    or 0/1 indicators (n, k): several labels at once. With target="step" y is a list of (T_i,) labels or (T_i, k)
    indicators.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn", "ffnn"}
        LSTM [1]_, GRU [2]_, Elman's network [3]_, or a feed-forward net over the last `window` steps, without memory.
    hidden_layer_sizes : tuple of int
        Units of each layer, first layer first; each at least 1.
    target : {"sequence", "step"}
        One target a sequence, read from the final state (forward's last joined with backward's first), or one a step.
    bidirectional : bool
        Read from both ends. Not for the ffnn.
    window : int >= 1
        Steps that the ffnn's first layer sees, the current one last; zeros stand before the start.
    tokens : {"auto", "char", "word", "category", "number"}
        What a step of X is. "auto": numbers are numbers, a list of str is categories, one a step, and a plain str is
        its characters. "word": a plain str is words and punctuation. "category": integers or str, one a step.
    embedding_size : int >= 1
        Numbers that stand for a token; they are learned with the rest.
    min_count : int >= 1
        Tokens that occur less often in `fit` count as unknown.
    max_vocabulary : int >= 1 or None
        Keep at most so many tokens, the most frequent ones.
    dropout : float in [0, 1)
        Share of every layer's outputs switched off in training, one mask a sequence [4]_.
    solver : {"adam", "sgd", "rmsprop", "lbfgs"}
        sgd has Nesterov's momentum. lbfgs takes all sequences at once and ignores the arguments of minibatches,
        clipping and schedule; it excludes dropout and truncate.
    learning_rate : {"constant", "cosine", "adaptive"}
        "cosine" falls to zero over `max_iter` epochs; "adaptive" is divided by 5, at most four times, when training
        would otherwise stop.
    learning_rate_init : float > 0
        Step size at the start.
    momentum : float in [0, 1)
        Of sgd.
    alpha : float >= 0
        Weight decay, decoupled from the gradient [5]_; for lbfgs the penalty alpha / 2 * |weights|^2.
    batch_size : int >= 1
        Sequences in a minibatch; those of similar length go together.
    max_iter : int >= 1
        The most epochs (lbfgs: iterations).
    truncate : int >= 1 or None
        Train on chunks of so many steps: the state goes from one to the next, the gradient does not. With
        target="sequence" the gradient reaches the last so many steps. None: the gradient goes back to the start.
    clip_norm : float > 0 or None
        Longer gradients are scaled down to this norm [6]_.
    shuffle : bool
        Draw new minibatches for each epoch.
    tol : float >= 0
        What the loss (with early stopping the validation score) must gain to count as an improvement.
    n_iter_no_change : int >= 1
        Training ends after so many epochs without improvement.
    early_stopping : bool
        Hold out sequences (or use X_val), stop when their score no longer improves, restore the best weights.
    validation_fraction : float in (0, 1)
        Share of sequences to hold out, by class where possible.
    class_weight : None, "balanced" or dict
        Factor for each label; "balanced" gives every class the same total, counted over steps.
    warm_start : bool
        Let `fit` start from the weights of the last fit. The solver starts anew.
    device : {"cpu", "cuda", "cuda:1", ..., "auto"}
        Where to compute: a GPU needs an NVIDIA driver and ``pip install "lightrnn[cuda12]"`` or ``[cuda13]``. "auto"
        takes the first GPU if there is one and there is much to do, more than some seconds for two CPU cores. A fitted
        model predicts on either: set ``set_params(device="cpu")`` where there is no GPU.
    dtype : {"float32", "float64"}
        Precision of the network and of what it returns.
    n_jobs : int or None
        Threads: None for all CPUs of this process (one inside a joblib or multiprocessing worker), -1 for all. It
        changes no bit of a result.
    random_state : None, int, RandomState or Generator
        Draws initial weights, validation split, minibatches and dropout masks.
    verbose : int >= 0
        Show progress.
    callbacks : callable, list of callables or None
        Called as f(record) after each epoch, see `lightrnn.training.Epoch`; a true result ends training.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted; for multilabel y the columns' numbers.
    n_features_in_ : int
        Features of a step; after a fit on a table its number of columns, which are steps.
    feature_names_in_ : ndarray of str
        Column names, where X had them all as text.
    vocabulary_ : ndarray of object (V,), or None
        The token of each row of the embedding, most frequent first; row 0 is every unknown token's. None for numbers.
    n_outputs_, n_iter_, n_parameters_ : int
        Outputs of the network, epochs run, number of weights.
    loss_curve_, best_loss_ : list of float, float
        Mean training loss of each epoch, and the least of them.
    validation_scores_ : list of float or None
        Score after each epoch on held-out sequences, where there were any.
    weights_ : dict of str to ndarray
        Copies of "layer0.W_ih" (F, G*H), "layer0.W_hh" (H, G*H), "layer0.b" (G*H,) and so on: gates in the order i,
        f, g, o or r, z, n. The gru has "b_ih" and "b_hh", a backward direction "layer0.reverse.W_ih" and so on, the
        ffnn "layer0.W" (window*F, H). Last come "head.W" (D, n_outputs) and "head.b".
    device_ : str
        Where the network was trained.

    References
    ----------
    .. [1] Hochreiter, S. and Schmidhuber, J. (1997). Long short-term memory. Neural Computation 9.
    .. [2] Cho, K. et al. (2014). Learning phrase representations using RNN encoder-decoder. EMNLP.
    .. [3] Elman, J. L. (1990). Finding structure in time. Cognitive Science 14.
    .. [4] Gal, Y. and Ghahramani, Z. (2016). A theoretically grounded application of dropout in RNNs. NIPS.
    .. [5] Loshchilov, I. and Hutter, F. (2019). Decoupled weight decay regularization. ICLR.
    .. [6] Pascanu, R., Mikolov, T. and Bengio, Y. (2013). On the difficulty of training recurrent networks. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) for length in (3, 8, 5, 6)]
    >>> y = ["up", "down", "up", "down"]
    >>> RNNClassifier("gru", (8,), learning_rate="cosine", random_state=0).fit(X, y).predict(X[:2]).tolist()
    ['up', 'down']
    """

    _kind = "classifier"

    def __init__(
        self,
        cell: str = "lstm",
        hidden_layer_sizes: tuple[int, ...] = (64,),
        *,
        target: str = "sequence",
        bidirectional: bool = False,
        window: int = 20,
        tokens: str = "auto",
        embedding_size: int = 32,
        min_count: int = 1,
        max_vocabulary: int | None = None,
        dropout: float = 0.0,
        solver: str = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float = 3e-3,
        momentum: float = 0.9,
        alpha: float = 0.0,
        batch_size: int = 32,
        max_iter: int = 100,
        truncate: int | None = None,
        clip_norm: float | None = 1.0,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        class_weight: Any = None,
        warm_start: bool = False,
        device: str = "cpu",
        dtype: str = "float32",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        callbacks: Any = None,
    ) -> None:
        self.cell = cell
        self.hidden_layer_sizes = hidden_layer_sizes
        self.target = target
        self.bidirectional = bidirectional
        self.window = window
        self.tokens = tokens
        self.embedding_size = embedding_size
        self.min_count = min_count
        self.max_vocabulary = max_vocabulary
        self.dropout = dropout
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.truncate = truncate
        self.clip_norm = clip_norm
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on some data, from where the last call left off.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like, optional
            In the first call: all labels there will ever be; by default those in y. Later calls need it no more.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As `fit`; if y has a label that was not named; with early_stopping or lbfgs.
        """
        if (
            classes is not None
            and self.__sklearn_is_fitted__()
            and not np.array_equal(np.unique(classes), self.classes_)
        ):
            raise ValueError(
                f"classes must stay {shown(self.classes_.tolist())} after the first call to partial_fit, "
                f"got {shown(classes)}. Leave it out."
            )
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> Any:
        """Return the likeliest label of each sequence or step; for multilabel y the 0/1 indicators.

        Parameters
        ----------
        X : as in `fit`
            Sequences.

        Returns
        -------
        ndarray (n,) or (n, k), or with target="step" a list of (T_i,) or (T_i, k)
            In y's form.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        """
        outputs = self._outputs(X)
        return self._model.targets.decode(outputs)

    def predict_proba(self, X: Any) -> Any:
        """Return each class's probability: softmax, or for multilabel y a sigmoid for every label.

        Parameters
        ----------
        X : as in `fit`
            Sequences.

        Returns
        -------
        ndarray (n, n_outputs_), or with target="step" a list of (T_i, n_outputs_)
            Columns in the order of `classes_`.
        """
        outputs = self._outputs(X)
        link = self._make_loss(self._model.targets).link
        return (
            link(outputs) if isinstance(outputs, np.ndarray) else [link(rows) for rows in outputs]
        )

    def _answers(self) -> dict[str, tuple[Any, Any]]:
        link = self._make_loss(self._model.targets).link
        return super()._answers() | {"predict_proba": (link, lambda row: link(row[None])[0])}

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`."""
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return (
                np.log(probabilities)
                if isinstance(probabilities, np.ndarray)
                else [np.log(p) for p in probabilities]
            )

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, over all steps if target="step"; a multilabel row counts if all its labels are right.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float in [0, 1]
        """
        predicted, truth, weights = self._scored(X, y, sample_weight)
        right = predicted == truth.reshape(predicted.shape)
        return accuracy(right if right.ndim == 1 else right.all(axis=1), weights)

    def _finish(self, model: Model, sequences: Sequences | None) -> None:
        super()._finish(model, sequences)
        targets: Any = model.targets
        self.classes_ = targets.classes_

    def _learn_targets(
        self, arguments: Arguments, y: Any, lengths: np.ndarray, weights: Values, classes: Any
    ) -> Targets:
        return class_targets(y, lengths, step=arguments["target"] == "step", classes=classes)

    def _weigh(
        self, arguments: Arguments, targets: Any, encoded: Values, weights: Values
    ) -> Values:
        return class_weights(encoded, weights, arguments["class_weight"], targets.classes_)

    def _check_samples(self, samples: Samples) -> None:
        require_two_classes(samples.targets, samples.weights)

    def _make_loss(self, targets: Any) -> Loss:
        from ..losses import make_loss

        return make_loss("sigmoid" if targets.is_multilabel else "softmax")

    def _score_outputs(
        self, loss: Loss, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> float:
        right = (
            outputs.argmax(axis=1) == targets
            if targets.ndim == 1
            else ((outputs > 0) == targets).all(axis=1)
        )
        return accuracy(right, weights)
