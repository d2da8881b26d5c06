"""A fitted estimator made of a network of another framework."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..data.dataset import refuse_for_tokens
from ..data.form import Form
from ..data.targets import several_quantiles
from ..data.tokens import Vocabulary
from ..estimators import RNNClassifier, RNNRegressor
from ..estimators.declarations import checked
from ..estimators.language import RNNLanguageModel
from ..estimators.model import Model, build_network, loss_arguments
from ..utils.checks import random_generator
from ..utils.standardization import Standardization
from .adapt import UserLabels, classifier_head, language_head, read_vocabulary, regressor_head
from .foreign import ForeignNetwork

# The remedy where what gives a converted network its arguments is no estimator.
GIVEN = "Pass one with the arguments of the result, such as RNNClassifier()."


class Converted(NamedTuple):
    """A converted network, and where its tokens and outputs stand in the source."""

    estimator: Any
    rows: list[int]  # of the source's embedding, one for each code; -1 for none
    outputs: np.ndarray  # of the source, one for each of ours; -1 for none
    padded: bool  # whether the embedding's row 0 is padding, which the source leaves out


@contextmanager
def enough_memory() -> Iterator[None]:
    """Raise a ValueError about the source where memory ends."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(
            f"source must be a network that fits in memory, got one that does not: {error}. "
            "Free some memory."
        ) from error


def build(estimator: Any, foreign: ForeignNetwork, labels: UserLabels) -> Converted:
    """Return a new estimator with a foreign network.

    Raises
    ------
    ValueError
        If an argument does not fit the network.
    """
    result = _unfitted(estimator, foreign)
    language = isinstance(result, RNNLanguageModel)
    tokens = checked(type(result), {"tokens": result.tokens})["tokens"]
    vocabulary, rows = read_vocabulary(foreign, labels.vocabulary, tokens, language=language)
    if vocabulary is not None:
        result.set_params(tokens=vocabulary.kind)
    if language:
        head = language_head(foreign, labels, rows, tied=result.tie_weights)
    elif isinstance(result, RNNClassifier):
        head = classifier_head(foreign, labels, result.target == "step")
    else:
        given = {name: getattr(result, name) for name in ("dtype", "loss", "quantile")}
        known = checked(RNNRegressor, given)
        quantiles = several_quantiles(known["loss"], known["quantile"])
        step = result.target == "step"
        head = regressor_head(foreign, labels, step, known["dtype"], quantiles)
    arrays = foreign.layers()
    if foreign.embedding is not None:
        zeros = np.zeros(foreign.embedding.shape[1])
        # The last row, -1, is that of an unknown token which the source does not have.
        arrays["embedding.W"] = np.vstack([foreign.embedding, zeros])[rows]
    if head.W is not None:
        arrays["head.W"] = head.W
    arrays["head.b"] = head.b
    arguments = result._checked()
    form = _form(foreign, arguments.get("patch", 1), arguments.get("missing", "error"), vocabulary)
    adopt(result, None if language else form, arrays, head.targets, vocabulary)
    return Converted(result, rows, head.outputs, foreign.padded)


def _unfitted(estimator: Any, foreign: ForeignNetwork) -> Any:
    """Return a copy of an estimator with the arguments that the source determines."""
    arguments = estimator.get_params(deep=False)
    arguments["cell"] = foreign.cell
    arguments["hidden_layer_sizes"] = foreign.sizes
    # A generator is copied: the given estimator's must not advance when the result is trained on.
    arguments["random_state"] = copy.deepcopy(arguments["random_state"])
    if foreign.embedding is not None:
        arguments["embedding_size"] = foreign.n_features
    if isinstance(estimator, RNNLanguageModel):
        _check_language(foreign, arguments["output"])
        arguments["output"] = "softmax"
    else:
        arguments["bidirectional"] = foreign.bidirectional
        arguments["pooling"] = _pooling(estimator, foreign)
        arguments["target"] = foreign.target or arguments["target"]
        arguments["head_layer_sizes"] = tuple(len(layer.b) for layer in foreign.hidden)
        arguments["head_activation"] = foreign.head_activation or arguments["head_activation"]
    return type(estimator)(**arguments)


def _pooling(estimator: Any, foreign: ForeignNetwork) -> str:
    """Return how the source pools: what the source or `read` says, else the estimator."""
    if foreign.attention is not None:
        return "attention"
    given: str = estimator.pooling
    return foreign.pooling or ("last" if given == "attention" else given)


def _check_language(foreign: ForeignNetwork, output: Any) -> None:
    """Refuse a network that cannot be a language model's."""
    if foreign.bidirectional or foreign.target == "sequence":
        kind = "a bidirectional network" if foreign.bidirectional else "one output per sequence"
        raise ValueError(
            "source must read forward and have an output for every step to be an RNNLanguageModel, "
            f"got {kind}. Use RNNClassifier."
        )
    if foreign.hidden:
        raise ValueError(
            "source must have one linear layer after the recurrent ones to be an RNNLanguageModel, "
            f"got {1 + len(foreign.hidden)}. Use RNNClassifier."
        )
    if output == "adaptive":
        raise ValueError(
            "output must be 'auto' or 'softmax', got 'adaptive'. The source has one linear layer."
        )


def _form(
    foreign: ForeignNetwork, patch: int | str, missing: str, vocabulary: Vocabulary | None
) -> Form:
    """Return the form of X for which a foreign network was made, perhaps to read patches."""
    if vocabulary is not None:
        refuse_for_tokens(patch, missing)
        return Form(1, is_table=False)
    if missing != "error":
        raise ValueError(
            f"missing must be 'error' for a network of another library, got {missing!r}. Give X "
            "with the columns that it was trained on."
        )
    steps = 1 if patch == "auto" else int(patch)
    F, rest = divmod(foreign.n_features, steps)
    if rest:
        raise ValueError(
            f"patch must divide the {foreign.n_features} inputs of the source, got {patch}. "
            "Give the number of steps that it reads as one input."
        )
    return Form(F, is_table=False, patch=steps)


def adopt(
    estimator: Any,
    form: Form | None,
    arrays: Mapping[str, np.ndarray],
    targets: Any,
    vocabulary: Vocabulary | None,
    standardization: Standardization | None = None,
) -> None:
    """Build the model and give it to the estimator.

    Parameters
    ----------
    estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
        With the arguments that the network has; it becomes fitted.
    form : Form or None
        The form of X; None for a language model.
    arrays : mapping of str to ndarray
        The network's arrays by our names.
    targets : Targets or None
        What the outputs stand for; None for a language model.
    vocabulary : Vocabulary or None
        The tokens, if the network reads some.
    standardization : Standardization or None, default=None
        What is done to the columns of a step before the network reads them.

    Raises
    ------
    ValueError
        If a weight is not finite in the estimator's dtype.
    """
    arguments = estimator._checked()
    n_tokens = len(vocabulary or ())
    if form is None:
        architecture = estimator._architecture(arguments, n_tokens)
    else:
        n_outputs = targets.n_outputs
        architecture = estimator._architecture(arguments, n_outputs, form.input_features, n_tokens)
    network = build_network(architecture)
    # A weight too large for float32 becomes infinite, which is refused below.
    with np.errstate(over="ignore"):
        network.assign(arrays)
    if not np.isfinite(network.parameters).all():
        raise ValueError(
            f"dtype must hold the source's weights, got {arguments['dtype']!r}. "
            "Use dtype='float64'."
        )
    rng = random_generator(estimator.random_state)
    model = Model(
        architecture=architecture,
        network=network,
        targets=targets,
        vocabulary=vocabulary,
        solver=arguments["solver"],
        rng=rng,
        form=form,
        loss={} if form is None else loss_arguments(arguments),
        standardization=standardization,
    )
    estimator._adopt(model)
