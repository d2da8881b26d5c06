"""Docstrings of the estimators: declared arguments and shared sections, put into their places."""

from collections.abc import Callable
from functools import wraps
from inspect import cleandoc
from typing import Any, TypeVar

from .declarations import Domain, declared

Class = TypeVar("Class", bound=type)

# Sections that several classes share, as they stand in the docstring of a class.
_SHARED = {
    "data_attributes": """n_features_in_ : int
        Number of features of a step; after a fit on a table its number of columns, which are steps.
    feature_names_in_ : ndarray of str
        Column names; only if X had names that are all str.
    patch_ : int
        Number of steps that are one input of the network, as `patch` says or "auto" found out.
    X_mean_, X_scale_ : ndarray of float64 (F,), or None
        With `standardize`, the mean of each feature and what it is divided by. They follow the X of
        all calls of `partial_fit`; after a `fit` they stay those of the fit.
    tokens_ : {"number", "char", "word", "category"}
        Meaning of a step of X, as `tokens` says or "auto" found out.
    vocabulary_ : ndarray of object (V,), or None
        Token of each row of the embedding, the most frequent first. Row 0 stands for all unknown
        tokens. None if X holds numbers.
    n_outputs_ : int
        Number of outputs of the network.""",
    "attributes": """n_iter_ : int
        Number of epochs run.
    n_parameters_ : int
        Number of weights.
    stop_reason_ : str or None
        What ended training: "max_iter", if all epochs were run; "n_iter_no_change", if so many
        epochs brought no improvement by `tol`; "callback"; "interrupted" from the keyboard. For
        "lbfgs" also "tol", if it converged, and "line_search", if that found no lower loss. None
        if the network was not trained here.
    best_epoch_ : int or None
        Epoch, from 1, whose weights the network has: the one of the best validation score with
        early stopping, of the best score or loss after an interruption, else the last.
    loss_curve_ : list of float
        Mean training loss of each epoch; of the last 10,000 once `partial_fit` has been called
        more often.
    best_loss_ : float
        Smallest value of `loss_curve_`.
    validation_scores_ : list of float or None
        Score of the held-out data after each epoch, as `scoring` defines it (of a language model
        the mean log likelihood of a token); None without such data.
    weights_ : dict of str to ndarray
        Copies of the weights: "embedding.W" (V, E) for tokens, "layer0.W_ih" (F, G*H),
        "layer0.W_hh" (H, G*H), "layer0.b" (G*H,) and so on, with the gates in the order i, f, g, o
        or r, z, n. A GRU has "b_ih" and "b_hh", a backward direction "layer0.reverse.W_ih" and so
        on, an "ffnn" "layer0.W" (window*F, H). The output layer is "head.W" (D, n_outputs) and
        "head.b", its hidden layers "head0.W" and so on; ``pooling="attention"`` adds "attention.w"
        (D,).
    device_ : str
        Device on which the network was trained.""",
    "references": """.. [1] Hochreiter, S. and Schmidhuber, J. (1997). Long short-term memory.
       Neural Computation 9.
    .. [2] Cho, K. et al. (2014). Learning phrase representations using RNN encoder-decoder. EMNLP.
    .. [3] Elman, J. L. (1990). Finding structure in time. Cognitive Science 14.
    .. [4] Gal, Y. and Ghahramani, Z. (2016). A theoretically grounded application of dropout in
       recurrent neural networks. NIPS.
    .. [5] Loshchilov, I. and Hutter, F. (2019). Decoupled weight decay regularization. ICLR.
    .. [6] Pascanu, R., Mikolov, T. and Bengio, Y. (2013). On the difficulty of training recurrent
       neural networks. ICML.
    .. [7] Tallec, C. and Ollivier, Y. (2018). Can recurrent neural networks warp time? ICLR.""",
    "supervised_references": """.. [8] Lin, S. et al. (2023). SegRNN: Segment recurrent neural
       network for long-term time series forecasting. arXiv 2308.11200.
    .. [9] Nie, Y., Nguyen, N., Sinthong, P. and Kalagnanam, J. (2023). A time series is worth 64
       words: Long-term forecasting with transformers. ICLR.
    .. [10] Che, Z. et al. (2018). Recurrent neural networks for multivariate time series with
       missing values. Scientific Reports 8.
    .. [11] Iyyer, M. et al. (2015). Deep unordered composition rivals syntactic methods for text
       classification. ACL.""",
    "language_references": """.. [8] Mikolov, T., Karafiat, M., Burget, L., Cernocky, J. and
       Khudanpur, S. (2010). Recurrent neural network based language model. Interspeech.
    .. [9] Bengio, Y., Ducharme, R., Vincent, P. and Jauvin, C. (2003). A neural probabilistic
       language model. JMLR 3.
    .. [10] Press, O. and Wolf, L. (2017). Using the output embedding to improve language models.
       EACL.
    .. [11] Grave, E., Joulin, A., Cisse, M., Grangier, D. and Jegou, H. (2017). Efficient softmax
       approximation for GPUs. ICML.""",
}


# Arguments of Keras, PyTorch and skorch, and what they are here.
_FOREIGN = {
    **dict.fromkeys(("units", "hidden_size", "hidden_dim"), "hidden_layer_sizes"),
    **dict.fromkeys(("num_layers", "n_layers"), "hidden_layer_sizes, units of each layer"),
    **dict.fromkeys(("epochs", "n_epochs", "max_epochs"), "max_iter"),
    "lr": "learning_rate_init",
    "weight_decay": "alpha",
    "optimizer": "solver",
    "seed": "random_state",
    "batch_first": "the form of X, (n, T, F)",
    "input_size": "learned from X",
}


def documented(kind: Class) -> Class:
    """Fill in the docstring of a class: ``{parameters}`` and the shared sections.

    Its constructor's error for an argument of another library names the one that is meant.

    Parameters
    ----------
    kind : type
        An estimator whose arguments are declared.

    Returns
    -------
    type
        The class itself.
    """
    if kind.__doc__:  # python -OO strips docstrings
        entries = [_entry(name, **declaration) for name, declaration in declared(kind).items()]
        filled = cleandoc(kind.__doc__)  # from Python 3.13 on it is not indented anyway
        for place, text in {"parameters": "\n    ".join(entries), **_SHARED}.items():
            filled = filled.replace(f"{{{place}}}", cleandoc(text))
        kind.__doc__ = filled
    kind.__init__ = _hinting(kind.__init__)  # type: ignore[misc]
    return kind


def _hinting(init: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor whose error for arguments of other libraries says what they are here."""

    @wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError as error:
            hints = [f"{name} is {_FOREIGN[name]}" for name in kwargs if name in _FOREIGN]
            if not hints:
                raise
            raise TypeError(f"{error}. Here {'; '.join(hints)}.") from None

    return __init__


def _entry(name: str, default: Any, domain: Domain, description: str) -> str:
    """Return an argument's entry in numpydoc's form."""
    value = f'"{default}"' if isinstance(default, str) else default
    return f"{name} : {domain.description}, default={value}\n        {description}"
