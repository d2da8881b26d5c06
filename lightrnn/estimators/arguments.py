"""The constructor arguments that estimators share; `rules.py` says which exclude each other.

Each argument is declared once, with type, default, domain and description. The groups are joined
by inheritance: arguments of the network come first, those of training last.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from ..cells import HEAD_CELLS, HIDDEN_CELLS
from ..devices import check_device
from .declarations import (
    CALLBACKS,
    COUNT,
    COUNT_OR_INF,
    FLAG,
    FORGET_BIAS,
    FRACTION,
    N_JOBS,
    NOT_NEGATIVE,
    POSITIVE,
    POSITIVE_FRACTION,
    RANDOM_STATE,
    SCHEDULE,
    SCORING,
    SIZES,
    SIZES_OR_NONE,
    VERBOSE,
    Domain,
    argument,
    one_of,
    optional,
    or_auto,
)

# Those that `Network` takes as they are; the language model declares but some of them.
ARCHITECTURE = (
    "cell",
    "hidden_layer_sizes",
    "target",
    "bidirectional",
    "window",
    "pooling",
    "head_layer_sizes",
    "head_activation",
    "dropout",
    "dtype",
)
# Tokens that the clusters of an adaptive softmax need.
SMALLEST_ADAPTIVE = 4
_DEVICE = Domain('{"cpu", "cuda", "cuda:1", ..., "auto"}', check_device)


# The groups get no constructor: the classes of estimators make one from all of their groups.
@dataclass(init=False, repr=False, eq=False)
class NetworkArguments:
    """The network, and the tokens that it reads."""

    cell: str = argument(
        "lstm",
        one_of(*HIDDEN_CELLS),
        """Type of the hidden layers: LSTM [1]_, GRU [2]_, Elman network ("rnn") [3]_, or
        feed-forward layers ("ffnn") that see the last `window` steps and have no memory.""",
    )
    hidden_layer_sizes: tuple[int, ...] = argument(
        (64,), SIZES, "Number of units of each hidden layer, from the input to the output."
    )
    _: KW_ONLY  # the two arguments above may be positional, all others are given by name
    window: int = argument(
        20,
        COUNT,
        """Number of steps that the first layer of an "ffnn" sees, the current one included; with
        `patch` the number of patches. Before the start of a sequence they are zeros.""",
    )
    forget_bias: str | float = argument(
        "auto",
        FORGET_BIAS,
        """Initial bias of the gate that keeps the old state, an LSTM's forget gate or a GRU's
        update gate: with the bias b a memory fades within some exp(b) steps. "chrono" draws b for
        each unit as log U(1, T - 1) and gives an LSTM's input gate -b, T being the number of
        steps of the longest training sequence, in patches with `patch` [7]_. "auto" means
        "chrono" with ``target="sequence"`` if half of the sequences have more than 50 such steps,
        else 1.0: the label of a step mostly depends on what is near. The cells "rnn" and "ffnn"
        have no such gate and ignore it.""",
    )
    tokens: str = argument(
        "auto",
        one_of("auto", "char", "word", "category", "number"),
        """Meaning of a step of X. "number": features. "char": the characters of a str. "word":
        the words and punctuation marks of a str. "category": the items of a list of str or
        integers. "auto": "category" for lists of str, "number" where there is no text; for str
        "word" if at least half of the texts have a blank inside and ``target="sequence"``, else
        "char". The attribute `tokens_` says which it was.""",
    )
    embedding_size: int = argument(32, COUNT, "Dimension of the token embedding.")
    min_count: int = argument(
        1,
        COUNT,
        "Tokens that occur less often than this in `fit` are treated as unknown.",
    )
    max_vocabulary: int | None = argument(
        None,
        optional(COUNT),
        "Largest number of tokens in the vocabulary: the most frequent ones are kept.",
    )
    dropout: float | str = argument(
        0.0,
        FRACTION,
        """Share of the outputs of each hidden layer that is set to zero in training, with one
        mask for all steps of a sequence [4]_.""",
    )


@dataclass(init=False, repr=False, eq=False)
class SupervisedArguments(NetworkArguments):
    """The arguments of estimators that are fitted to y."""

    cell: str = argument("gru")
    _: KW_ONLY
    target: str = argument(
        "sequence",
        one_of("sequence", "step"),
        """Whether there is one target per sequence or one per step. For "sequence" the output
        layer reads the final state: the forward direction's after the last step, joined with
        the backward direction's after the first. For "step" a scikit-learn metric is given
        ``np.concatenate(y)`` and ``np.concatenate(predictions)``.""",
    )
    patch: int | str = argument(
        "auto",
        or_auto(COUNT),
        """Number of steps of X that the network reads as one input, a patch [8]_ [9]_. What is
        missing of a sequence's last patch is its last step again. "auto" takes a twentieth of
        the median length of the training sequences, so 1 where that is below 40, and 1 for an
        "ffnn", for tokens and for ``target="step"``, which allow no other. The attribute `patch_`
        says which it was.""",
    )
    bidirectional: bool | str = argument(
        "auto",
        or_auto(FLAG),
        """Whether to read each sequence from both ends. Not for "ffnn". "auto" does so where
        ``patch="auto"`` makes patches of several steps, unless `truncate` is given: so short
        sequences, tokens and steps with a target each are read in one direction, as a stream
        needs it.""",
    )
    dropout: float | str = argument(
        "auto",
        or_auto(FRACTION),
        """Share of the outputs of each hidden layer that is set to zero in training, with one
        mask for all steps of a sequence [4]_. "auto" means 0.3 where ``patch="auto"`` makes
        patches of several steps and 0.5 for tokens with ``target="sequence"``, unless the solver is
        "lbfgs", else 0.""",
    )
    token_dropout: float | str = argument(
        "auto",
        or_auto(FRACTION),
        """Share of the tokens of a training sequence that the network reads as the unknown one,
        others each time [11]_: so it relies on no single token, and learns what to make of one that
        it has never seen. "auto" means 0.2 with ``target="sequence"``, unless the solver is
        "lbfgs", else 0. Numbers are not affected.""",
    )
    pooling: str = argument(
        "last",
        one_of("last", "mean", "max", "attention"),
        """Which states the output layer reads with ``target="sequence"``. "last": the final one.
        "mean", "max": the mean or the maximum of each unit over all steps of the sequence.
        "attention": a mean in which each step's weight is the softmax, over the steps, of the
        product of its state with a learned vector, "attention.w" of `weights_` (Lin et al., 2017);
        it begins as the mean. Pooled states give every step a short way to the output, whatever
        the length. All steps are pooled, with `truncate` too; then the gradient reaches the states
        of the last ones alone. With ``target="step"`` it must be "last".""",
    )
    head_layer_sizes: tuple[int, ...] = argument(
        (),
        SIZES_OR_NONE,
        """Number of units of each hidden layer of the output layer, between what it reads of the
        states and the outputs: (32,) makes of it a multilayer perceptron with 32 hidden units. ():
        the outputs are linear in the states. `dropout` acts before the first of these layers, not
        between them.""",
    )
    head_activation: str = argument(
        "relu",
        one_of(*HEAD_CELLS),
        """Activation of the layers of `head_layer_sizes`; "gelu" is the exact one, with the
        distribution function of the normal distribution. Without such layers it is ignored.""",
    )
    standardize: bool = argument(
        True,
        FLAG,
        """Whether each feature of X is standardised inside, by its mean and deviation over all
        steps of the training sequences. The fitted model keeps both, in float64, for predictions,
        streams, files and exports. Tokens are not affected.""",
    )
    missing: str = argument(
        "error",
        one_of("error", "mask"),
        """Whether X may hold NaN, for missing values. "error": no. "mask": yes; each feature then
        is three inputs of the network [10]_: its value, with the last one carried over missing ones
        and the mean of the training sequences before the first; a mark, 1 where there is a value
        and else 0; and the number of steps since there was one. `standardize` applies to all three,
        to values by those that are there. NaN at the end of a sequence of an array or a table stay
        its end. Not for tokens.""",
    )
    validation_fraction: float = argument(
        0.1,
        POSITIVE_FRACTION,
        """Share of the sequences that early stopping holds out, stratified by class where
        there is one class per sequence.""",
    )
    scoring: Any = argument(
        "loss",
        SCORING,
        """Score of the held-out sequences or of `X_val` and `y_val`, greater is better: early
        stopping goes by it. "loss" is the negative loss, weighted as in training. "score" is what
        the method `score` returns. A str names a scorer of scikit-learn. A function
        ``scorer(estimator, X, y)`` returns a number; one that has an argument `sample_weight` is
        given the weights unless they are equal, as scikit-learn's scorers are.""",
    )


@dataclass(init=False, repr=False, eq=False)
class TrainingArguments:
    """Training, and where and how it runs."""

    _: KW_ONLY
    solver: str = argument(
        "adam",
        one_of("adam", "sgd", "rmsprop", "lbfgs"),
        """Optimiser. "sgd" uses Nesterov's momentum. "lbfgs" uses all sequences in each
        iteration; it ignores the arguments of minibatches, clipping and schedule, and excludes
        `dropout`, `token_dropout` and `truncate`.""",
    )
    learning_rate: str = argument(
        "cosine",
        SCHEDULE,
        """Schedule of the step size. "cosine" decreases it to zero over `max_iter` epochs, which
        are all run unless early stopping ends them; where more follow, as in `partial_fit`, it
        starts anew. "constant" keeps it. "adaptive" divides it by 5 whenever training would
        otherwise stop, at most four times.""",
    )
    learning_rate_init: float = argument(1e-2, POSITIVE, "Initial step size.")
    momentum: float = argument(0.9, FRACTION, """Momentum of "sgd".""")
    alpha: float = argument(
        0.0,
        NOT_NEGATIVE,
        """Weight decay, decoupled from the gradient [5]_. For "lbfgs" it is the strength of the
        L2 penalty ``alpha / 2 * sum(weights ** 2)``.""",
    )
    batch_size: int | str = argument(
        "auto",
        or_auto(COUNT),
        """Number of sequences in a minibatch. Sequences of similar length are put together. "auto"
        takes a fiftieth of the training sequences, but 8 at least and 32 at most: on few sequences
        large minibatches would be few steps.""",
    )
    max_iter: int = argument(100, COUNT, "Largest number of epochs.")
    truncate: int | None = argument(
        None,
        optional(COUNT),
        """Length of the chunks for truncated backpropagation: the state passes from one chunk
        to the next, the gradient does not. With ``target="sequence"`` the gradient reaches this
        many of the last steps, in whole patches. None: it reaches the first step.""",
    )
    clip_norm: float | None = argument(
        1.0, optional(POSITIVE), "Gradients of a larger norm are scaled down to this norm [6]_."
    )
    shuffle: bool = argument(True, FLAG, "Whether to draw new minibatches in each epoch.")
    tol: float = argument(
        1e-4,
        NOT_NEGATIVE,
        """Minimum decrease of the loss, or with early stopping minimum increase of the
        validation score, that counts as improvement.""",
    )
    n_iter_no_change: float = argument(
        10,
        COUNT_OR_INF,
        """Number of epochs without improvement after which training stops; inf never stops. With
        ``learning_rate="cosine"`` only the validation score of early stopping does so.""",
    )
    early_stopping: bool = argument(
        False,
        FLAG,
        """Whether to stop when the score (see `scoring`) on held-out sequences, or on `X_val` and
        `y_val`, no longer improves, and to restore the weights of the best score.""",
    )
    warm_start: bool = argument(
        False,
        FLAG,
        """Whether `fit` starts from the weights of the previous fit. The solver starts anew.""",
    )
    device: str = argument(
        "cpu",
        _DEVICE,
        """Where to compute. A GPU needs an NVIDIA driver and ``pip install "numba-cuda[cu12]"``
        or ``"numba-cuda[cu13]"``. "auto" takes the first GPU if there is one and the work would
        take two CPU cores more than some seconds. A fitted estimator predicts on either:
        use ``set_params(device="cpu")`` where there is no GPU.""",
    )
    dtype: str = argument(
        "float32",
        one_of("float32", "float64"),
        "Precision of the network and of the arrays that it returns.",
    )
    n_jobs: int | None = argument(
        None,
        N_JOBS,
        """Number of threads. None means all CPUs that the process may use, or one within a
        worker of joblib or multiprocessing; -1 means all. Results do not depend on it.""",
    )
    random_state: Any = argument(
        None,
        RANDOM_STATE,
        """Source of initial weights, validation split, minibatches and dropout masks. An integer
        gives the same result every time; ``np.random.seed`` has no effect.""",
    )
    verbose: int = argument(
        0,
        VERBOSE,
        "Whether to print progress. On a terminal 0, too, says when kernels are compiled first.",
    )
    callbacks: Callable[..., Any] | list[Callable[..., Any]] | None = argument(
        None,
        CALLBACKS,
        """Functions that are called after each epoch with a `lightrnn.training.Epoch`. Training
        ends after it when one returns `lightrnn.training.STOP` or raises
        `lightrnn.training.StopTraining`; other results are ignored.""",
    )
