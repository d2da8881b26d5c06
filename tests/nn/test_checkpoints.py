"""A batch in little memory: gates computed twice, the same bits, less memory."""

import numpy as np
import pytest
from helpers.strategies import problems
from hypothesis import given, settings

from lightrnn.nn import workspace
from lightrnn.training.truncation import chunks

RECURRENT = ("rnn", "gru", "lstm")


def results(problem, memory):
    """Return the bits of loss, gradient and final states of each part of a truncated batch."""
    network = problem.network()
    network.memory = memory
    found = []
    for batch in chunks(problem.batch(network), problem.truncate, network):
        value = network.loss_and_gradient(batch, problem.make_loss())
        finals = [state.tobytes() for state in network.final_states]
        found.append((value, network.gradient.tobytes(), finals))
    return found


@settings(max_examples=60)
@given(problem=problems(cells=RECURRENT, max_length=40))
def test_no_bit_depends_on_the_memory_there_is(problem):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace, "SEGMENT_ROWS", 8)
        patch.setattr(workspace, "_FEW_ROWS", 8)
        assert results(problem, 0) == results(problem, np.inf)
