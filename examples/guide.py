"""The texts of the gallery: lines that matter, tasks, other libraries and questions."""

# The lines of each example that matter, as they stand in it.
EXAMPLES = {
    "memory": """
net = RNNClassifier(
    cell,
    32,
    window=5,
    tokens="word",
    embedding_size=16,
    dropout=0,
    token_dropout=0,
    forget_bias="chrono",
    max_iter=10,
    callbacks=taught,
    random_state=0,
)
""",
    "why_lstm": 'found = attribution(model, [sentence], method="integrated_gradients")',
    "speech": "model = RNNClassifier(cell, max_iter=1, dropout=0.5, random_state=0)",
    "starving": "model.fit(X, y, X_val=X_val, y_val=y_val)",
    "vanishing_gradient": "found = memory_horizon(net, X)",
    "gates": 'constants = gate_summary(net, fresh[:100])["layer0"]["forget"].time_constant',
    "per_step": """
net = RNNClassifier(
    cell,
    target="step",
    learning_rate_init=1e-2,
    max_iter=20,
    random_state=0,
).fit(X_train, y_train)
""",
    "adding_problem": """
net.partial_fit(*make_adding_problem(CHUNK, n_steps, marks=marks, random_state=chunk))
""",
    "words": """
model = RNNClassifier(
    **net,
    target="step",
    min_count=3,
    dropout=0.3,
    max_iter=6,
    random_state=0,
).fit(X[:cut], y[:cut])
""",
    "shakespeare": "model.generate(PROMPT, 600, temperature=0.8, random_state=0)",
    "video": "X_train, y_train = make_frames(4000, noise=NOISE, random_state=0)",
    "ffnn": """
net = RNNClassifier(
    "ffnn",
    (units,),
    window=1,
    standardize=False,
    solver="lbfgs",
    max_iter=500,
    random_state=0,
)
""",
    "forecast": """
model = RNNForecaster(CYCLE, n_nets=3, random_state=0).fit(train)
found = model.predict(pasts, level=(80, 95))
""",
    "forecast_many": """
model = RNNForecaster(**options).fit(train)
found = model.predict(X=ahead, level=80)
""",
    "monitor": "stream = model.stream(normal, level=LEVEL)",
    "streaming": "stream = net.stream()",
    "pipeline_gridsearch": "search = GridSearchCV(pipeline, grid, cv=3)",
    "parameters_by_hand": "parameter_table(net, n_features=F, n_outputs=CLASSES)",
    "microcontroller": 'sizes = export_c(model, folder / "motor.c", quantize=quantize)',
    "deploy_from_torch": """
model = lightrnn.from_torch(WEIGHTS, settings, classes=range(1, 10), check=check)
""",
    "dask_fit": """
model = DaskRNNClassifier("gru", (16,), max_iter=3, batch_size=64, random_state=0)
model.fit(X, y)
predicted = model.predict(X)
""",
}

# With these every task runs as it stands.
DATA = """
import numpy as np

rng = np.random.default_rng(0)
X = [rng.normal(size=(length, 2)) for length in rng.integers(4, 9, 60)]  # arrays (T_i, F)
y = np.array(["up" if x[:, 0].sum() > 0 else "down" for x in X])
"""

TASKS = {
    "Classify sequences of unequal length": """
from lightrnn import RNNClassifier

model = RNNClassifier(random_state=0).fit(X, y)
print(model.predict(X[:3]), model.predict_proba(X[:3]), model.score(X, y))
""",
    "Classify sensor windows from a long frame": """
import pandas as pd
from lightrnn import RNNClassifier
from lightrnn.preprocessing import as_sequences

rows = [(i, t, *x) for i, steps in enumerate(X) for t, x in enumerate(steps)]
frame = pd.DataFrame(rows, columns=["window", "time", "a", "b"])
windows = as_sequences(frame, form="long")  # columns: the sequence, the time, features
model = RNNClassifier(max_iter=5, random_state=0).fit(windows, y)
print(model.predict(windows[:3]))
""",
    "Predict a number for each sequence": """
from lightrnn import RNNRegressor

means = [x[:, 0].mean() for x in X]
model = RNNRegressor(max_iter=5, random_state=0).fit(X, means)
print(model.predict(X[:3]))
""",
    "Predict intervals": """
from lightrnn import RNNRegressor

means = [x[:, 0].mean() for x in X]
model = RNNRegressor(
    loss="quantile",
    quantile=(0.1, 0.5, 0.9),
    calibrate=True,  # by the sequences held out
    validation_fraction=0.2,
    max_iter=5,
)
print(model.fit(X, means).predict(X[:3]))  # a column for each quantile
""",
    "Label each time step": """
from lightrnn import RNNClassifier

labels = [(x[:, 0] > 0).astype(int) for x in X]
model = RNNClassifier(target="step", bidirectional=True, max_iter=5).fit(X, labels)
print(model.predict(X[:1])[0])
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
print(model.generate("to ", 20, random_state=0), model.predict_next("to b", k=2))
""",
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
    "Watch a series for anomalies": """
import numpy as np
from lightrnn import RNNForecaster

series = np.sin(np.arange(120) / 2) + 0.1 * rng.normal(size=120)
series[100] = 4
model = RNNForecaster(horizon=2, season=12, hidden_layer_sizes=8, max_iter=3).fit(series[:90])
surprise = model.surprise(series)  # where each value fell in its forecast, 0.5 is no surprise
print(surprise[98:103])
stream = model.stream(series[:90])  # the same live: a forecast after each value
print(stream.step(series[90]))
""",
    "Read missing values": """
import numpy as np
from lightrnn import RNNClassifier

gaps = [np.where(x > 2, np.nan, x) for x in X]
model = RNNClassifier(missing="mask", max_iter=5).fit(gaps, y)
print(model.score(gaps, y))
""",
    "Cope with rare classes": """
from lightrnn import RNNClassifier

rare = np.array(["rare" if x[0, 0] > 1 else "common" for x in X])
model = RNNClassifier(class_weight="balanced", max_iter=5).fit(X, rare)
print(model.score(X, rare))
# early_stopping=True, scoring="f1_macro" stops by the F1 of held-out sequences
""",
    "Stop early": """
from lightrnn import RNNClassifier

model = RNNClassifier(early_stopping=True, max_iter=30, random_state=0)
model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])  # or without: a tenth of X is held out
print(model.n_iter_, model.best_loss_)
# lightrnn.plotting.LearningCurveDisplay.from_estimator(model)
""",
    "Tune": """
from lightrnn import RNNClassifier
from sklearn.model_selection import GridSearchCV

search = GridSearchCV(RNNClassifier(max_iter=3), {"cell": ["gru", "lstm"]}, cv=2)
print(search.fit(X, y).best_params_)
""",
    "Find out which net suits the data": """
from lightrnn.comparison import compare

print(compare(X, y, hidden_layer_sizes=(8,), max_iter=3, folds=2))
# python -m lightrnn compare data.npz --html report.html
""",
    "Explain a prediction": """
from lightrnn import RNNClassifier
from lightrnn.inspection import attribution

model = RNNClassifier(max_iter=5, random_state=0).fit(X, y)
found = attribution(model, X, method="integrated_gradients")
print(found[0].shape)  # a share for each step and feature
print(found.rank_features())
print(found.rank_lags())  # steps before the end
# lightrnn.plotting.AttributionDisplay.from_estimator(model, X[0])
""",
    "See how far back it remembers": """
from lightrnn import RNNClassifier
from lightrnn.inspection import describe, memory_horizon

model = RNNClassifier(max_iter=5, random_state=0).fit(X, y)
print(memory_horizon(model, X))
print(describe(model, X))
""",
    "Save and load": """
import lightrnn

model = lightrnn.RNNClassifier(max_iter=5, random_state=0).fit(X, y)
model.save("model.npz")  # arrays and JSON, no pickle
print(lightrnn.load("model.npz").predict(X[:3]))
""",
    "Serve live, step by step": """
from lightrnn import RNNClassifier

model = RNNClassifier(patch=1, bidirectional=False, max_iter=5).fit(X, y)
stream = model.stream()
for x in X[0]:
    print(stream.step(x))
""",
    "Learn from batches": """
from lightrnn import RNNClassifier

model = RNNClassifier(learning_rate="constant", random_state=0)
for start in range(0, len(X), 20):
    some = slice(start, start + 20)
    model.partial_fit(X[some], y[some], classes=["down", "up"])
print(model.score(X, y))
""",
    "Import a PyTorch model": """
import lightrnn

trained = lightrnn.RNNClassifier("gru", patch=1, bidirectional=False, max_iter=2).fit(X, y)
state = trained.to_torch()  # or a module, or the path of a .pt or .safetensors file
names = trained.classes_
model = lightrnn.from_torch(state, lightrnn.RNNClassifier(), classes=names, read="final")
print(model.predict(X[:3]))
""",
    "Predict where Numba is not installed": """
import lightrnn

model = lightrnn.RNNClassifier("gru", (8,), max_iter=5, random_state=0).fit(X, y)
lightrnn.export_numpy(model, "frozen.py")  # a module that needs NumPy alone
# import frozen; frozen.predict(X)
""",
    "Embed in C": """
import lightrnn

model = lightrnn.RNNClassifier("gru", (8,), patch=1, bidirectional=False, max_iter=2).fit(X, y)
sizes = lightrnn.export_c(model, "model.c", quantize=True)  # and model.h, which is the manual
print(sizes.flash_bytes, sizes.state_bytes)
""",
}

COMING = {
    "PyTorch": (
        """
packed = pack_padded_sequence(pad_sequence(X, True), lengths, True, False)
lstm, head = nn.LSTM(12, 64, batch_first=True), nn.Linear(64, 9)
solver = torch.optim.Adam([*lstm.parameters(), *head.parameters()])
for epoch in range(100):
    loss = F.cross_entropy(head(lstm(packed)[1][0][-1]), y)
    solver.zero_grad()
    loss.backward()
    solver.step()
""",
        """
model = RNNClassifier("lstm", (64,), patch=1, bidirectional=False, max_iter=100).fit(X, y)
""",
    ),
    "Keras": (
        """
model = keras.Sequential([layers.Masking(), layers.LSTM(64), layers.Dense(9, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    pad_sequences(X, dtype="float32"),
    y,
    epochs=100,
    validation_split=0.1,
    callbacks=[keras.callbacks.EarlyStopping(patience=10)],
)
""",
        """
model = RNNClassifier("lstm", (64,), max_iter=100, early_stopping=True).fit(X, y)
""",
    ),
    "darts": (
        """
series = TimeSeries.from_values(y)
model = RNNModel("LSTM", input_chunk_length=24, training_length=36, likelihood=...)
model.fit(Scaler().fit_transform(series))
model.predict(12, num_samples=200)
""",
        """
RNNForecaster(horizon=12, season=12, cell="lstm").fit(y).predict(level=(80, 95))
""",
    ),
    "hmmlearn": (
        """
models = [GaussianHMM(5).fit(np.concatenate(some), [len(x) for x in some]) for some in by_class]
predicted = [np.argmax([model.score(x) for model in models]) for x in X]
""",
        """
RNNClassifier().fit(X, y).predict(X)  # one model that is trained to separate the classes
""",
    ),
    "sktime": (
        """
model = TimeSeriesForestClassifier().fit(X, y)  # equal length, or padded
forecaster = AutoARIMA(sp=12).fit(y)
forecaster.predict(fh=range(1, 13))
""",
        """
model = RNNClassifier().fit(X, y)  # any lengths
RNNForecaster(horizon=12, season=12).fit(y).predict()
""",
    ),
}

QUESTIONS = {
    "Which cell?": "The gru or the lstm; the plain rnn where sequences are short and each step "
    "must cost little; the ffnn where you know how near what matters is. `python -m "
    "lightrnn compare` says which suits your data.",
    "How many units?": "The default of 64 to begin with. More is seldom what helps first: "
    "try `patch`, `early_stopping`, `dropout` and more data before.",
    "How long should sequences be?": "As long as what matters reaches back. `memory_horizon` says "
    "how far a fitted net does; long series are read in patches (`patch`).",
    "What if it learns nothing?": "A warning says so, with the loss to compare with. Check that y "
    "belongs to X, raise `max_iter`, take `forget_bias='chrono'` for cues far back, and compare "
    "with a linear model: where order says nothing, a memory buys nothing.",
    "Is it reproducible?": "`random_state=0` fixes every bit on one machine, whatever `n_jobs` is. "
    "Between machines results agree up to rounding.",
    "How much memory does it take?": "`describe(model)` says it. Sequences may lie on disk as "
    "`np.memmap`; each minibatch copies only its own.",
    "How fast is it?": "[bench/README.md](../bench/README.md) has tables beside PyTorch. The first "
    "fit of a cell compiles it for some seconds; `python -m lightrnn warmup` does so ahead.",
    "How many threads?": "All CPUs that the process may use, one inside of a joblib worker; "
    "`n_jobs` sets it and changes no bit.",
    "What is in a file?": "`save` writes arrays and JSON in one .npz file, no pickle: loading a "
    "file runs no code of it, and a damaged one is refused.",
    "What can it not do?": "Convolutions, attention over steps inside of layers, layers of your "
    "own, several GPUs. Nets of many millions of weights belong to a framework.",
}
