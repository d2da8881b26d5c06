"""Write the golden files of tf2onnx: small Keras networks with random weights, and their outputs.

    KERAS_BACKEND=tensorflow python tests/golden/make_onnx_keras.py

They are what Keras 3 exports on TensorFlow. The outputs go into ``onnx_keras.npz``.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent


def chains():
    """Return each network's layers by its name."""
    return {
        "lstm": [layers.Bidirectional(layers.LSTM(3)), layers.Dense(1, activation="sigmoid")],
        "gru": [
            layers.Bidirectional(layers.GRU(3, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
        ],
        "rnn": [layers.SimpleRNN(3), layers.BatchNormalization()],
        "tokens": [layers.Embedding(7, 3), layers.LSTM(3, return_sequences=True)],
    }


def main():
    rng = np.random.default_rng(0)
    data = {"numbers": rng.normal(size=(2, 5, 3)).astype(np.float32)}
    data["codes"] = rng.integers(0, 7, (2, 5))
    for name, parts in chains().items():
        end = [] if name == "lstm" else [layers.Dense(2)]
        shape = (None,) if name == "tokens" else (None, 3)
        model = keras.Sequential([keras.Input(shape), *parts, *end])
        model.set_weights(
            [rng.uniform(0.2, 1, w.shape) - 0.3 * (w.ndim > 1) for w in model.get_weights()]
        )
        X = data["codes" if name == "tokens" else "numbers"]
        data[name] = model.predict(X, verbose=0)
        model.export(HERE / f"keras_{name}.onnx", format="onnx", verbose=False)
    np.savez_compressed(HERE / "onnx_keras.npz", **data)


if __name__ == "__main__":
    main()
