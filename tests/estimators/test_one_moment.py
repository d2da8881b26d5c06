"""A call uses one fit, an estimator changes at one moment, and an answer is finite."""

import copy
import linecache
import sys
import threading

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, inspection
from lightrnn.preprocessing import SequenceScaler

QUICK = {"hidden_layer_sizes": (4,), "max_iter": 1, "learning_rate": "cosine", "random_state": 0}
OURS = ("lightrnn.estimators.", "lightrnn.base", "lightrnn.preprocessing")
CELLS = ("ffnn", "rnn", "gru", "lstm")


def data(F, n=12, T=5):
    rng = np.random.default_rng(F)
    return [rng.normal(size=(T, F)) for _ in range(n)], np.arange(n) % F


NARROW, FEW = data(2)
WIDE, MANY = data(7)


def bits(result):
    return result.tobytes() if isinstance(result, np.ndarray) else repr(result)


# -- a call uses one fit ---------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_changed_attributes_reach_no_kernel(cell):
    model = RNNClassifier(cell, **QUICK).fit(NARROW, FEW)
    proba = model.predict_proba(NARROW)
    model.n_features_in_, model.classes_, model.n_outputs_ = 7, np.arange(9), 9
    model.feature_names_in_ = np.array(list("abcdefg"), object)
    model.vocabulary_ = np.array(["a"], object)
    model.X_mean_ += 5  # in place
    assert np.array_equal(model.predict_proba(NARROW), proba)
    assert set(model.predict(NARROW)) <= {0, 1}
    with pytest.raises(ValueError, match="X has 7 features, but RNNClassifier is expecting 2"):
        model.predict(WIDE)
    with pytest.raises(ValueError, match="X has 7 features, but RNNClassifier is expecting 2"):
        model.partial_fit(WIDE, FEW)
    assert model.get_feature_names_out().shape == (4,)


def test_arguments_set_after_the_fit_change_nothing_until_the_next_fit():
    for task, y in ((RNNClassifier, FEW), (RNNRegressor, FEW * 1.5)):
        model = task("gru", **QUICK, target="step").fit(NARROW, [np.repeat(v, 5) for v in y])
        calls = [
            lambda model=model: model.predict(NARROW),
            lambda model=model: model.transform(NARROW),
            lambda model=model, y=y: model.score(NARROW, [np.repeat(v, 5) for v in y]),
            lambda model=model: model.stream().step(NARROW[0][0]),
            lambda model=model: model.get_feature_names_out(),
            lambda model=model: model.to_torch(),
        ]
        before = [repr(call()) for call in calls]
        for arguments in (
            {"cell": "ffnn", "window": 2, "hidden_layer_sizes": (9, 9), "dtype": "float64"},
            {"cell": "lstm", "target": "sequence", "bidirectional": True, "tokens": "word"},
            {"cell": "x", "window": -1, "target": None, "solver": 3, "batch_size": 0},
        ):
            model.set_params(**arguments)
            assert [repr(call()) for call in calls] == before


@pytest.mark.parametrize("task", [RNNClassifier, RNNRegressor])
def test_a_fit_of_another_width_in_another_thread_gives_no_wrong_answer(task):
    """Each call answers from one of the two fits, or says that X has the other's width."""
    kinds = [(NARROW, FEW), (WIDE, MANY)]
    wanted = [bits(task(**QUICK).fit(X, y).predict(X)) for X, y in kinds]
    model = task(**QUICK).fit(NARROW, FEW)
    wrong = []
    answered = [0, 0]
    stop = threading.Event()

    def ask(which):
        X = kinds[which][0]
        while not stop.is_set():
            try:
                answer = bits(model.predict(X))
            except ValueError as error:
                if "features as input" not in str(error):
                    wrong.append(error)
            except BaseException as error:
                wrong.append(error)
            else:
                answered[which] += 1
                if answer != wanted[which]:
                    wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(i % 2,)) for i in range(4)]
    for thread in threads:
        thread.start()
    turn = 0
    # The machine decides when a thread has its turn.
    while turn < 40 or not (all(answered) or wrong or turn == 4000):
        turn += 1
        model.fit(*kinds[turn % 2])
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not wrong and all(answered)


def test_a_scaler_fitted_to_another_width_in_another_thread_gives_no_wrong_answer():
    wanted = [scaler.transform(X)[0].tobytes() for scaler, X in scalers()]
    (model, _), _ = scalers()
    wrong = []
    stop = threading.Event()

    def ask(which):
        while not stop.is_set():
            try:
                answer = model.transform((NARROW, WIDE)[which])[0].tobytes()
            except ValueError as error:
                if "features as input" not in str(error):
                    wrong.append(error)
            else:
                wrong.extend([answer] * (answer != wanted[which]))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(300):
        model.fit((WIDE, NARROW)[turn % 2])
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not wrong


def scalers():
    return [(SequenceScaler().fit(X), X) for X in (NARROW, WIDE)]


# -- an estimator changes at one moment ------------------------------------------------------------


def interrupted(call, at):
    """Call, interrupted at a line of the estimators' own code; return the number of its lines."""
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        # Training itself heeds an interruption: it ends, and keeps the best weights.
        if not frame.f_globals.get("__name__", "").startswith(OURS):
            return None
        # Python itself interrupts no `with` on its way out, where a lock would stay held.
        source = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and not source.lstrip().startswith("with "):
            lines += 1
            if lines == at:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return lines


def state(model):
    """Everything that a fit sets, as text."""
    values = {name: repr(value) for name, value in vars(model).items() if name != "_model"}
    if "_model" in vars(model):
        values["_model"] = {name: bits(array) for name, array in model.weights_.items()}
    return values


def table(F):
    pandas = pytest.importorskip("pandas", reason="names come from DataFrames")
    return pandas.DataFrame(np.eye(6, F), columns=list("abcdefgh")[:F])


CASES = {
    "fit": lambda: (RNNClassifier(**QUICK).fit(NARROW, FEW), lambda m: m.fit(WIDE, MANY)),
    "fit after names": lambda: (
        RNNClassifier(**QUICK).fit(table(3), [0, 1] * 3),
        lambda m: m.fit(WIDE, MANY),
    ),
    "first fit": lambda: (RNNRegressor(**QUICK), lambda m: m.fit(table(2), [0, 1] * 3)),
    "partial_fit": lambda: (
        RNNRegressor(**QUICK).partial_fit(NARROW, FEW),
        lambda m: m.partial_fit(NARROW, FEW * 2),
    ),
    "warm_start": lambda: (
        RNNRegressor(**QUICK, warm_start=True).fit(NARROW, FEW),
        lambda m: m.fit(NARROW, FEW * 3),
    ),
    "texts": lambda: (
        RNNLanguageModel("rnn", (4,), max_iter=1, random_state=0).fit(["ab"] * 3),
        lambda m: m.fit(["abcd"] * 3),
    ),
    "scaler": lambda: (SequenceScaler().fit(table(3)), lambda m: m.fit(WIDE)),
    "more for the scaler": lambda: (
        SequenceScaler().fit(NARROW),
        lambda m: m.partial_fit(NARROW[:3]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_interruption_at_any_line_leaves_the_fit_before_or_the_new_one(case):
    model, fit = CASES[case]()
    old = state(model)
    done = copy.deepcopy(model)
    lines = interrupted(lambda: fit(done), None)
    new = state(done)
    assert new != old
    # Every line of the end, where the fit is taken over, and some of the many before.
    seen = []
    for at in [*range(1, max(2, lines - 80), 1 + lines // 25), *range(max(1, lines - 80), lines)]:
        tried = copy.deepcopy(model)
        interrupted(lambda tried=tried: fit(tried), at)
        assert state(tried) in (old, new)
        seen.append(state(tried) == new)
    assert seen == sorted(seen) and not all(seen)


# -- an answer is finite ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["sequence", "step"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_that_are_not_finite_are_refused_by_the_name_of_the_sequence(target, dtype):
    """A feed-forward net sums what a raster's no-data value, the lowest float32, brings."""
    lowest = float(np.finfo(dtype).min)
    X = [np.ones((T, 3), dtype) for T in (4, 2, 6)]
    y = FEW[:3] if target == "sequence" else [np.arange(len(x)) % 2 for x in X]
    for task in (RNNClassifier, RNNRegressor):
        model = task("ffnn", **QUICK | {"hidden_layer_sizes": (20,)}, target=target, window=4)
        model.set_params(dtype=dtype).fit(X, y)
        network = model._model.network
        network.assign({name: 3 + np.abs(array) for name, array in network.arrays().items()})
        right = X[2].copy()
        X[2][3] = -lowest
        step = " at step 3" if target == "step" else ""
        match = rf"X\[2\] must give finite outputs, got (inf|nan){step}: its values, up to "
        calls = [model.predict, model.transform, lambda X, m=model: m.score(X, y)]
        calls += [model.predict_proba] if task is RNNClassifier else []
        calls += [lambda X, m=model: inspection.attribution(m, X)]
        for call in calls:
            with pytest.raises(ValueError, match=match) as caught:
                call(X)
            remedy = "fit with dtype='float64'" in str(caught.value)
            assert remedy == (dtype == "float32")
        X[2] = right
        for call in calls:
            call(X)


def test_probabilities_of_which_some_are_zero_are_answers():
    model = RNNClassifier("rnn", **QUICK).fit(NARROW, FEW)
    network = model._model.network
    network.assign(network.arrays() | {"head.b": np.array([1000.0, 0])})
    assert (model.predict_proba(NARROW) == [1, 0]).all()
    assert np.isneginf(model.predict_log_proba(NARROW)[:, 1]).all()


@pytest.mark.parametrize("cell", CELLS)
def test_predictions_that_overflow_only_in_the_units_of_y_are_refused(cell):
    y = np.linspace(-1e37, 1e37, 12, dtype=np.float32)
    model = RNNRegressor(cell, **QUICK).fit(NARROW, y)
    assert model.predict(NARROW).dtype == np.float32
    network = model._model.network
    network.assign(network.arrays() | {"head.b": np.array([100.0])})
    with pytest.raises(ValueError, match=r"X\[0\] must give finite predictions, got inf: they"):
        model.predict(NARROW)
    with pytest.raises(ValueError, match=r"x must give finite predictions, got .*: they overflow"):
        model.stream().step(NARROW[0][0])
