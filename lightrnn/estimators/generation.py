"""What a language model says of texts: their likelihood, the next token, and how they go on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..base import check_is_fitted
from ..data.corpus import BOUNDARY, Corpus, check_context, joiner, read_corpus
from ..utils import checks
from ..utils.checks import random_generator
from .estimator import NetworkEstimator

if TYPE_CHECKING:
    from ..nn.stepper import Stepper
    from ..training.texts import TextBatches
    from ..training.trainable import TrainableNetwork


class Completion(NetworkEstimator):
    """Base of the language model; not for use by itself."""

    n_jobs: int | None
    _start = BOUNDARY

    # -- likelihood ---------------------------------------------------------------------------------------------------

    def score(self, texts: Any, y: Any = None) -> float:
        """Return the mean log likelihood of a token, in nats; the end of a text counts as one.

        Parameters
        ----------
        texts : as in `fit`
            Texts; unknown tokens have the probability of "<unknown>".
        y : None
            Ignored.

        Returns
        -------
        float, at most 0
        """
        return -self._loss_of(texts)[0]

    def perplexity(self, texts: Any) -> float:
        """Return ``exp(-score(texts))``: how many equally likely tokens leave as much open."""
        return math.exp(self._loss_of(texts)[0])

    def bits_per_character(self, texts: Any) -> float:
        """Return the bits that a text takes in this model, per character; of words too, whose blanks then are free.

        Raises
        ------
        ValueError
            If the tokens are categories, which have no characters.
        """
        loss, corpus = self._loss_of(texts)
        if not corpus.n_characters:
            raise ValueError(
                "texts must be str for bits_per_character, got lists of tokens. Use perplexity."
            )
        n_tokens = sum(len(text) + 1 for text in corpus.texts)
        return loss * n_tokens / math.log(2) / corpus.n_characters

    def _loss_of(self, texts: Any) -> tuple[float, Corpus]:
        """Return the mean cross-entropy of texts, and these encoded."""
        check_is_fitted(self)
        corpus = read_corpus(texts, vocabulary=self._model.vocabulary)
        feed = self._feed(corpus)
        with self._placed(feed.count) as network:
            return mean_loss(network, feed), corpus

    def predict_proba(self, contexts: Iterable[Any]) -> np.ndarray:
        """Return the probability of every token after each context.

        Parameters
        ----------
        contexts : list of str or of token lists
            Beginnings of texts; an empty one asks for a text's first token.

        Returns
        -------
        ndarray (n, V)
            Columns in the order of `vocabulary_`.
        """
        check_is_fitted(self)
        if isinstance(contexts, str):
            raise TypeError(
                f"contexts must be a list of contexts, got the text {checks.shown(contexts)}. Put it into a list."
            )
        from ..losses import softmax

        codes = [
            check_context(c, self._vocabulary, f"contexts[{i}]") for i, c in enumerate(contexts)
        ]
        if not codes:
            raise ValueError(
                "contexts must hold at least one context, got none. An empty text is one: ['']."
            )
        with self._placed(sum(map(len, codes))) as network:
            outputs = network.final_outputs(codes, cpu.threads.usable(self.n_jobs))
        return softmax(outputs)

    def predict_next(self, context: Any, k: int = 5) -> list[tuple[Any, float]]:
        """Return the k likeliest next tokens, each with its probability; "<unknown>" is none.

        Parameters
        ----------
        context : str or list of tokens
            The beginning of a text, which may be empty.
        k : int >= 1
            How many.
        """
        check_is_fitted(self)
        k = checks.integer("k", k, 1)
        probabilities = self.predict_proba([context])[0]
        likeliest = 1 + np.argsort(-probabilities[1:], kind="stable")[:k]
        return [
            (self._vocabulary.tokens[code], float(probabilities[code]))
            for code in likeliest.tolist()
        ]

    def _answers(self) -> dict[str, tuple[Any, Any]]:
        from ..losses import softmax

        return {"predict_proba": (softmax, lambda row: softmax(row[None])[0])}

    # -- writing ------------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: Any = "",
        n_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        random_state: Any = None,
    ) -> Any:
        """Go on with a text, token by token, each drawn by its probability after all before.

        Parameters
        ----------
        prompt : str or list of tokens
            The beginning, which is not returned; tokens that `fit` has not seen count as unknown. A model of one long
            text has seen once how a text begins: give it a prompt as it stands within the text.
        n_tokens : int >= 0
            The most tokens to draw; fewer if the text ends before.
        temperature : float > 0
            Below 1 likely tokens become likelier still, above 1 the reverse.
        top_k : int >= 1 or None
            Draw from so many of the likeliest tokens; 1 always takes the likeliest.
        top_p : float in (0, 1]
            Draw from the likeliest tokens that have this much of the probability together [1]_.
        random_state : None, int, RandomState or Generator
            Draws.

        Returns
        -------
        str, or list of categories
            What follows the prompt.

        References
        ----------
        .. [1] Holtzman, A., Buys, J., Du, L., Forbes, M. and Choi, Y. (2020). The curious case of neural text
           degeneration. ICLR.
        """
        check_is_fitted(self)
        n_tokens = checks.integer("n_tokens", n_tokens, 0)
        temperature = checks.real("temperature", temperature, 0, low_open=True)
        top_k = len(self._vocabulary) if top_k is None else checks.integer("top_k", top_k, 1)
        top_p = checks.real("top_p", top_p, 0, 1, low_open=True)
        rng, sharpness = random_generator(random_state), 1.0 / temperature
        stepper, codes = self._after(check_context(prompt, self._vocabulary, "prompt"))
        drawn: list[int] = []
        for uniform in rng.random(n_tokens):
            code = cpu.sampling.draw(
                stepper.step(codes)[0], BOUNDARY, sharpness, top_k, top_p, uniform
            )
            if code == BOUNDARY:
                break
            drawn.append(code)
            codes[0] = code
        joined = joiner(self._vocabulary.kind)
        return joined(self._vocabulary.tokens[drawn].tolist())

    def _after(self, codes: np.ndarray) -> tuple[Stepper, np.ndarray]:
        """Return a stepper that has seen all codes but the last, and that one."""
        from ..nn.stepper import Stepper

        stepper = Stepper(self._model.network, 1)
        for code in codes[:-1]:
            stepper.read(code[None])
            stepper.advance()
        return stepper, codes[-1:].copy()

    @property
    def _vocabulary(self) -> Any:
        return self._model.vocabulary

    def _feed(self, corpus: Corpus) -> TextBatches:
        """Return readers of a corpus, in order."""
        raise NotImplementedError


def mean_loss(network: TrainableNetwork, feed: TextBatches) -> float:
    """Return the mean cross-entropy in nats a token; the states are carried aside, so that many may ask at once."""
    network = network.detached()
    return (
        sum(network.score(batch) * batch.weight for _, batch in feed.epoch(network)) / feed.weight
    )
