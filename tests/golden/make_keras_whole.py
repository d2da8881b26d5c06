"""Write the golden files of whole models: as Keras 2 and 3 write them, with layers around others.

    python tests/golden/make_keras_whole.py keras
    python tests/golden/make_keras_whole.py tf_keras

The second one needs tf_keras, which is Keras 2, and TensorFlow. Outputs go into ``whole.npz``.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


def models(keras):
    """Return the models by name, each a chain with parts that other layers take in."""
    layers = keras.layers
    inner = keras.Sequential(
        [
            keras.Input((None, 4)),
            layers.LSTM(4, return_sequences=True),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.LSTM(3),
        ],
        name="inner",
    )
    normalization = layers.Normalization()
    normalization.adapt(3 + 2 * X)
    inputs = keras.Input((None, 3))
    rows = layers.Bidirectional(layers.GRU(3, return_sequences=True))(inputs)
    rows = layers.GlobalAveragePooling1D()(layers.BatchNormalization(scale=False)(rows))
    return {
        "nested": keras.Sequential(
            [
                keras.Input((None, 3)),
                normalization,
                layers.TimeDistributed(layers.Dense(4)),
                inner,
                layers.BatchNormalization(),
                layers.Dense(2),
                layers.Softmax(),
            ]
        ),
        "chain": keras.Model(inputs, layers.Dense(2)(rows)),
    }


def main():
    keras = import_module(sys.argv[1])
    version = keras.__version__[0]
    rng = np.random.default_rng(1)
    path = HERE / "whole.npz"
    expected = dict(np.load(path)) if path.exists() else {}
    expected["X"] = X
    for name, model in models(keras).items():
        for layer in [*model.layers, *getattr(model.layers[-5], "layers", [])]:
            if not isinstance(layer, (keras.layers.Normalization, keras.Sequential)):
                layer.set_weights(
                    [rng.uniform(0.2, 1, w.shape) - 0.3 * (w.ndim > 1) for w in layer.get_weights()]
                )
        model.save(HERE / f"{name}{version}.h5", include_optimizer=False)
        if name == "chain" and version == "2":
            model.save(HERE / "chain2.keras")
        expected[f"{name}{version}"] = np.asarray(model.predict(X, verbose=0))
    np.savez_compressed(path, **expected)


if __name__ == "__main__":
    main()
