"""A comparison as a page: which net, how it learned, its horizon, cost and errors, what is next."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .compare import Comparison, Result, key_to, rows_of
from .page import Page, heat_map, line_chart

_CLASSES = 12  # of a confusion matrix that is drawn
_POINTS = 300  # of a picture of residuals


def report(comparison: Comparison) -> Page:
    """Return the page of a comparison.

    Parameters
    ----------
    comparison : Comparison
        What `compare` returned.
    """
    page = Page("Which net suits your data?")
    best = _best(comparison.results)
    page.text(verdict(comparison))
    header, rows = rows_of(comparison)
    caption = "Score on held-out sequences, mean and deviation over folds."
    page.table(header, rows, " ".join([caption, *key_to(comparison)]))
    nets = [result for result in comparison.results if result.loss_curve]
    if nets:
        page.heading("How the nets learned")
        page.figure(
            line_chart(
                {net.name: (range(1, 1 + len(net.loss_curve)), net.loss_curve) for net in nets},
                ("epoch", "training loss"),
                "Training loss by epoch of "
                + "; ".join(f"{net.name}, last {net.loss_curve[-1]:.3g}" for net in nets),
                log="y" if all(min(net.loss_curve) > 0 for net in nets) else "",
            ),
            "Training loss of the last fold.",
        )
    page.heading("What a score costs")
    # A model that reads no X costs nothing, and would push all others into a corner.
    timed = [result for result in comparison.results if result.n_parameters > 1]
    page.figure(
        line_chart(
            {result.name: ([result.seconds], [result.scores.mean()]) for result in timed},
            ("seconds of a fit", comparison.score),
            "Score by seconds: "
            + "; ".join(f"{r.name} {r.scores.mean():.3f} in {r.seconds:.2g} s" for r in timed),
            log="x",
            marks=True,
        ),
        "Up and to the left is better.",
    )
    if comparison.y is not None and best.predicted is not None:
        _errors(page, best.name, comparison.y, best.predicted)
    page.heading("What to change next")
    page.text(*advice(comparison))
    return page


def verdict(comparison: Comparison) -> str:
    """Return a sentence that names the best model, and says whether memory buys anything."""
    best = _best(comparison.results)
    score = comparison.score
    text = f"{best.name} has the best {score}, {best.scores.mean():.3f}."
    memory = [r for r in comparison.results if r.loss_curve and not r.name.startswith("ffnn")]
    others = [r for r in comparison.results if r not in memory]
    if not memory or not others:
        return text
    gain = _best(tuple(memory)).scores - _best(tuple(others)).scores
    if gain.mean() <= 0:
        return f"{text} Memory buys nothing here."
    # Folds have the same sequences for every model, so that their differences count.
    error = gain.std(ddof=1) / math.sqrt(len(gain))
    if gain.mean() < 2 * error:
        return f"{text} Memory buys {gain.mean():.3f}, less than twice its standard error."
    return f"{text} Memory buys {gain.mean():.3f} over the best model without."


def advice(comparison: Comparison) -> list[str]:
    """Return sentences on what to change, each for a reason that the results give."""
    best = _best(comparison.results)
    found = []
    if not best.loss_curve:
        found.append(
            f"Keep {best.name}: a model without a network is as good here, and simpler. More "
            "sequences, or features in which order matters, could change that."
        )
    else:
        tail = best.loss_curve[-max(2, len(best.loss_curve) // 5) :]
        if tail[-1] < 0.9 * tail[0]:
            found.append("The loss was still falling at the end: train for more --epochs.")
        if math.isinf(best.horizon):
            found.append(
                "The memory reaches beyond the longest sequence: longer ones may say more."
            )
        elif not best.name.startswith("ffnn"):
            found.append(
                f"The memory fades within {best.horizon:.0f} steps. If more matters, try patch, or "
                "forget_bias='chrono'."
            )
        found.append(
            "Of the arguments try early_stopping=True and dropout first, hidden_layer_sizes last."
        )
    spread = best.scores.std()
    if spread > 0.05:
        found.append(
            f"The score differs by {spread:.2f} between folds: more data would make it surer."
        )
    return found


def _best(results: tuple[Result, ...]) -> Result:
    """Return the result of the highest mean score; the first of equals is the simplest."""
    return max(results, key=lambda result: float(result.scores.mean()))


def _errors(page: Page, name: str, y: np.ndarray, predicted: np.ndarray) -> None:
    """Add a confusion matrix, or predictions and residuals."""
    page.heading(f"Where {name} errs")
    if y.dtype.kind == "f":
        some = np.random.default_rng(0).permutation(len(y))[:_POINTS]
        order = some[np.argsort(y[some])]
        curves: dict[str, Any] = {
            "true": (range(len(order)), y[order]),
            "predicted": (range(len(order)), predicted[order]),
        }
        residuals = y - predicted
        alt = f"True and predicted values, sorted; residuals have deviation {residuals.std():.3g}."
        page.figure(line_chart(curves, ("sequence, by its true value", "y"), alt), alt)
        return
    classes, counts = np.unique(y, return_counts=True)
    classes = np.sort(classes[np.argsort(-counts)[:_CLASSES]])
    shares = np.array(
        [[np.mean(predicted[y == true] == said) for said in classes] for true in classes]
    )
    names = [str(label)[:16] for label in classes.tolist()]
    caption = "Share of each true class (rows) that is taken for each class (columns)."
    page.figure(heat_map(shares, names, names, caption), caption)
