"""The history of `partial_fit`: neither a call nor a file grows with the number of calls."""

import numpy as np
import pytest
from helpers.counting import calls
from helpers.training import QUICK, options, sums

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, load
from lightrnn.training import history
from lightrnn.training.history import History

X, y = sums(n=6)


def test_a_call_does_as_much_after_thousands_of_calls():
    model = RNNRegressor(**QUICK, n_jobs=1)
    for _ in range(3):
        model.partial_fit(X, y)
    few = calls(lambda: model.partial_fit(X, y))
    model._model.history.losses = [1.0] * (history.KEPT - 1)
    for _ in range(3):
        assert abs(calls(lambda: model.partial_fit(X, y)) - few) < 20
        assert model.n_iter_ >= history.KEPT


@pytest.mark.parametrize("text", [False, True])
def test_the_last_records_are_kept(text, monkeypatch, tmp_path):
    monkeypatch.setattr(history, "KEPT", 4)
    data = (["abc"],) if text else (X, y > 0)
    kind = RNNLanguageModel if text else RNNClassifier
    model = kind("rnn", (4,), random_state=0)
    losses = []
    sizes = []
    for call in range(1, 11):
        model.partial_fit(*data)
        losses.append(model.loss_curve_[-1])
        assert model.n_iter_ == model.best_epoch_ == call
        assert model.loss_curve_ == losses[-4:]
        assert model.best_loss_ == min(losses[-4:])
        model.save(tmp_path / "model")
        sizes.append((tmp_path / "model").stat().st_size)
    assert np.ptp(sizes[4:]) < 100
    again = load(tmp_path / "model")
    assert (again.n_iter_, again.loss_curve_) == (10, losses[-4:])
    assert again.partial_fit(*data).loss_curve_ == model.partial_fit(*data).loss_curve_


def test_a_fit_keeps_all_its_records(monkeypatch):
    monkeypatch.setattr(history, "KEPT", 4)
    model = RNNRegressor(**QUICK, max_iter=9, learning_rate="cosine").fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ == 9
    assert len(model.partial_fit(X, y).loss_curve_) == 4
    assert model.n_iter_ == 10


def test_the_schedule_counts_the_epochs_that_are_no_longer_recorded():
    settings = options(learning_rate="cosine", max_iter=7)
    rates = [
        History(losses=[1.0] * kept, dropped=5 - kept).learning_rate(settings, 0.0)
        for kept in (0, 2, 5)
    ]
    assert len(set(rates)) == 1


def test_copies_share_no_record():
    first = RNNRegressor(**QUICK).partial_fit(X, y)
    before = list(first.loss_curve_)
    twin = RNNRegressor(**QUICK)
    twin.__setstate__(first.__getstate__())
    twin.partial_fit(X, y)
    assert first._model.history.losses == first.loss_curve_ == before
