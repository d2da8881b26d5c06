"""The second half of the files that `export_numpy` writes: from sequences to predictions.

`numpy_layers.py` is the first half and says how the code is copied.
"""

import json
import re
import sys
import unicodedata

import numpy as np

from .numpy_layers import WEIGHTS, final, head, hidden, sigmoid, softmax

TASK = "classes"
STEP = False
TOKENS = "number"
MARKS_APART = False  # whether words end at combining marks
FEATURES = 1  # numbers per step
PATCH = 1  # steps that are one input of the network
MISSING = False
STANDARDIZED = False
OUTPUTS = 2
QUANTILES = 0
SPECIAL = 1  # codes below it are no tokens of a text
RESULT = "float64"


if TOKENS == "char":

    def tokens(text):
        """Return the characters of a text."""
        return list(text)

elif TOKENS == "word" and MARKS_APART:

    def tokens(text):
        """Split a text into words and punctuation marks; white space is left out."""
        return re.findall(r"\w+(?:['\u2019]\w+)*|[^\w\s]", text)

elif TOKENS == "word":

    def tokens(text):
        """Split a text into words and symbols with their marks; white space is left out."""
        text = unicodedata.normalize("NFC", text)
        marks = "".join(c for c in sorted(set(text)) if unicodedata.category(c)[0] == "M")
        word = rf"[\w\u200c\u200d{marks}]+"
        symbol = rf"[^\s\w\u200c\u200d{marks}][\ufe0f{marks}]*"
        pattern = rf"{word}(?:['\u2019]{word})*|[(\[{{]|{symbol}(?:\u200d{symbol})*"
        return re.findall(pattern, text)

else:

    def tokens(categories):
        """Return a sequence of categories, which are its tokens."""
        if isinstance(categories, str):
            raise TypeError(f"A sequence must be a list of tokens, got the text {categories!r}.")
        return categories


if MISSING:

    def columns(sequence):
        """Carry the last value over NaN; beside it a 0/1 mark and the steps since: (T, 3 * F)."""
        x = np.asarray(sequence, np.float64)
        x = x.reshape(len(x), -1)  # (T,) becomes (T, 1), and a frame one row
        missing = np.isnan(x)
        number = np.arange(1, len(x) + 1)[:, None]
        last = np.maximum.accumulate(np.where(missing, 0, number), axis=0)  # 0 before the first
        values = np.take_along_axis(np.vstack([WEIGHTS["X_fill"], x]), last, axis=0)
        return np.hstack([values, ~missing, number - last])

else:

    def columns(sequence):
        """Return the numbers of each step, (T, F)."""
        x = np.asarray(sequence, np.float64)
        return x.reshape(len(x), -1)  # (T,) becomes (T, 1), and a frame one row


if STANDARDIZED:

    def as_floats(sequence):
        """Standardise each column in float64, then round it to the network's precision."""
        x = columns(sequence)
        standardized = (x - WEIGHTS["X_mean"]) / WEIGHTS["X_scale"]
        return standardized.astype(WEIGHTS["head.b"].dtype)

else:

    def as_floats(sequence):
        """Return numbers in the network's precision."""
        return columns(sequence).astype(WEIGHTS["head.b"].dtype)


if TOKENS == "number":

    def inputs(sequence):
        """Check one sequence and return it in the form (T, F)."""
        found = np.size(sequence) // len(sequence)
        if found != FEATURES:
            raise ValueError(f"A step must have {FEATURES} features, got {found}.")
        x = as_floats(sequence)
        if not np.isfinite(x).all():
            raise ValueError("A sequence must be finite, got NaN or infinity.")
        return x

elif TASK == "language":

    def inputs(context):
        """Look up the embeddings of the start of a text, code 1, and of each token, (T, F)."""
        codes = [CODES.get(token, 0) for token in tokens(context)]
        return WEIGHTS["embedding.W"][[1, *codes]]

else:

    def inputs(sequence):
        """Look up the embedding of each token, (T, F); row 0 stands for unknown tokens."""
        codes = [CODES.get(token, 0) for token in tokens(sequence)]
        if not codes:
            raise ValueError("A sequence must have at least one token, got none.")
        return WEIGHTS["embedding.W"][codes]


def patches(x):
    """Return a sequence (T, F) in patches of steps; what is missing of the last is step T again."""
    missing = np.repeat(x[-1:], -len(x) % PATCH, axis=0)
    return np.concatenate([x, missing]).reshape(-1, PATCH * x.shape[1])


if STEP:

    def outputs(X):
        """Return the raw outputs of each sequence: a list of (T, k)."""
        return [head(hidden(inputs(x))) for x in X]

elif PATCH > 1:

    def outputs(X):
        """Return the raw outputs of each sequence, (n, k), computed from its final states."""
        return np.array([head(final(hidden(patches(inputs(x))))) for x in X])

else:

    def outputs(X):
        """Return the raw outputs of each sequence, (n, k), of its final or pooled states."""
        return np.array([head(final(hidden(inputs(x)))) for x in X])


if TASK == "classes":

    def decode(raw):
        """Return the label of the greatest output."""
        return WEIGHTS["classes"][raw.argmax(axis=-1)]

    def probabilities(raw):
        """Return the probability of each class."""
        return softmax(raw)

elif TASK == "labels":

    def decode(raw):
        """Return 1 for each label that is more likely than not, else 0."""
        return (raw > 0).astype(np.int64)  # sigmoid(0) is 1 / 2

    def probabilities(raw):
        """Return the probability of each label."""
        return sigmoid(raw)

elif QUANTILES and QUANTILES < OUTPUTS:

    def decode(raw):
        """Return the quantiles of each column, ascending, in the units of y, in float64."""
        columns = np.sort(raw.reshape(*raw.shape[:-1], -1, QUANTILES), axis=-1)
        return (columns * WEIGHTS["y_scale"][:, None] + WEIGHTS["y_mean"][:, None]).astype(RESULT)

elif QUANTILES:

    def decode(raw):
        """Return the quantiles, ascending, in the units of y, computed in float64."""
        return (np.sort(raw, axis=-1) * WEIGHTS["y_scale"] + WEIGHTS["y_mean"]).astype(RESULT)

elif OUTPUTS == 1:

    def decode(raw):
        """Return the single output in the units of y, computed in float64."""
        return (raw * WEIGHTS["y_scale"] + WEIGHTS["y_mean"])[..., 0].astype(RESULT)

else:

    def decode(raw):
        """Return the outputs in the units of y, computed in float64."""
        return (raw * WEIGHTS["y_scale"] + WEIGHTS["y_mean"]).astype(RESULT)


if TASK == "language":

    def predict_proba(contexts):
        """Return the probability of every token after each context.

        Parameters
        ----------
        contexts : list
            Beginnings of texts, in the form that this file's first lines describe; after an empty
            one comes the first token of a text.

        Returns
        -------
        ndarray of shape (n, V)
            Columns in the order of VOCABULARY.
        """
        return softmax(outputs(contexts))

    def predict_next(context, k=5):
        """Return the k likeliest next tokens, each with its probability."""
        probabilities = predict_proba([context])[0]
        # Code 0 is the unknown token.
        likeliest = 1 + np.argsort(-probabilities[1:], kind="stable")[:k]
        return [(VOCABULARY[code], float(probabilities[code])) for code in likeliest]

    def show(contexts):
        """Print the likeliest next tokens for each context."""
        for context in contexts:
            print(predict_next(context))

    def save(path, contexts):
        """Write the probabilities of all tokens after each context to a file."""
        np.save(path, predict_proba(contexts))

elif STEP:

    def predict(X):
        """Return the prediction for every step.

        Parameters
        ----------
        X : list
            Sequences, in the form that this file's first lines describe.

        Returns
        -------
        list of ndarray of shape (T,) or (T, k)
            One array per sequence.
        """
        return [decode(raw) for raw in outputs(X)]

    def predict_proba(X):
        """Return the probabilities at every step, a list of (T, k), for X as in `predict`."""
        return [probabilities(raw) for raw in outputs(X)]

    def save(path, X):
        """Write the predictions to a file, one array per sequence."""
        np.savez(path, *predict(X))

else:

    def predict(X):
        """Return the prediction for each sequence.

        Parameters
        ----------
        X : list
            Sequences, in the form that this file's first lines describe.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
        """
        return decode(outputs(X))

    def predict_proba(X):
        """Return the probabilities for each sequence, (n, k), for X as in `predict`."""
        return probabilities(outputs(X))

    def save(path, X):
        """Write the predictions to a file."""
        np.save(path, predict(X))


if TASK != "language":

    def show(X):
        """Print the predictions for each sequence, one sequence per line."""
        for prediction in predict(X):
            print(prediction.tolist())


def load(path):
    """Return the sequences in a file: those along the first axis of a .npy, or a .npz's arrays."""
    data = np.load(path)
    return data if isinstance(data, np.ndarray) else [data[name] for name in data.files]


def main():
    """Print the predictions for each sequence in a file, or save all of them."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sequences = load(sys.argv[1])
    if len(sys.argv) == 2:
        show(sequences)
    else:
        save(sys.argv[2], sequences)


if TOKENS != "number":
    VOCABULARY = json.loads(WEIGHTS["vocabulary"].tobytes())
    CODES = {token: code for code, token in enumerate(VOCABULARY) if code >= SPECIAL}

if __name__ == "__main__":
    main()
