"""`BaseLanguageModel`: likelihoods, next tokens and generated texts of a fitted language model."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..cells import CELLS
from ..data.corpus import BOUNDARY, Corpus, check_context, joiner, read_corpus
from ..training.texts import TextBatches
from ..utils import checks
from .estimator import NetworkEstimator

if TYPE_CHECKING:
    from ..nn.stepper import Stepper
    from ..training.trainable import TrainableNetwork
    from .model import Model


# Texts and steps of each that are scored at once: neither changes what is summed, and the
# arguments may have been set anew since the fit.
_SCORED = (32, 64)
_LARGEST = math.log(sys.float_info.max)  # whose exponential float64 holds
_SHARPEST = 1e300  # one over the lowest temperature


class BaseLanguageModel(NetworkEstimator):
    """Base class of the language model: what needs no training; not for use by itself."""

    _start = BOUNDARY

    # -- likelihood -------------------------------------------------------------------------------

    def score(self, texts: Any, y: Any = None) -> float:
        """Return the mean log likelihood per token, in nats.

        The end of each text counts as a token.

        Parameters
        ----------
        texts : as in `fit`
            Texts; an unknown token has the probability of "<unknown>".
        y : None, default=None
            Ignored.

        Returns
        -------
        score : float
            At most 0.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If the texts are not of the kind that `fit` was given.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), max_iter=2, random_state=0).fit(["abc"] * 5)
        >>> model.score(["abc"]) < 0
        True
        """
        return -self._mean_loss(texts)[0]

    def perplexity(self, texts: Any) -> float:
        """Return the perplexity, ``exp(-score(texts))``.

        It is the number of equally probable tokens among which the choice would be as uncertain.

        Parameters
        ----------
        texts : as in `fit`
            Texts.

        Returns
        -------
        perplexity : float
            At least 1.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If the texts are not of the kind that `fit` was given.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), max_iter=2, random_state=0).fit(["abc"] * 5)
        >>> model.perplexity(["abc"]) > 1
        True
        """
        loss = self._mean_loss(texts)[0]
        if loss > _LARGEST:
            raise ValueError(
                f"texts must have a perplexity that float64 holds, got exp({loss:.4g}). Use score."
            )
        return math.exp(loss)

    def bits_per_character(self, texts: Any) -> float:
        """Return the number of bits per character that it takes to encode texts with this model.

        A model of words can be compared with one of characters. It leaves out the blanks between
        words, which therefore cost it nothing.

        Parameters
        ----------
        texts : as in `fit`
            Texts, as str.

        Returns
        -------
        bits : float
            At least 0.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError
            If the tokens are categories, which have no characters.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), max_iter=2, random_state=0).fit(["abc"] * 5)
        >>> model.bits_per_character(["abc"]) > 0
        True
        """
        loss, corpus = self._mean_loss(texts)  # nats per token
        if not corpus.n_characters:
            raise ValueError(
                "texts must be str for bits_per_character, got lists of tokens. Use perplexity."
            )
        n_tokens = sum(len(text) + 1 for text in corpus.texts)  # with the end of each text
        return loss * n_tokens / math.log(2) / corpus.n_characters

    def _mean_loss(self, texts: Any) -> tuple[float, Corpus]:
        """Return the mean cross-entropy of texts in nats per token, and the encoded texts."""
        model = self._fitted()
        corpus = read_corpus(texts, vocabulary=model.vocabulary)
        batches = text_batches(model.architecture, corpus, *_SCORED)
        with self._placed(model.network, batches.count) as network:
            loss = mean_loss(network, batches)
        if not math.isfinite(loss):
            raise ValueError(
                f"texts must have a finite likelihood, got {-loss}: the network overflows in "
                f"{model.network.dtype}. Fit again with a lower learning_rate_init."
            )
        return loss, corpus

    def predict_proba(self, contexts: Iterable[Any]) -> np.ndarray:
        """Return the probability of every token after each context.

        Parameters
        ----------
        contexts : list of str or of token lists
            Beginnings of texts; after an empty one comes the first token of a text.

        Returns
        -------
        probabilities : ndarray (n, V)
            Columns in the order of `vocabulary_`.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If the contexts are one str, or not of the kind that `fit` was given.
        ValueError
            If there is no context.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), max_iter=2, random_state=0).fit(["abc"] * 5)
        >>> model.predict_proba(["", "ab"]).shape
        (2, 5)
        """
        return self._probabilities(self._fitted(), contexts)

    def _probabilities(self, model: Model, contexts: Iterable[Any]) -> np.ndarray:
        """Return the probabilities (n, V) of every token after each context."""
        if isinstance(contexts, str):
            raise TypeError(
                f"contexts must be a list of contexts, got the text {checks.shown(contexts)}. "
                "Put it into a list."
            )
        from ..losses import softmax

        vocabulary: Any = model.vocabulary
        codes = [
            check_context(context, vocabulary, f"contexts[{index}]")
            for index, context in enumerate(contexts)
        ]
        if not codes:
            raise ValueError(
                "contexts must hold at least one context, got none. An empty text is one: ['']."
            )
        outputs, _ = self._computed(model, codes, "final_outputs", "contexts")
        return softmax(outputs)

    def predict_next(self, context: Any, k: int = 5) -> list[tuple[Any, float]]:
        """Return the k most probable next tokens with their probabilities.

        Parameters
        ----------
        context : str or list of tokens
            Beginning of a text, which may be empty.
        k : int >= 1, default=5
            Number of tokens.

        Returns
        -------
        tokens : list of (token, float)
            The most probable first; "<unknown>" is left out.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If k is not a positive integer, or the context not of the kind that `fit` was given.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), max_iter=30, learning_rate_init=0.03)
        >>> model = model.set_params(random_state=0).fit(["abc"] * 5)
        >>> [token for token, probability in model.predict_next("ab", k=1)]
        ['c']
        """
        model = self._fitted()
        k = checks.integer("k", k, 1)
        probabilities = self._probabilities(model, [context])[0]
        # Code 0 is "<unknown>".
        likeliest = 1 + np.argsort(-probabilities[1:], kind="stable")[:k]
        vocabulary: Any = model.vocabulary
        tokens = vocabulary.tokens
        return [(tokens[code], float(probabilities[code])) for code in likeliest.tolist()]

    def _stream_methods(self, model: Model) -> dict[str, tuple[Any, Any]]:
        from ..losses import softmax

        return {"predict_proba": (softmax, lambda output: softmax(output[None])[0])}

    # -- generation -------------------------------------------------------------------------------

    def generate(
        self,
        prompt: Any = "",
        n_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        random_state: Any = None,
    ) -> Any:
        """Continue a text, drawing each token by its probability after all tokens before it.

        Parameters
        ----------
        prompt : str or list of tokens, default=""
            Beginning of the text, which is not returned; tokens that `fit` has not seen count as
            unknown. A model of one long text has seen only once how a text begins: give it a
            prompt from within that text.
        n_tokens : int >= 0, default=100
            Largest number of tokens to draw; there are fewer if the text ends before.
        temperature : float > 0, default=1.0
            Below 1 probable tokens become still more probable, above 1 less; in the limit of 0
            the most probable one is drawn.
        top_k : int >= 1 or None, default=None
            Draw from this many of the most probable tokens; with 1 the text is deterministic. More
            than there are means all.
        top_p : float in (0, 1], default=1.0
            Draw from the most probable tokens that together have this probability [1]_.
        random_state : int, RandomState, Generator or None, default=None
            Source of the draws.

        Returns
        -------
        text : str or list of tokens
            The continuation, without the prompt; a list if tokens are categories.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If an argument is out of its range, or the prompt not of the kind that `fit` was given.

        References
        ----------
        .. [1] Holtzman, A., Buys, J., Du, L., Forbes, M. and Choi, Y. (2020). The curious case of
           neural text degeneration. ICLR.

        Examples
        --------
        >>> from lightrnn import RNNLanguageModel
        >>> model = RNNLanguageModel("rnn", (8,), max_iter=30, learning_rate_init=0.03)
        >>> model = model.set_params(random_state=0).fit(["abc"] * 5)
        >>> model.generate("a", top_k=1)
        'bc'
        """
        model = self._fitted()
        vocabulary: Any = model.vocabulary
        n_tokens = checks.integer("n_tokens", n_tokens, 0)
        temperature = checks.real("temperature", temperature, 0, low_open=True)
        # Of a temperature this low even neighbouring logits differ by more than `exp` can tell, so
        # that one over it, which would be infinity, need not be greater.
        sharpness = min(1.0 / temperature, _SHARPEST)
        most = len(vocabulary)
        top_k = most if top_k is None else min(checks.integer("top_k", top_k, 1), most)
        top_p = checks.real("top_p", top_p, 0, 1, low_open=True)
        rng = checks.random_generator(random_state)
        stepper, codes = _after(model, check_context(prompt, vocabulary, "prompt"))
        drawn: list[int] = []
        for _ in range(n_tokens):
            logits = stepper.step(codes)[0]  # (V,)
            code = cpu.sampling.draw(logits, BOUNDARY, sharpness, top_k, top_p, rng.random())
            if code == BOUNDARY:
                break
            drawn.append(code)
            codes[0] = code
        join = joiner(vocabulary.kind)
        return join(vocabulary.tokens[drawn].tolist())


def _after(model: Model, codes: np.ndarray) -> tuple[Stepper, np.ndarray]:
    """Return a stepper that has read all codes but the last, and the last one, (1,)."""
    with cpu.once.MAKING:
        from ..nn.stepper import Stepper

    stepper = Stepper(model.network, 1)
    for code in codes[:-1]:
        stepper.take(code[None])
    # A copy, because `generate` overwrites it.
    return stepper, codes[-1:].copy()


def text_batches(
    architecture: dict[str, Any], corpus: Corpus, batch_size: int, truncate: int, **order: Any
) -> TextBatches:
    """Return the minibatches of a corpus for a network; `order` are `rng` and `shuffle`."""
    # Recurrent cells carry a state, so they need no tokens before a chunk.
    window = 0 if CELLS[architecture["cell"]].recurrent else architecture["window"]
    return TextBatches(corpus.texts, BOUNDARY, batch_size, truncate, window, **order)


def mean_loss(network: TrainableNetwork, batches: TextBatches) -> float:
    """Return the mean cross-entropy in nats per token.

    The states are carried in a copy of the network, so that several threads may call this at once.
    """
    network = network.detached()
    losses = (network.score(batch) * batch.n_targets for _, batch in batches.epoch(network))
    return float(sum(losses) / batches.n_targets)
