"""The arrays that runs keep from batch to batch."""

import numpy as np

from lightrnn.nn.workspace import Buffer


def test_a_buffer_keeps_its_array_until_that_is_too_small():
    buffer = Buffer("float32")
    array = buffer.at_least(3, 4)
    assert array.dtype == np.float32
    assert array.shape == (3, 4)
    assert not array.any()
    assert buffer.at_least(2, 4) is array
    assert buffer.at_least(3, 4) is array
    assert buffer.at_least(5, 4).shape == (5, 4)
    assert buffer.at_least(1, 6).shape == (1, 6)
