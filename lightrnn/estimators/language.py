"""`RNNLanguageModel`: the next token, given all tokens before it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..data.corpus import Corpus, read_corpus
from .arguments import ARCHITECTURE, SMALLEST_ADAPTIVE
from .declarations import COUNT, FLAG, argument, one_of
from .documentation import documented
from .estimator import Arguments
from .generation import BaseLanguageModel, mean_loss, text_batches
from .model import Model

if TYPE_CHECKING:
    from ..training.texts import TextBatches
    from ..training.trainable import TrainableNetwork

# Number of tokens from which on output="auto" takes an adaptive softmax: below it the one large
# product is cheap, above it the products for rare tokens that are left out save more.
_LARGE = 20_000


@documented
@dataclass(repr=False, eq=False)
class RNNLanguageModel(BaseLanguageModel):
    """Learn which token comes next, from all tokens before it [8]_.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    tokens_ : {"char", "word", "category"}
        Meaning of a token, as `tokens` says or "auto" found out.
    vocabulary_ : ndarray of object (V,)
        Token of each output: "<unknown>", "<end>" for the end of a text, then the other tokens,
        the most frequent first.
    {attributes}

    References
    ----------
    {references}
    {language_references}

    Examples
    --------
    >>> from lightrnn import RNNLanguageModel
    >>> model = RNNLanguageModel("lstm", (32,), max_iter=60, learning_rate_init=0.01)
    >>> model = model.set_params(random_state=0).fit(["to be or not to be"] * 20)
    >>> model.generate("to be or", 10, top_k=1)
    ' not to be'
    """

    # Arguments that mean something else for texts, or have another default.
    hidden_layer_sizes: tuple[int, ...] = argument((256,))
    _: KW_ONLY
    window: int = argument(
        20, description="""Number of tokens that an "ffnn" sees, the current one included [9]_."""
    )
    forget_bias: str | float = argument(
        "auto",
        description="""Initial bias of the gate that keeps the old state, an LSTM's forget gate or
        a GRU's update gate: with the bias b a memory fades within some exp(b) tokens. "chrono"
        draws b for each unit as log U(1, T - 1) and gives an LSTM's input gate -b, T being the
        number of tokens of the longest chunk [7]_. "auto" means 1.0, since the next token mostly
        depends on what is near. The cells "rnn" and "ffnn" have no such gate and ignore it.""",
    )
    tokens: str = argument(
        "auto",
        one_of("auto", "char", "word", "category"),
        """Meaning of a token. "char": a character of a str. "word": a word or punctuation mark of
        a str. "category": an item of a list of str or integers. "auto": "char" for str,
        "category" for lists.""",
    )
    embedding_size: int = argument(64)
    dropout: float = argument(
        0.0,
        description="""Share of the outputs of each hidden layer that is set to zero in training,
        with one mask for all tokens of a chunk [4]_.""",
    )
    solver: str = argument(
        "adam",
        one_of("adam", "sgd", "rmsprop"),
        """Optimiser. "sgd" uses Nesterov's momentum.""",
    )
    learning_rate_init: float = argument(3e-3)
    alpha: float = argument(0.0, description="Weight decay, decoupled from the gradient [5]_.")
    batch_size: int = argument(
        32, COUNT, "Number of texts, or of parts of long texts, that are read in parallel."
    )
    max_iter: int = argument(10)
    truncate: int = argument(
        64,
        COUNT,
        """Number of tokens in a chunk for truncated backpropagation: the state passes from one
        chunk of a text to the next, the gradient does not.""",
    )
    shuffle: bool = argument(
        True, description="Whether to read the texts in another order in each epoch."
    )
    early_stopping: bool = argument(
        False,
        description="""Whether to stop when the score of `texts_val` no longer improves, and to
        restore the weights of the best score.""",
    )
    warm_start: bool = argument(
        False,
        description="Whether `fit` starts from the weights and the vocabulary of the previous fit.",
    )
    device: str = argument(
        "cpu",
        description="""Where to compute, as in `RNNClassifier`; `generate` always uses the CPU.""",
    )
    random_state: Any = argument(
        None, description="Source of initial weights, the order of texts and dropout masks."
    )
    tie_weights: bool = argument(
        False,
        FLAG,
        """Whether the embedding is the matrix of the output layer too [10]_. Then `embedding_size`
        must be the size of the last layer.""",
    )
    output: str = argument(
        "auto",
        one_of("auto", "softmax", "adaptive"),
        """How the probability of the next token is computed: by a softmax over the whole
        vocabulary, or by an adaptive softmax [11]_, which "auto" takes from 20,000 tokens on.""",
    )

    _text_batches = staticmethod(text_batches)  # another reader of the corpus may take its place

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description: texts are its input."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = False
        tags.input_tags.string = True
        return tags

    # -- fitting ----------------------------------------------------------------------------------

    def fit(self, texts: Any, y: Any = None, *, texts_val: Any = None) -> Self:
        """Train on texts.

        Parameters
        ----------
        texts : str, list of str or of token lists, or iterable of either
            One long text, or many; blank ones, such as empty lines, are left out. A list or an
            array is kept in memory. Any other iterable, such as an open file with a text in each
            line, is read once, text by text, and its tokens are kept in a temporary file, so it
            may be larger than memory.
        y : None, default=None
            Ignored.
        texts_val : as texts, default=None
            Validation texts: scored after each epoch, and used by early stopping.

        Returns
        -------
        self : RNNLanguageModel
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If an argument of the constructor or a text is invalid, if the network is too large for
            memory, or if the loss stops being finite. The estimator is then as it was before the
            call.
        RuntimeError
            If `device` names a GPU that cannot be used or whose memory does not suffice. The
            estimator is then as it was before the call.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), max_iter=2, random_state=0)
        >>> model.fit(["abc"] * 5, texts_val=["abc"]).vocabulary_.tolist()
        ['<unknown>', '<end>', 'a', 'b', 'c']
        """
        arguments = self._checked()
        before = vars(self).get("_model") if arguments["warm_start"] else None
        corpus = self._read(arguments, texts, before)
        validation = None
        if texts_val is not None:
            validation = read_corpus(texts_val, vocabulary=corpus.vocabulary, name="texts_val")
        if arguments["early_stopping"] and validation is None:
            raise ValueError(
                "texts_val must be given with early_stopping=True, got None. "
                "Hold out some texts for it."
            )
        model = self._model_for(arguments, corpus, before, warm=True)
        self._fit_model(arguments, model, corpus, validation, arguments["max_iter"])
        return self

    def partial_fit(self, texts: Any, y: Any = None) -> Self:
        """Train for one epoch on some texts, from where the last call left off.

        The first call sets the vocabulary.

        Parameters
        ----------
        texts : as in `fit`
            Texts.
        y : None, default=None
            Ignored.

        Returns
        -------
        self : RNNLanguageModel
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            As `fit`, and with ``early_stopping=True``.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), random_state=0)
        >>> model.partial_fit(["abc"]).partial_fit(["abc"]).n_iter_
        2
        """
        arguments = self._checked()
        if arguments["early_stopping"]:
            raise ValueError(
                "early_stopping must be False for partial_fit, got True. "
                "It runs one epoch; use fit."
            )
        before = vars(self).get("_model")
        corpus = self._read(arguments, texts, before)
        model = self._model_for(arguments, corpus, before, warm=False)
        self._fit_model(arguments, model, corpus, None, 1)
        return self

    def _checked(self) -> Arguments:
        arguments = super()._checked()
        # The rules between arguments; those of supervised estimators do not hold for texts.
        last = arguments["hidden_layer_sizes"][-1]
        if arguments["tie_weights"] and arguments["embedding_size"] != last:
            raise ValueError(
                f"embedding_size must be {last}, the last layer's size, with tie_weights=True, got "
                f"{arguments['embedding_size']}. Make them equal."
            )
        if arguments["tie_weights"] and arguments["output"] == "adaptive":
            raise ValueError(
                "output must not be 'adaptive' with tie_weights=True, got 'adaptive'. Its clusters "
                "have matrices of their own; use one of the two."
            )
        return arguments

    def _read(self, arguments: Arguments, texts: Any, before: Model | None) -> Corpus:
        """Read texts, with the vocabulary of the last fit if this one continues its model."""
        return read_corpus(
            texts,
            tokens=arguments["tokens"],
            min_count=arguments["min_count"],
            max_vocabulary=arguments["max_vocabulary"],
            vocabulary=None if before is None else before.vocabulary,
        )

    def _architecture(self, arguments: Arguments, n_tokens: int) -> Arguments:
        """Return the arguments of `Network`."""
        wanted = arguments["output"]
        adaptive = wanted == "adaptive" or (wanted == "auto" and n_tokens > _LARGE)
        if arguments["tie_weights"]:
            head = "tied"
        elif adaptive and n_tokens >= SMALLEST_ADAPTIVE:
            head = "adaptive"
        else:
            head = "linear"
        return {
            "n_features": arguments["embedding_size"],
            "n_outputs": n_tokens,
            "n_tokens": n_tokens,
            **{name: arguments[name] for name in ARCHITECTURE if name in arguments},
            "target": "step",
            "head": head,
        }

    def _model_for(
        self, arguments: Arguments, corpus: Corpus, before: Model | None, *, warm: bool
    ) -> Model:
        """Return a model to train: a new one, or a copy of the one `before`.

        With `warm` the copy keeps nothing but weights and vocabulary.
        """
        vocabulary = corpus.vocabulary
        architecture = self._architecture(arguments, len(vocabulary))
        # A chunk of every cursor, or all texts where they are short.
        steps = min(
            arguments["batch_size"] * arguments["truncate"],
            sum(len(text) + 1 for text in corpus.texts),
        )
        largest = min(arguments["batch_size"], steps), steps
        if before is not None:
            return before.resumed(arguments, architecture, largest, warm=warm)
        # Gradients end where a chunk does, or a text with the token that marks its end.
        lengths = np.array([min(arguments["truncate"], 1 + len(text)) for text in corpus.texts])
        return Model.untrained(arguments, architecture, largest, lengths, vocabulary=vocabulary)

    def _fit_model(
        self,
        arguments: Arguments,
        model: Model,
        corpus: Corpus,
        validation: Corpus | None,
        epochs: int,
    ) -> None:
        """Run epochs on the model and take it over."""
        from ..losses import make_loss

        batches_of = partial(
            self._text_batches,
            model.architecture,
            batch_size=arguments["batch_size"],
            truncate=arguments["truncate"],
        )
        batches = batches_of(corpus, rng=model.rng, shuffle=arguments["shuffle"])
        score = None
        if validation is not None:
            score = partial(_score, batches=batches_of(validation))
        # The batches are chunks already: training itself truncates nothing.
        self._train(
            arguments | {"truncate": None},
            model,
            make_loss("softmax"),
            batches,
            epochs=epochs,
            n_steps=batches.count,
            score=score,
        )
        self._adopt(model)


def _score(network: TrainableNetwork, batches: TextBatches) -> float:
    """Return the mean log likelihood per token."""
    return -mean_loss(network, batches)
