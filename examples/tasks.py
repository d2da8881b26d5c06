"""The tasks of the gallery, each of a few lines that run as they stand."""

# With these every task runs as it stands.
DATA = """
import numpy as np

rng = np.random.default_rng(0)
X = [rng.normal(size=(length, 2)) for length in rng.integers(4, 9, 80)]  # arrays (T_i, F)
y = np.array(["up" if x[:, 0].sum() > 0 else "down" for x in X])
X_train, X_test, y_train, y_test = X[:60], X[60:], y[:60], y[60:]
"""

READ = {
    "Classify sequences of unequal length": """
from lightrnn import RNNClassifier

model = RNNClassifier(random_state=0).fit(X_train, y_train)
print(model.predict(X_test[:3]), model.predict_proba(X_test[:3]))
print(model.score(X_test, y_test))  # on sequences that it has not seen
""",
    "Classify sensor windows from a long frame": """
import pandas as pd
from lightrnn import RNNClassifier
from lightrnn.preprocessing import as_sequences

rows = [(i, t, *x, y[i]) for i, steps in enumerate(X) for t, x in enumerate(steps)]
frame = pd.DataFrame(rows, columns=["window", "time", "a", "b", "label"])
# All columns but those of the sequence and the time are features.
features = frame.drop(columns="label")
windows = as_sequences(features, form="long", sequence="window", time="time")
labels = frame.groupby("window", sort=False)["label"].first()
model = RNNClassifier(max_iter=5, random_state=0).fit(windows[:60], labels[:60])
print(model.score(windows[60:], labels[60:]))
""",
    "Cut one recording into windows": """
import numpy as np
from lightrnn import RNNClassifier

labels = np.tile(np.repeat(["rest", "walk"], 100), 4)  # one for each step
recording = rng.normal(size=(800, 2)) + (labels == "walk")[:, None]
starts = np.arange(0, 800 - 20 + 1, 10)  # windows of 20 steps that overlap by a half
windows = np.array([recording[start : start + 20] for start in starts])
names = labels[starts + 10]  # the label in the middle of each
past, later = starts + 20 <= 600, starts >= 600  # no window of the test overlaps the training
model = RNNClassifier(patch=1, max_iter=5, random_state=0).fit(windows[past], names[past])
print(model.score(windows[later], names[later]))
""",
    "Read missing values": """
import numpy as np
from lightrnn import RNNClassifier

gaps = [np.where(x > 2, np.nan, x) for x in X]
model = RNNClassifier(missing="mask", max_iter=5).fit(gaps[:60], y_train)
print(model.score(gaps[60:], y_test))
""",
    "Learn from data larger than memory": """
import numpy as np
from lightrnn import RNNClassifier

np.concatenate(X).tofile("steps.f64")  # the steps of all sequences, one after the other
steps = np.memmap("steps.f64", dtype=np.float64, mode="r").reshape(-1, 2)
ends = np.cumsum([len(x) for x in X])
maps = np.split(steps, ends[:-1])  # parts of the file; a minibatch copies only its own
model = RNNClassifier(max_iter=5, random_state=0).fit(maps[:60], y_train)
print(model.score(maps[60:], y_test))
""",
}

LEARN = {
    "Predict a number for each sequence": """
from lightrnn import RNNRegressor

means = [x[:, 0].mean() for x in X]
model = RNNRegressor(max_iter=5, random_state=0).fit(X_train, means[:60])
print(model.predict(X_test[:3]), model.score(X_test, means[60:]))  # R^2
""",
    "Predict intervals": """
from lightrnn import RNNRegressor

means = [x[:, 0].mean() for x in X]
model = RNNRegressor(
    loss="quantile",
    quantile=(0.1, 0.5, 0.9),
    calibrate=True,  # by the sequences held out: validation_fraction of them
    validation_fraction=0.2,
    max_iter=5,
)
print(model.fit(X_train, means[:60]).predict(X_test[:3]))  # a column for each quantile
print(model.score(X_test, means[60:]))  # minus the pinball loss, no R^2
""",
    "Label each time step": """
from lightrnn import RNNClassifier

labels = [(x[:, 0] > 0).astype(int) for x in X]
model = RNNClassifier(target="step", bidirectional=True, max_iter=5).fit(X_train, labels[:60])
print(model.predict(X_test[:1])[0], model.score(X_test, labels[60:]))
""",
    "Tag words": """
from lightrnn import RNNClassifier

sentences = [["she", "runs", "home"], ["he", "sleeps"]] * 5
tags = [["noun", "verb", "place"], ["noun", "verb"]] * 5
model = RNNClassifier(target="step", bidirectional=True, max_iter=5).fit(sentences, tags)
print(model.predict([["she", "sleeps"]]))
""",
    "Classify texts": """
from lightrnn import RNNClassifier

texts = ["a good day", "a bad day"] * 5
model = RNNClassifier(tokens="word", max_iter=5).fit(texts, ["glad", "sad"] * 5)
print(model.predict(["a good day"]))
""",
    "Let a model write": """
from lightrnn import RNNLanguageModel

model = RNNLanguageModel(max_iter=20, random_state=0).fit(["to be or not to be. "] * 50)
print(model.generate("to ", 20, random_state=0))  # what follows; "to " is not repeated
print(model.predict_next("to b", k=2))
""",
    "Cope with rare classes": """
from lightrnn import RNNClassifier
from sklearn.metrics import f1_score

rare = np.array([int(x[0, 0] > 1) for x in X])
model = RNNClassifier(class_weight="balanced", max_iter=5).fit(X_train, rare[:60])
print(f1_score(rare[60:], model.predict(X_test)))
# early_stopping=True, scoring="f1_macro" stops by the F1 of held-out sequences
""",
    "Stop early": """
from lightrnn import RNNClassifier

model = RNNClassifier(early_stopping=True, max_iter=30, random_state=0)
# Without X_val a tenth of the sequences is held out. Keep the test data out of both.
model.fit(X_train[:45], y_train[:45], X_val=X_train[45:], y_val=y_train[45:])
print(model.n_iter_, model.best_loss_, model.score(X_test, y_test))
# lightrnn.plotting.LearningCurveDisplay.from_estimator(model)
""",
    "Tune": """
from lightrnn import RNNClassifier
from sklearn.model_selection import GridSearchCV

search = GridSearchCV(RNNClassifier(max_iter=3), {"cell": ["gru", "lstm"]}, cv=2)
print(search.fit(X_train, y_train).best_params_, search.score(X_test, y_test))
""",
    "Find out which net suits the data": """
import numpy as np
from lightrnn.comparison import compare

print(compare(X, y, hidden_layer_sizes=(8,), max_iter=3, folds=2))
np.savez("data.npz", X=np.ones((6, 5, 2)), y=[0, 1] * 3)  # X (n, T, F) and y, for
# python -m lightrnn compare data.npz --html report.html
""",
    "Learn from batches": """
from lightrnn import RNNClassifier

model = RNNClassifier(learning_rate="constant", random_state=0)
for start in range(0, 60, 20):
    some = slice(start, start + 20)
    model.partial_fit(X_train[some], y_train[some], classes=["down", "up"])
print(model.score(X_test, y_test))
""",
    "Compute on a GPU": """
from lightrnn import RNNClassifier

# "auto" takes an NVIDIA GPU where there is one, else the CPU; "cuda" insists on it.
model = RNNClassifier(device="auto", max_iter=5, random_state=0).fit(X_train, y_train)
print(model.score(X_test, y_test))
""",
    "Train on a dask cluster": """
import dask.array as da
from distributed import Client
from lightrnn.distributed import DaskRNNClassifier

values = da.random.default_rng(0).normal(size=(80, 6, 2), chunks=(20, 6, 2))  # 4 partitions
with Client(n_workers=1, processes=False, dashboard_address=None):  # or the address of a cluster
    model = DaskRNNClassifier("gru", (8,), max_iter=2, random_state=0)
    model.fit(values[:60], values[:60, :, 0].sum(axis=1) > 0)
    print(model.predict(values[60:]).compute())
local = model.to_local()  # an RNNClassifier, to save and to stream
""",
}

FORECAST = {
    "Forecast a series": """
import numpy as np
from lightrnn import RNNForecaster

series = np.sin(np.arange(120) / 2) + np.arange(120) / 50
model = RNNForecaster(horizon=6, season=12, hidden_layer_sizes=8, max_iter=3).fit(series)
print(model.predict(level=80)["lightrnn-hi-80"])
""",
    "Forecast many series with what is known ahead": """
import pandas as pd
from lightrnn import RNNForecaster

dates = pd.date_range("2025-01-01", periods=120)
promoted = pd.DataFrame({"promoted": rng.random(120) < 0.2}, dates).astype(float)
sales = pd.DataFrame({shop: rng.normal(size=120) for shop in "abc"}, dates)
sales += 5 * promoted.to_numpy()
model = RNNForecaster(horizon=7, season=7, hidden_layer_sizes=8, max_iter=3)
model.fit(sales[:-7], promoted)  # a horizon longer than the series
print(model.predict())
""",
    "Forecast the series of a long frame": """
import pandas as pd
from lightrnn import RNNForecaster

dates = pd.date_range("2025-01-01", periods=120)
frame = pd.concat(
    pd.DataFrame({"unique_id": shop, "ds": dates, "y": rng.normal(size=120)}) for shop in "abc"
)  # a row for each value; further columns are covariates
model = RNNForecaster(horizon=7, season=7, hidden_layer_sizes=8, max_iter=3).fit(frame)
print(model.predict(level=80))  # unique_id, ds, lightrnn, lightrnn-lo-80, lightrnn-hi-80
""",
    "Watch a series for anomalies": """
import numpy as np
from lightrnn import RNNForecaster

series = np.sin(np.arange(120) / 2) + 0.1 * rng.normal(size=120)
series[100] = 4
model = RNNForecaster(horizon=2, season=12, hidden_layer_sizes=8, max_iter=3).fit(series[:90])
surprise = model.surprise(series)  # where each value fell in its forecast: 0.5 is no surprise,
ends = np.minimum(surprise, 1 - surprise)  # 0 and 1 are the greatest, NaN in the first season
print(np.flatnonzero(ends < 0.005))  # of normal values about 1 % are this far out
stream = model.stream(series[:90])  # the same live: a forecast after each value
print(stream.step(series[90]))
""",
}

UNDERSTAND = {
    "Explain a prediction": """
from lightrnn import RNNClassifier
from lightrnn.inspection import attribution

model = RNNClassifier(max_iter=5, random_state=0).fit(X_train, y_train)
print(model.score(X_test, y_test))  # a model that guesses on new data explains nothing
found = attribution(model, X_test, method="integrated_gradients")
print(found[0].shape)  # a share for each step and feature
print(found.rank_features())
print(found.rank_lags())  # steps before the end
# lightrnn.plotting.AttributionDisplay.from_estimator(model, X_test[0])
""",
    "See how far back it remembers": """
from lightrnn import RNNClassifier
from lightrnn.inspection import describe, memory_horizon

model = RNNClassifier(max_iter=5, random_state=0).fit(X_train, y_train)
print(memory_horizon(model, X_test))
print(describe(model, X_test))
""",
}

SHIP = {
    "Save and load": """
import lightrnn

model = lightrnn.RNNClassifier(max_iter=5, random_state=0).fit(X, y)
model.save("model.npz")  # arrays and JSON, no pickle
print(lightrnn.load("model.npz").predict(X[:3]))
""",
    "Serve live, step by step": """
from lightrnn import RNNClassifier

model = RNNClassifier(patch=1, max_iter=5).fit(X, y)
stream = model.stream()  # stream(method="predict_proba") gives the probabilities
for x in X[0]:
    print(stream.step(x))
""",
    "Predict where Numba is not installed": """
import lightrnn

model = lightrnn.RNNClassifier("gru", (8,), max_iter=5, random_state=0).fit(X, y)
lightrnn.export_numpy(model, "frozen.py")  # needs NumPy alone, and frozen.weights.npz next to it
lightrnn.export_numpy(model, "one_file.py", inline=True)  # has the weights in it
# import frozen; frozen.predict(X)
""",
    "Run with onnxruntime": """
import lightrnn
import numpy as np
import onnxruntime

model = lightrnn.RNNClassifier("gru", (8,), patch=1, max_iter=5, random_state=0).fit(X, y)
lightrnn.to_onnx(model, "model.onnx")
session = onnxruntime.InferenceSession("model.onnx")
lengths = np.array([len(x) for x in X])
filled = np.zeros((len(X), lengths.max(), 2), np.float32)
for row, x in zip(filled, X):
    row[: len(x)] = x
state = np.zeros((len(X), session.get_inputs()[2].shape[1]), np.float32)
probabilities, state = session.run(None, {"X": filled, "seq_lens": lengths, "state": state})
print(model.classes_[probabilities.argmax(axis=1)])
""",
    "Embed in C": """
import lightrnn

model = lightrnn.RNNClassifier("gru", (8,), patch=1, bidirectional=False, max_iter=2).fit(X, y)
sizes = lightrnn.export_c(model, "model.c", quantize=True)  # and model.h, which is the manual
print(sizes.flash_bytes, sizes.state_bytes)
""",
}

IMPORT = {
    "Import a PyTorch model": """
import lightrnn
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = torch.nn.GRU(2, 8, batch_first=True), torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])  # read="last", which weights do not show


print(lightrnn.from_torch(Net(), lightrnn.RNNClassifier()).predict(X[:3]))  # compared by itself
""",
    "Import the weights of PyTorch": """
import lightrnn

trained = lightrnn.RNNClassifier("gru", patch=1, bidirectional=False, max_iter=2).fit(X, y)
state = trained.to_torch()  # as of torch's module.state_dict(), or the path of its file
check = X, trained.predict_proba(X)  # in PyTorch: X, module(X)
settings = lightrnn.RNNClassifier()
model = lightrnn.from_torch(state, settings, classes=trained.classes_, check=check)
print(model.predict(X[:3]))
# read="final" and "last" differ where the network is bidirectional, and nowhere else
""",
    "Import a Keras model": """
import keras
import lightrnn

layers = [keras.Input((None, 2)), keras.layers.LSTM(8), keras.layers.Dense(2, "softmax")]
net = keras.Sequential(layers)  # or the path of a .keras or .h5 file, with check=
model = lightrnn.from_keras(net, lightrnn.RNNClassifier(), classes=["down", "up"])
print(model.predict(X[:3]))
""",
    "Import an ONNX model": """
import lightrnn

trained = lightrnn.RNNClassifier("gru", patch=1, max_iter=2, random_state=0).fit(X, y)
lightrnn.to_onnx(trained, "model.onnx")  # or a file of torch.onnx or tf2onnx, with check=
print(lightrnn.from_onnx("model.onnx").predict(X[:3]))
""",
}

GROUPS = {
    "Read data": READ,
    "Train": LEARN,
    "Forecast": FORECAST,
    "Understand": UNDERSTAND,
    "Ship": SHIP,
    "Import": IMPORT,
}
TASKS = {title: code for group in GROUPS.values() for title, code in group.items()}
