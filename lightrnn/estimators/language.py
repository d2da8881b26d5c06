"""`RNNLanguageModel`: the next token, given all before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import devices
from ..data.corpus import BOUNDARY, Corpus, read_corpus
from ..training.history import History
from ..training.loop import train
from ..training.texts import TextBatches
from ..utils.checks import integer, random_generator
from .arguments import checked
from .generation import Completion, mean_loss
from .model import Model, build_network

if TYPE_CHECKING:
    from ..training.trainable import TrainableNetwork

_ARCHITECTURE = ("cell", "hidden_layer_sizes", "window", "dropout", "dtype")
_LARGE = 20_000  # tokens from which on an adaptive softmax pays
Arguments = dict[str, Any]


class RNNLanguageModel(Completion):
    """Learn which token comes next, from all tokens before it [1]_.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn", "ffnn"}
        As in `RNNClassifier`; "ffnn" sees the last `window` tokens [2]_.
    hidden_layer_sizes : tuple of int
        Units of each layer, first layer first; each at least 1.
    embedding_size : int >= 1
        Numbers that stand for a token.
    tokens : {"auto", "char", "word", "category"}
        What a token is. "auto": the characters of a str, or the items of a list of str. "word": words and punctuation.
        "category": str or integers, one a step.
    min_count : int >= 1
        Tokens that occur less often count as unknown.
    max_vocabulary : int >= 1 or None
        Keep at most so many tokens, the most frequent ones.
    window : int >= 1
        Tokens that the ffnn sees.
    tie_weights : bool
        Use the embedding as the output layer's matrix too [3]_; then `embedding_size` must be the last layer's size.
    output : {"auto", "softmax", "adaptive"}
        How the next token's probability is computed: over the whole vocabulary, or by an adaptive softmax [4]_, which
        "auto" takes from 20,000 tokens on. The softmax holds a million outputs at a time, whatever the vocabulary.
    dropout : float in [0, 1)
        Share of every layer's outputs switched off in training, one mask for a chunk of a text.
    solver : {"adam", "sgd", "rmsprop"}
        sgd has Nesterov's momentum.
    learning_rate : {"constant", "cosine", "adaptive"}
        "cosine" falls to zero over `max_iter` epochs; "adaptive" is divided by 5, at most four times, when training
        would otherwise stop.
    learning_rate_init : float > 0
        Step size at the start.
    momentum : float in [0, 1)
        Of sgd.
    alpha : float >= 0
        Weight decay, decoupled from the gradient.
    batch_size : int >= 1
        Texts, or parts of long texts, that are read side by side.
    max_iter : int >= 1
        The most epochs.
    truncate : int >= 1
        Tokens to a chunk: the state goes from chunk to chunk of a text, the gradient does not.
    clip_norm : float > 0 or None
        Longer gradients are scaled down to this norm.
    shuffle : bool
        Read the texts in another order each epoch.
    tol : float >= 0
        What the loss (with early stopping the validation score) must gain to count as an improvement.
    n_iter_no_change : int >= 1
        Training ends after so many epochs without improvement.
    early_stopping : bool
        Stop when the score of `texts_val` no longer improves, and restore the best weights.
    warm_start : bool
        Let `fit` start from the weights and the vocabulary of the last fit.
    device : {"cpu", "cuda", "cuda:1", ..., "auto"}
        As in `RNNClassifier`; `generate` always computes on the CPU.
    dtype : {"float32", "float64"}
        Precision of the network and of what it returns.
    n_jobs : int or None
        Threads: None for all CPUs of this process (one inside a joblib or multiprocessing worker), -1 for all. It
        changes no bit of a result.
    random_state : None, int, RandomState or Generator
        Draws initial weights, the order of texts and dropout masks.
    verbose : int >= 0
        Show progress.
    callbacks : callable, list of callables or None
        Called as f(record) after each epoch, see `lightrnn.training.Epoch`; a true result ends training.

    Attributes
    ----------
    vocabulary_ : ndarray of object (V,)
        The token of each output: "<unknown>", "<end>" for the end of a text, then tokens, most frequent first.
    n_iter_, n_parameters_ : int
        Epochs run, number of weights.
    loss_curve_, best_loss_ : list of float, float
        Mean loss of each epoch in nats a token, and the least of them.
    validation_scores_ : list of float or None
        `score` of `texts_val` after each epoch, where there were any.
    weights_ : dict of str to ndarray
        As in `RNNClassifier`; an adaptive softmax has "tail0.down.W", "tail0.W" and so on besides.
    device_ : str
        Where the network was trained.

    References
    ----------
    .. [1] Mikolov, T., Karafiat, M., Burget, L., Cernocky, J. and Khudanpur, S. (2010). Recurrent neural network based
       language model. Interspeech.
    .. [2] Bengio, Y., Ducharme, R., Vincent, P. and Jauvin, C. (2003). A neural probabilistic language model. JMLR 3.
    .. [3] Press, O. and Wolf, L. (2017). Using the output embedding to improve language models. EACL.
    .. [4] Grave, E., Joulin, A., Cisse, M., Grangier, D. and Jegou, H. (2017). Efficient softmax approximation for
       GPUs. ICML.

    Examples
    --------
    >>> from lightrnn import RNNLanguageModel
    >>> model = RNNLanguageModel(hidden_layer_sizes=(32,), max_iter=60, learning_rate_init=0.01, random_state=0)
    >>> model = model.fit(["to be or not to be"] * 20)
    >>> model.generate("to be or", 10, top_k=1)
    ' not to be'
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden_layer_sizes: tuple[int, ...] = (256,),
        *,
        embedding_size: int = 64,
        tokens: str = "auto",
        min_count: int = 1,
        max_vocabulary: int | None = None,
        window: int = 20,
        tie_weights: bool = False,
        output: str = "auto",
        dropout: float = 0.0,
        solver: str = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float = 3e-3,
        momentum: float = 0.9,
        alpha: float = 0.0,
        batch_size: int = 32,
        max_iter: int = 10,
        truncate: int = 64,
        clip_norm: float | None = 1.0,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
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
        self.embedding_size = embedding_size
        self.tokens = tokens
        self.min_count = min_count
        self.max_vocabulary = max_vocabulary
        self.window = window
        self.tie_weights = tie_weights
        self.output = output
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
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(self, texts: Any, y: Any = None, *, texts_val: Any = None) -> Self:
        """Learn from texts.

        Parameters
        ----------
        texts : str, list of str or of token lists, or iterable of either
            One long text, or many. A list or an array is kept in memory; any other iterable is read once, text by
            text, and its tokens are kept in a temporary file, so that it may be larger than memory.
        y : None
            Ignored.
        texts_val : as texts, optional
            Scored after each epoch, and what early stopping looks at.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an argument of the constructor or a text is not as it must be, if the network is too large for memory,
            or if the loss stops being finite. The estimator is then as it was before the call.
        """
        arguments = self._checked()
        continues = arguments["warm_start"] and self.__sklearn_is_fitted__()
        corpus = self._read(arguments, texts, self._model.vocabulary if continues else None)
        validation = (
            None
            if texts_val is None
            else read_corpus(texts_val, vocabulary=corpus.vocabulary, name="texts_val")
        )
        if arguments["early_stopping"] and validation is None:
            raise ValueError(
                "texts_val must be given with early_stopping=True, got None. Hold out some texts for it."
            )
        model = self._resumed(arguments, warm=True) if continues else self._begun(arguments, corpus)
        self._train(arguments, model, corpus, validation, arguments["max_iter"])
        return self

    def partial_fit(self, texts: Any, y: Any = None) -> Self:
        """Learn from texts for one epoch, from where the last call left off; the first call sets the vocabulary.

        Parameters
        ----------
        texts, y
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`; with early_stopping.
        """
        arguments = self._checked()
        if arguments["early_stopping"]:
            raise ValueError(
                "early_stopping must be False for partial_fit, got True. It runs one epoch; use fit."
            )
        continues = self.__sklearn_is_fitted__()
        corpus = self._read(arguments, texts, self._model.vocabulary if continues else None)
        model = (
            self._resumed(arguments, warm=False) if continues else self._begun(arguments, corpus)
        )
        self._train(arguments, model, corpus, None, 1)
        return self

    def _checked(self) -> Arguments:
        """Check the constructor's arguments."""
        given = self.get_params(deep=False)
        truncate = integer("truncate", given.pop("truncate"), 1)
        arguments = checked(given) | {"truncate": truncate}
        last = arguments["hidden_layer_sizes"][-1]
        if arguments["tie_weights"] and arguments["embedding_size"] != last:
            raise ValueError(
                f"embedding_size must be {last}, the last layer's size, with tie_weights=True, got "
                f"{arguments['embedding_size']}. Make them equal."
            )
        if arguments["tie_weights"] and arguments["output"] == "adaptive":
            raise ValueError(
                "output must not be 'adaptive' with tie_weights=True, got 'adaptive'. Its clusters have matrices of "
                "their own; use one of the two."
            )
        if arguments["solver"] == "lbfgs":
            raise ValueError(
                "solver must be 'adam', 'sgd' or 'rmsprop', got 'lbfgs'. It cannot carry states."
            )
        if arguments["tokens"] == "number":
            raise ValueError(
                "tokens must be 'auto', 'char', 'word' or 'category', got 'number'. Texts hold tokens."
            )
        return arguments

    def _read(self, arguments: Arguments, texts: Any, vocabulary: Any) -> Corpus:
        kept = {name: arguments[name] for name in ("tokens", "min_count", "max_vocabulary")}
        return read_corpus(texts, **kept, vocabulary=vocabulary)

    def _architecture(self, arguments: Arguments, n_tokens: int) -> Arguments:
        adaptive = arguments["output"] == "adaptive" or (
            arguments["output"] == "auto" and n_tokens > _LARGE
        )
        head = (
            "tied"
            if arguments["tie_weights"]
            else "adaptive"
            if adaptive and n_tokens > 3
            else "linear"
        )
        sizes = {
            "n_features": arguments["embedding_size"],
            "n_outputs": n_tokens,
            "n_tokens": n_tokens,
        }
        return (
            sizes
            | {name: arguments[name] for name in _ARCHITECTURE}
            | {"target": "step", "head": head}
        )

    def _begun(self, arguments: Arguments, corpus: Corpus) -> Model:
        """Make a model that has learned nothing yet."""
        architecture = self._architecture(arguments, len(corpus.vocabulary))
        network = build_network(architecture, (arguments["batch_size"], arguments["truncate"]))
        rng = random_generator(self.random_state)
        network.initialize(rng)
        return Model(
            architecture,
            network,
            None,
            corpus.vocabulary,
            arguments["solver"],
            None,
            History(),
            rng,
        )

    def _resumed(self, arguments: Arguments, *, warm: bool) -> Model:
        """Copy the fitted model to go on with; a warm start keeps nothing but weights and vocabulary."""
        architecture = self._architecture(arguments, len(self._model.vocabulary or ()))
        return self._model.resumed(
            architecture, arguments["solver"], random_generator(self.random_state) if warm else None
        )

    def _train(
        self,
        arguments: Arguments,
        model: Model,
        corpus: Corpus,
        validation: Corpus | None,
        epochs: int,
    ) -> None:
        """Run epochs on the model and adopt it."""
        from ..losses import make_loss

        options = self._make_plan(arguments | {"truncate": None})
        feed = self._texts(arguments, corpus, model.rng)
        solver = model.make_solver(arguments["momentum"], arguments["alpha"])
        held_out = None if validation is None else self._texts(arguments, validation)
        work = devices.training_work(model.network, epochs * feed.count)
        with devices.placed(model.network, arguments["device"], work) as network:
            validate = None if held_out is None else partial(_score, network, held_out)
            train(
                network,
                make_loss("softmax"),
                solver,
                options,
                feed,
                model.history,
                epochs=epochs,
                validate=validate,
            )
            model.device = network.device
        model.keep_moments(solver)
        self._adopt(model)

    def _feed(self, corpus: Corpus) -> TextBatches:
        return self._texts(self._checked(), corpus)

    def _texts(
        self, arguments: Arguments, corpus: Corpus, rng: np.random.Generator | None = None
    ) -> TextBatches:
        """Return readers of a corpus; without `rng` they read in order."""
        window = arguments["window"] if arguments["cell"] == "ffnn" else 0
        sizes = arguments["batch_size"], arguments["truncate"]
        return TextBatches(corpus.texts, BOUNDARY, *sizes, window, rng, arguments["shuffle"])


def _score(network: TrainableNetwork, feed: TextBatches) -> float:
    return -mean_loss(network, feed)
