"""The parts of a distributed fit that need no cluster."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.distributed import DaskRNNClassifier, environment
from lightrnn.distributed.sums import partial_sums, total


@given(st.data(), st.integers(1, 12))
def test_the_sum_of_all_terms_does_not_depend_on_who_adds_them(data, partitions):
    rng = np.random.default_rng(0)
    values = [(float(rng.normal()), rng.normal(size=3) * 10.0**i) for i in range(partitions)]
    sharing = data.draw(st.sets(st.integers(0, partitions - 1), min_size=1))
    owners = {i: data.draw(st.integers(0, 2)) for i in sharing}

    def terms(numbers):
        return {(i, i + 1): (values[i][0], values[i][1].copy()) for i in numbers}

    expected = total(terms(sharing), 0, partitions)
    parts = {}
    for owner in set(owners.values()):
        own = {i for i in sharing if owners[i] == owner}
        parts |= partial_sums(terms(own), 0, partitions, sharing - own)
    found = total(parts, 0, partitions)
    assert found[0] == expected[0]
    assert np.array_equal(found[1], expected[1])


def test_an_estimator_is_pickled_and_cloned_with_its_arguments():
    clone = pytest.importorskip("sklearn.base").clone
    client = object()
    model = DaskRNNClassifier(cell="gru", client=client)
    assert clone(model).client is client
    other = pickle.loads(pickle.dumps(model))
    assert other.client is None and other.cell == "gru"
    assert DaskRNNClassifier().get_params().keys() - {"client", "sequence"} == (
        DaskRNNClassifier._local().get_params().keys()
    )


class Cluster:
    """A client whose workers answer what they are given."""

    def __init__(self, **changes):
        self.changes = changes

    def run(self, function, workers, on_error):
        one = function()
        return {"tcp://a": one, "tcp://b": self.changes.get("error") or one | self.changes}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"numba": "0.1"}, "same numba as this process, .*, got 0.1 on tcp://b"),
        ({"CPU": "k8"}, "same CPU as tcp://a, .*, got k8 on tcp://b"),
        ({"error": ModuleNotFoundError("No module named 'lightrnn'")}, "error on tcp://b"),
    ],
)
def test_workers_that_would_compute_other_bits_are_refused_by_name(changes, message):
    with pytest.raises(RuntimeError, match=message):
        environment.check_environment(Cluster(**changes))
    assert environment.check_environment(Cluster()) == ["tcp://a", "tcp://b"]
