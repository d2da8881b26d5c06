"""How many weights has a network? Counted by formula, and compared with a fitted one.

A layer of H units over F inputs has F x H weights and H biases. A recurrent layer also feeds its H
states back, H x H more; a GRU has three such sets, an LSTM four. A feed-forward net that sees T
steps has T x F inputs: its weights grow with the length of its memory, those of a recurrent net do
not. PyTorch has one more bias in each recurrent layer, which adds to the first and changes nothing.
"""

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.inspection import parameter_table

F = 12
H = 64
CLASSES = 9


def main() -> None:
    """Count four nets that are not fitted, then one that is."""
    for cell, more in (("ffnn", {"window": 20}), ("rnn", {}), ("gru", {}), ("lstm", {})):
        net = RNNClassifier(cell, (H,), **more)
        print(f"{net}\n\n{parameter_table(net, n_features=F, n_outputs=CLASSES)}\n")
    net = RNNClassifier("lstm", (64, 32), patch=1, bidirectional=True, max_iter=1)
    rng = np.random.default_rng(0)
    net.fit(rng.normal(size=(20, 30, F)), np.arange(20) % CLASSES)
    print(f"{net}\n\n{parameter_table(net)}\n")
    counted = sum(array.size for array in net.weights_.values())
    print(f"The arrays of the fitted net have {counted:,} elements in all.")
    print(f"Its n_parameters_ is {net.n_parameters_:,}: the count by hand is right.")
    assert counted == net.n_parameters_


if __name__ == "__main__":
    main()
