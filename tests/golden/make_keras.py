"""Write the golden files of Keras: networks with random weights, and their outputs.

    KERAS_BACKEND=torch python tests/golden/make_keras.py

Keras 3 must be installed.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent
LENGTHS = (6, 1, 9, 4)


def randomised(model, rng):
    """Return a model with random weights; Keras's own biases are zero and would test nothing."""
    model.set_weights(
        [rng.normal(0, 0.5, array.shape).astype(np.float32) for array in model.get_weights()]
    )
    return model


def outputs(model, X):
    """Return the outputs of all sequences, one below the other."""
    found = [np.asarray(model.predict(x[None], verbose=0)) for x in X]
    return np.concatenate([rows.reshape(-1, rows.shape[-1]) for rows in found])


def main():
    rng = np.random.default_rng(0)
    numbers = [rng.normal(size=(T, 3)).astype(np.float32) for T in LENGTHS]
    codes = [rng.integers(1, 7, T) for T in LENGTHS]
    inputs = keras.Input((None,))
    rows = layers.Embedding(7, 3, mask_zero=True)(inputs)
    rows = layers.Dropout(0.3)(layers.SimpleRNN(5)(rows))
    models = {
        "lstm": keras.Sequential(
            [keras.Input((None, 3)), layers.LSTM(5), layers.Dense(3, activation="softmax")]
        ),
        "gru": keras.Sequential(
            [
                keras.Input((None, 3)),
                layers.Bidirectional(layers.GRU(4, return_sequences=True)),
                layers.Bidirectional(layers.GRU(2, return_sequences=True)),
                layers.Dense(2),
            ]
        ),
        "rnn": keras.Model(inputs, layers.Dense(1, activation="sigmoid")(rows)),
        "reset_before": keras.Sequential(
            [keras.Input((None, 3)), layers.GRU(2, reset_after=False), layers.Dense(1)]
        ),
    }
    for model in models.values():
        randomised(model, rng)
    # Its file holds the state of an optimizer, which is not read.
    models["lstm"].compile("adam", "sparse_categorical_crossentropy")
    models["lstm"].train_on_batch(np.stack([numbers[0]] * 2), np.array([0, 1]))
    # The lstm with layers that change no prediction.
    models["noisy"] = keras.Sequential(
        [
            keras.Input(batch_shape=(1, None, 3)),
            layers.GaussianNoise(0.5),
            layers.LSTM(5, stateful=True),
            layers.GaussianDropout(0.3),
            layers.Dense(3),
            layers.Softmax(),
        ]
    )
    models["noisy"].set_weights(models["lstm"].get_weights())
    for name in ("lstm", "rnn", "reset_before", "noisy"):
        models[name].save(HERE / f"{name}.keras")
    for name in ("gru", "reset_before"):
        models[name].save_weights(HERE / f"{name}.weights.h5")
    expected = {
        name: outputs(model, codes if name == "rnn" else numbers)
        for name, model in models.items()
        if name != "noisy"
    }
    data = {
        "numbers": np.concatenate(numbers),
        "codes": np.concatenate(codes),
        "lengths": np.array(LENGTHS),
    }
    np.savez_compressed(HERE / "keras.npz", **data, **expected)


if __name__ == "__main__":
    main()
