"""Displays rendered to PNG: their labels, and that they draw the data that were measured."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNForecaster, RNNLanguageModel, RNNRegressor
from lightrnn.inspection import attribution, gate_activations, gradient_flow
from lightrnn.plotting import (
    AttributionDisplay,
    GateDisplay,
    GradientFlowDisplay,
    LearningCurveDisplay,
    UnrolledNetworkDisplay,
)

pytest.importorskip("matplotlib").use("Agg")

QUICK = {"max_iter": 2, "learning_rate": "cosine", "random_state": 0}
X = np.random.default_rng(0).normal(size=(12, 9, 2))
Y = X[:, 0, 0]
WORDS = ["starving , she went to buy food", "thirsty , he ran to buy water"] * 4


@pytest.fixture(autouse=True)
def _close():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def rendered(display):
    """Return a display after checking that it can be written and lies on the paper as a whole."""
    figure = display.figure_
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG") and len(file.getvalue()) > 3000
    box = figure.get_tightbbox()  # inches; lines may lie half outside
    width, height = figure.get_size_inches()
    assert -0.05 < box.x0 < box.x1 < width + 0.05
    assert -0.05 < box.y0 < box.y1 < height + 0.05
    return display


def texts(ax):
    """Return all texts on some axes in one."""
    return " ".join(text.get_text() for text in ax.texts)


def test_gradient_flow_draws_what_was_measured_and_overlays_cells():
    ax = None
    for cell in ("rnn", "gru", "lstm"):
        net = RNNRegressor(cell, (4,), **QUICK).fit(X, Y)
        display = rendered(GradientFlowDisplay.from_estimator(net, X, ax=ax))
        ax = display.ax_
        mean = gradient_flow(net, X).mean()
        np.testing.assert_allclose(display.line_.get_ydata(), mean / mean[0])
    assert ax.get_yscale() == "log" and ax.get_xlabel() == "steps before the end"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["rnn", "gru", "lstm"]
    assert len({line.get_color() for line in ax.get_legend().get_lines()}) == 3
    assert len({line.get_linestyle() for line in ax.get_legend().get_lines()}) == 3
    again = display.plot()
    assert again.ax_ is not ax and len(again.ax_.get_legend().get_texts()) == 1


def test_the_number_of_sequences_at_each_lag_stands_above():
    net = RNNRegressor("gru", (4,), **QUICK).fit(X, Y)
    display = rendered(GradientFlowDisplay.from_estimator(net, [*X, X[0][:4]]))
    assert display.n_sequences.tolist() == [13] * 4 + [12] * 5
    (above,) = display.ax_.child_axes
    ticks = [
        (tick, label.get_text())
        for tick, label in zip(above.get_xticks(), above.get_xticklabels(), strict=True)
    ]
    assert (2.0, "13") in ticks and (6.0, "12") in ticks and (10.0, "12") not in ticks
    assert not rendered(GradientFlowDisplay.from_estimator(net, X)).ax_.child_axes


@pytest.mark.parametrize("kind", ["input", "jacobian", "spectral"])
def test_other_norms_have_their_own_label(kind):
    net = RNNRegressor("gru", (4,), **QUICK).fit(X, Y)
    display = rendered(GradientFlowDisplay.from_estimator(net, X, kind=kind, label="mine"))
    assert display.ax_.get_ylabel().count("partial") == 2
    assert display.ax_.get_legend().get_texts()[0].get_text() == "mine"
    flow = gradient_flow(net, X, spectral=True)
    np.testing.assert_allclose(display.mean, flow.mean(kind) / flow.mean(kind)[0])


def test_a_feed_forward_net_ends_where_its_window_ends():
    net = RNNRegressor("ffnn", (4,), window=3, **QUICK).fit(X, Y)
    display = rendered(GradientFlowDisplay.from_estimator(net, X, kind="input"))
    assert np.isfinite(display.line_.get_ydata()).tolist() == [True] * 3 + [False] * 6


def test_gates_of_numbers_and_of_words():
    net = RNNRegressor("lstm", (20,), **QUICK).fit(X, Y)
    display = rendered(GateDisplay.from_estimator(net, X[0]))
    values = gate_activations(net, X[:1])["layer0"]["forget"][0]
    np.testing.assert_array_equal(display.image_.get_array(), values[:, display.units].T)
    assert len(display.units) == 16 and (np.diff(values.std(axis=0)[display.units]) <= 0).all()
    assert (display.ax_.get_title(), display.ax_.get_xlabel(), display.ax_.get_ylabel()) == (
        "Forget gate",
        "step",
        "unit",
    )
    words = RNNClassifier("gru", (4,), tokens="word", **QUICK).fit(WORDS, [0, 1] * 4)
    display = rendered(GateDisplay.from_estimator(words, WORDS[0], gate="reset", n_units=2))
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == WORDS[0].split()
    assert display.image_.get_array().shape == (2, 7)
    with pytest.raises(ValueError, match="gate must be one of 'reset', 'update', got 'forget'"):
        GateDisplay.from_estimator(words, WORDS[0], gate="forget")


def test_axes_of_a_network_that_reads_patches():
    net = RNNRegressor("gru", (4,), patch=2, **QUICK).fit(X, Y)
    display = rendered(GateDisplay.from_estimator(net, X[0]))
    assert display.ax_.get_xlabel() == "patch of 2 steps"
    display = rendered(GradientFlowDisplay.from_estimator(net, X))
    assert display.line_.get_xdata().tolist() == [0, 2, 4, 6, 8]
    display = rendered(AttributionDisplay.from_estimator(net, X[0]))
    assert len(display.shares) == len(X[0])


def test_attribution_of_words_and_of_numbers():
    words = RNNClassifier("gru", (4,), tokens="word", **QUICK).fit(WORDS, ["food", "water"] * 4)
    display = rendered(AttributionDisplay.from_estimator(words, WORDS[1], "water"))
    assert [text.get_text() for text in display.texts_] == WORDS[1].split()
    np.testing.assert_array_equal(display.shares, attribution(words, WORDS[1:2], "water")[0])
    assert "water" in display.ax_.get_title() and display.ax_.get_figure() is display.figure_
    net = RNNRegressor("gru", (4,), **QUICK).fit(X, Y)
    display = rendered(AttributionDisplay.from_estimator(net, X[0], method="gradient"))
    assert [bar.get_height() for bar in display.ax_.patches] == display.shares.tolist()
    assert display.ax_.get_xlabel() == "step" and display.texts_ is None


def test_tokens_are_no_formulas():
    X = [["$a_{$", "b"], ["b", "$"]] * 4
    model = RNNClassifier("gru", (4,), **QUICK).fit(X, ["$x_{$", "y"] * 4)
    rendered(AttributionDisplay.from_estimator(model, X[0], "$x_{$"))
    rendered(GateDisplay.from_estimator(model, X[0]))


def test_attribution_of_a_text_breaks_its_lines():
    model = RNNLanguageModel("gru", (4,), max_iter=1, random_state=0).fit(
        ["to be or not to be"] * 3
    )
    display = rendered(AttributionDisplay.from_estimator(model, "to be or not " * 5))
    assert len({text.get_position()[1] for text in display.texts_}) == 2
    assert display.ax_.get_title().startswith("Attribution of")


def test_a_learning_curve_with_and_without_a_score():
    net = RNNRegressor("gru", (4,), **QUICK).fit(X, Y)
    display = rendered(LearningCurveDisplay.from_estimator(net))
    np.testing.assert_array_equal(display.ax_.lines[0].get_ydata(), net.loss_curve_)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel(), display.score_ax_) == (
        "epoch",
        "training loss",
        None,
    )
    net = RNNRegressor("gru", (4,), early_stopping=True, **QUICK).fit(X, Y)
    display = rendered(LearningCurveDisplay.from_estimator(net, label="squared error"))
    np.testing.assert_array_equal(display.score_ax_.lines[0].get_ydata(), net.validation_scores_)
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["squared error", "validation score"]
    with pytest.raises(ValueError, match="not fitted"):
        LearningCurveDisplay.from_estimator(RNNRegressor())


@pytest.mark.parametrize(
    ("estimator", "found"),
    [
        (
            RNNClassifier("lstm"),
            ["one cell: lstm", "forget", "output", "h, c", "64 units", "$x_{T}$", "$y$"],
        ),
        (
            RNNRegressor("gru", (64, 32), target="step"),
            ["reset", "update", "layer 1", "32 units", "$y_{1}$"],
        ),
        (RNNClassifier("rnn", (8,), bidirectional=True), ["rnn\nback"]),
        (RNNClassifier("ffnn", (8,), window=7), ["last 7 inputs"]),
        (RNNClassifier("ffnn", (8,), window=7, patch=5), ["last 7 patches of 5 steps"]),
        (RNNClassifier("ffnn", (8,), patch="auto"), ["last 20 inputs", "at every step"]),
        (RNNClassifier("gru", (8,), patch=5), ["$x_t$: a patch of 5 steps", "at every patch"]),
        (RNNClassifier("gru", (8,), patch="auto"), ["$x_t$: a patch of steps"]),
        (RNNClassifier("gru", pooling="attention", patch=1), ["attention over all steps", "$y$"]),
        (RNNClassifier("gru", pooling="max", patch=5), ["maximum over all patches", "$y$"]),
        (RNNLanguageModel("gru"), ["$y_{2}$"]),
        (RNNClassifier("rnn", head_layer_sizes=(9, 5)), ["output layer\n9 -> 5 hidden units"]),
    ],
)
def test_an_unrolled_network_names_its_parts(estimator, found):
    display = rendered(UnrolledNetworkDisplay.from_estimator(estimator, T=3))
    said = texts(display.ax_)
    assert all(part in said for part in found), said
    assert said.count("$x_{") == 3
    with pytest.raises(ValueError, match="T must be an integer from 2 to 12, got 1"):
        UnrolledNetworkDisplay.from_estimator(estimator, T=1)
    with pytest.raises(TypeError, match=r"estimator must be an RNN.* got RNNForecaster"):
        UnrolledNetworkDisplay.from_estimator(RNNForecaster())


@pytest.mark.parametrize(("patch", "both"), [("auto", True), (5, False)])
def test_an_unrolled_network_has_the_directions_of_the_fitted_one(patch, both):
    X = np.random.default_rng(0).normal(size=(8, 50, 1))
    estimator = RNNClassifier(hidden_layer_sizes=(2,), patch=patch, max_iter=1).fit(X, [0, 1] * 4)
    display = rendered(UnrolledNetworkDisplay.from_estimator(estimator))
    assert display.bidirectional is both is estimator._model.architecture["bidirectional"]


def test_a_cell_without_formulas_is_refused():
    with pytest.raises(ValueError, match="cell must be one of 'ffnn', 'rnn', 'gru', 'lstm', got"):
        UnrolledNetworkDisplay("linear", (4,))


def test_displays_are_pickled_by_their_public_module():
    display = UnrolledNetworkDisplay("gru", (4, 3))
    assert b"lightrnn.plotting" in pickle.dumps(display)
    assert b"network_diagram" not in pickle.dumps(display)
    assert pickle.loads(pickle.dumps(display)).sizes == (4, 3)


def test_without_matplotlib_the_error_says_how_to_install_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import lightrnn.plotting as p\n"
        "from lightrnn import RNNClassifier\n"
        "try: p.UnrolledNetworkDisplay.from_estimator(RNNClassifier())\n"
        "except ImportError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert said == (
        "matplotlib must be installed to draw, got none. Run: python -m pip install matplotlib\n"
    )


def test_attribution_as_a_heat_map_and_as_bars_of_features():
    net = RNNRegressor("gru", (4,), **QUICK).fit(X, Y)
    display = rendered(AttributionDisplay.from_estimator(net, X[0], method="integrated_gradients"))
    (image,) = display.ax_.images
    np.testing.assert_array_equal(image.get_array(), display.shares.T)
    curves = [line.get_ydata() for line in display.series_ax_.lines]
    np.testing.assert_array_equal(curves, np.asarray(X[0]).T)
    bar = next(ax for ax in display.figure_.axes if ax.get_label() == "<colorbar>")
    low, zero, high = (text.get_text() for text in bar.get_yticklabels())
    assert (low[0], zero, high[0]) == ("\N{MINUS SIGN}", "0", "+") and float(
        high[1:].split()[0]
    ) > 0
    display = rendered(
        AttributionDisplay.from_estimator(net, X[0], method="shapley", groups="feature")
    )
    widths = [bar.get_width() for bar in display.ax_.patches]
    assert sorted(widths) == sorted(display.shares.tolist())
    assert len(display.ax_.get_yticklabels()) == len(display.shares)


def test_attribution_of_words_is_told_without_colour():
    words = RNNClassifier("gru", (4,), tokens="word", **QUICK).fit(WORDS, ["food", "water"] * 4)
    display = rendered(AttributionDisplay.from_estimator(words, WORDS[1], "water"))
    thickness = np.array([line.get_linewidth() for line in display.ax_.lines])
    largest = np.abs(display.shares).max()
    np.testing.assert_allclose(thickness, 3 * np.abs(display.shares) / largest)
    broken = np.array([line.is_dashed() for line in display.ax_.lines])
    np.testing.assert_array_equal(broken, display.shares < 0)
    assert f"probability {words.predict_proba(WORDS[1:2])[0][1]:.0%}" in display.ax_.get_title()
