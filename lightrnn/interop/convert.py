"""`from_torch` and `from_keras`: networks trained by PyTorch or Keras, as fitted estimators."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from ..estimators import RNNClassifier, RNNRegressor
from ..estimators.estimator import check_estimator
from ..estimators.language import RNNLanguageModel
from ..utils.checks import flag, shown
from ..utils.files import is_path, path_text
from .adapt import UserLabels
from .building import GIVEN, enough_memory
from .checking import convert
from .keras import read_file, read_keras, read_model
from .live import is_keras_model, is_module, run_keras, run_module
from .tensor_files import part, read_tensors
from .torch import find_state_dict, read_torch

E = TypeVar("E", RNNClassifier, RNNRegressor, RNNLanguageModel)

_MAYBE_RELU = "The weights of a plain RNN do not show whether it has tanh, as it is taken to."
_FOLDED = (
    "The weights do not show that {0!r} stands just before the layer that it was put into, without "
    "a function between."
)
_ARRAYS_ALONE = (
    "A .weights.h5 file holds arrays alone: other activations (relu, hard_sigmoid), masks, "
    "pooling, a merge_mode or go_backwards do not show in it. A .keras file has them.",
)
_MASKING = (
    "The model has a Masking layer, which leaves padded steps out. Here they would be steps like "
    "others: give each sequence in its own length.",
)


def from_torch(
    source: Any,
    estimator: E,
    *,
    classes: Any = None,
    vocabulary: Any = None,
    multilabel: bool = False,
    recurrent: str | Sequence[str] | None = None,
    head: str | None = None,
    embedding: str | None = None,
    read: str | None = None,
    check: tuple[Any, Any] | None = None,
    state_dict: str | None = None,
    ignore: str | Sequence[str] = (),
) -> E:
    """Turn a network that PyTorch has trained into a fitted estimator; PyTorch is not needed.

    The network is an nn.LSTM, nn.GRU or nn.RNN (with tanh) of any depth, bidirectional or not, or
    cells such as nn.LSTMCell that read step by step, with an nn.Linear on top, or several with one
    activation between them, and perhaps an nn.Embedding below. A BatchNorm, an nn.Linear before the
    first layer, and buffers ``mean`` and ``std`` that scale the features are put into the weights
    of the layer that reads them.

    Parameters
    ----------
    source : str, path-like, mapping of str to array or tensor, or nn.Module
        A ``.safetensors`` file; a ``.pt`` file of ``torch.save(model.state_dict(), path)``, also
        within a checkpoint's dict, whatever stands beside it there; a state_dict of tensors or
        arrays; or the module itself, of which copies are run (see Notes). Nothing that a file names
        is executed. Weights that a loss has for its classes are passed over.
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        Gives the result's arguments: its target, its dtype, and all that further training needs. It
        is not changed. The arguments `cell`, `hidden_layer_sizes`, `head_layer_sizes`,
        `bidirectional`, `embedding_size` and `tokens` come from the source instead.
    classes : array-like of shape (k,), optional
        The label of each output, in the outputs' order; by default 0 to k - 1. A single output is
        the logit z of a binary classifier: the two classes get the outputs 0 and z, since
        softmax([0, z]) is sigmoid(z).
    vocabulary : sequence of str or int of length V, optional
        The token of each row of the embedding, in the rows' order; by default the integers from 0
        on. The row of "<unknown>" stands for all tokens that are not listed, and becomes row 0;
        without it, a row of zeros is put before the others. A row for padding (``padding_idx``) is
        a token like others that never occurs. A language model needs a vocabulary; its "<end>" is
        the token that precedes and ends every text. Without it, or without "<unknown>", the model
        has a row of zeros for it and never predicts it.
    multilabel : bool, default=False
        Whether every output of a classifier is a label of its own, with a sigmoid.
    recurrent : str or sequence of str, optional
        Name of the recurrent module, or of several from first to last. By default those found, if
        their names differ only in a final number (``lstm1``, ``lstm2``).
    head : str, optional
        Name of the output layer, the last linear one. By default the only module with a matrix and
        a bias, or the end of the one chain of such modules; or, where none has a bias, that with a
        matrix that fits the last recurrent layer.
    embedding : str, optional
        Name of the embedding. By default the only other module with a matrix and no bias.
    read : {"final", "last", "mean", "max"}, optional
        Which states of the last layer the linear layer reads with ``target="sequence"``. "final":
        those that ``h_n`` has, of a bidirectional network ``torch.cat([h_n[-2], h_n[-1]], dim=1)``.
        "last": ``output[:, -1]``, which is the same unless the network is bidirectional; there the
        backward direction has read the last step alone. "mean", "max": ``output.mean(1)`` or
        ``output.amax(1)``, in place of the estimator's `pooling`, which is the default.
    check : tuple of (X, outputs), optional
        Inputs of the network as it reads them, and what it returned for them, in training mode
        False: arrays or tensors, or lists of them. X are sequences as `predict` takes them, or for
        an embedding the numbers of its rows. The outputs are raw (logits), probabilities or their
        logarithms. If the estimator's are others, an error says where.
    state_dict : str, optional
        Which of a checkpoint's dicts to read: its keys, joined by dots, such as "ema.model". By
        default the only one.
    ignore : str or sequence of str, default=()
        Patterns, as in the shell, of the names of weights to leave out: ``"similarity_*"``.

    Returns
    -------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        A new estimator of the given one's class, fitted: it predicts, can be saved, and goes on
        with `partial_fit` or `warm_start`, with a solver that starts anew. A regressor's outputs
        are the network's, in its dtype; `n_iter_` is 0.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the source or the estimator is of another kind.
    ValueError
        If a weight is missing, misshapen, not finite or left over; if the network has layers that
        are not computed here, such as projections, peepholes or a LeakyReLU; if the
        source is a module with an nn.RNN with ReLU or with another layer of torch's; if a file is
        damaged; if an argument does not fit; or if the outputs are not those of `check` or of the
        module.

    Warns
    -----
    UserWarning
        If nothing is compared: there is no `check`, and no module that runs. The weights do not
        show which states are read (`read` says it), or what stands between the layers.

    See Also
    --------
    from_keras : The same for Keras.

    Notes
    -----
    Weights do not show all of what a model computes: which states the linear layer reads, a relu
    between the layers, a normalisation without weights, padded steps that are read as steps. A
    module is therefore run here on a few random sequences, and gives the same outputs as the
    estimator or an error; they also show `read`, and whether there is an output for every step.
    Weights alone, or a module that takes more than X, need a `check`, a few inputs and the outputs
    that PyTorch gave for them::

        with torch.no_grad():
            check = X, model.eval()(X)
        from_torch("weights.pt", RNNClassifier(), check=check)

    - Several linear layers after the recurrent ones are `head_layer_sizes`. What stands between
      them, a ReLU, Tanh, Sigmoid, GELU or nothing, a module shows as it is run; for weights alone
      it is the estimator's `head_activation`, and `check` says which it should be.
    - Attention as `to_torch` describes it is known by its weight "attention.weight".
    - The linear layer of a bidirectional LSTM or RNN with ``read="last"`` reads a last layer of
      twice the units, whose second half forgets at every step. A GRU cannot; with
      ``target="step"`` its prediction at the last step is that output.
    - A network that reads p steps as one input needs an estimator with ``patch=p``.
    - An nn.RNN is taken to have tanh, torch's default, unless the source is the module itself.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNClassifier, from_torch
    >>> rng = np.random.default_rng(0)
    >>> X, y = [rng.normal(size=(T, 3)) for T in (5, 8, 4)], ["no", "yes", "no"]
    >>> trained = RNNClassifier("gru", (4,), random_state=0).fit(X, y)
    >>> state_dict = trained.to_torch()  # or a module's state_dict, or the file that it is saved in
    >>> {name: array.shape for name, array in state_dict.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'rnn.weight_ih_l0': (12, 3), 'rnn.weight_hh_l0': (12, 4), 'rnn.bias_ih_l0': (12,),
     'rnn.bias_hh_l0': (12,), 'head.weight': (2, 4), 'head.bias': (2,)}
    >>> check = X, trained.predict_proba(X)  # in PyTorch: X, model(X)
    >>> from_torch(state_dict, RNNClassifier(), classes=["no", "yes"], check=check)
    RNNClassifier(hidden_layer_sizes=(4,), bidirectional=False)
    """
    check_estimator(estimator, GIVEN)
    labels = UserLabels(classes, vocabulary, flag("multilabel", multilabel))
    with enough_memory():
        weights = source
        if is_path(source):
            weights = read_tensors(path_text(source, "source"), state_dict)
        elif state_dict is not None:
            weights = part(source, state_dict)
        foreign = read_torch(
            find_state_dict(weights, ignore),
            recurrent=recurrent,
            head=head,
            embedding=embedding,
            tied=bool(getattr(estimator, "tie_weights", False)),
        )
        doubts = [_FOLDED.format(module) for module in foreign.folded]
        if foreign.cell == "rnn" and not is_module(source):
            doubts.append(_MAYBE_RELU)
        run = partial(run_module, source) if is_module(source) else None
        result: E = convert(estimator, foreign, labels, read, check, doubts, run)
        return result


def from_keras(
    source: Any,
    estimator: E,
    *,
    classes: Any = None,
    vocabulary: Any = None,
    multilabel: bool = False,
    recurrent: str | Sequence[str] | None = None,
    head: str | None = None,
    embedding: str | None = None,
    read: str | None = None,
    check: tuple[Any, Any] | None = None,
) -> E:
    """Turn a network that Keras has trained into a fitted estimator; Keras is not needed.

    The network is a chain: perhaps an Embedding, then LSTM, GRU (``reset_after=True``) or SimpleRNN
    layers with their default activations, each in a Bidirectional (``merge_mode="concat"``) or
    none, perhaps a GlobalAveragePooling1D or GlobalMaxPooling1D, and a Dense, or several with one
    activation between them: relu, tanh, sigmoid or gelu. A BatchNormalization, a Normalization and
    a linear Dense before the first layer are put into the weights of the layer that reads them.
    Layers that change no prediction, such as Dropout or GaussianNoise, a Softmax at the end and
    models within the model may stand among them. Masking and ``mask_zero`` leave padding out; here
    sequences have their own lengths and no padding: with ``mask_zero`` token 0 is not in the
    vocabulary and is refused in X. Sequences begin with a state of zeros also where the model is
    stateful. Files are read by h5py.

    Parameters
    ----------
    source : str, path-like or keras.Model
        The model itself, which is run on random inputs for comparison; a ``.keras`` file of Keras
        2.13 or later, or a whole model that Keras 2 or 3 has saved as ``.h5``, whose configuration
        is checked; or a ``.weights.h5`` file, which holds arrays alone, so that other activations,
        a ``merge_mode`` or ``go_backwards`` go unnoticed.
        The state of Keras's optimizer is not read. HDF5 is read by h5py, a C library: open files of
        people you trust.
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        As in `from_torch`. A ``.keras`` file also determines `target`, by ``return_sequences``.
    classes : array-like of shape (k,), optional
        As in `from_torch`.
    vocabulary : sequence of str or int of length V, optional
        As in `from_torch`.
    multilabel : bool, default=False
        As in `from_torch`; a ``.keras`` file whose Dense layer has several outputs with a sigmoid
        is multilabel anyway.
    recurrent : str or sequence of str, optional
        Path of the recurrent layer in the HDF5 file, such as "layers/lstm", or of several from
        first to last. By default those found, if their names differ only in a final number.
    head : str, optional
        Path of the Dense layer. By default the only one found.
    embedding : str, optional
        Path of the Embedding. By default the only one found.
    read : {"final", "last", "mean", "max"}, optional
        As in `from_torch`, for a ``.weights.h5`` file; a ``.keras`` file says it.
    check : tuple of (X, outputs), optional
        As in `from_torch`: ``check=(X, model.predict(X))``.

    Returns
    -------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        As in `from_torch`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If h5py is not installed.
    TypeError
        If the source or the estimator is of another kind.
    ValueError
        As in `from_torch`; also if a layer, an activation or another setting is not computed here,
        such as a GRU with ``reset_after=False``.

    Warns
    -----
    UserWarning
        If there is no `check` for a ``.weights.h5`` file or for a model with a Masking layer.

    See Also
    --------
    from_torch : The same for PyTorch.

    Examples
    --------
    >>> from lightrnn import RNNClassifier, from_keras
    >>> model.save("model.keras")  # doctest: +SKIP
    >>> check = X, model.predict(X)  # doctest: +SKIP
    >>> options = {"classes": ["no", "yes"], "check": check}  # doctest: +SKIP
    >>> from_keras("model.keras", RNNClassifier(), **options)  # doctest: +SKIP
    RNNClassifier(hidden_layer_sizes=(5,))
    """
    check_estimator(estimator, GIVEN)
    live = is_keras_model(source)
    if not live and not is_path(source):
        raise TypeError(
            f"source must be a path or a Keras model, got {shown(source)}. "
            "Save the model: model.save('model.keras')."
        )
    labels = UserLabels(classes, vocabulary, flag("multilabel", multilabel))
    with enough_memory():
        file = read_model(source) if live else read_file(path_text(source, "source"))
        foreign = read_keras(file, recurrent=recurrent, head=head, embedding=embedding)
        doubts = _ARRAYS_ALONE if file.description is None else _MASKING[: file.description.masked]
        # Random inputs do not show what a mask leaves out.
        run = partial(run_keras, source) if live and not doubts else None
        result: E = convert(estimator, foreign, labels, read, check, doubts, run)
        return result
