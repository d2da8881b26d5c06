"""The texts of the gallery: lines that matter, tasks, other libraries and questions."""

EXAMPLES = {
    "memory": 'net = RNNClassifier(\n    cell,\n    32,\n    window=5,\n    tokens="word",',
    "why_lstm": 'found = attribution(model, [sentence], method="integrated_gradients")',
    "speech": "model = RNNClassifier(cell, max_iter=1, dropout=0.5, random_state=0)",
    "starving": "model.fit(X, y, X_val=X_val, y_val=y_val)",
    "vanishing_gradient": "found = memory_horizon(net, X)",
    "gates": 'constants = gate_summary(net, fresh[:100])["layer0"]["forget"].time_constant',
    "per_step": 'net = RNNClassifier(\n    cell,\n    target="step",',
    "adding_problem": "net.partial_fit(*make_adding_problem(",
    "words": 'model = RNNClassifier(\n    **net,\n    target="step",',
    "shakespeare": "model.generate(PROMPT, 600, temperature=0.8, random_state=0)",
    "video": "X_train, y_train = make_frames(4000, noise=NOISE, random_state=0)",
    "ffnn": 'net = RNNClassifier(\n    "ffnn",\n    (units,),\n    window=1,',
    "forecast": "",
    "forecast_many": "",
    "monitor": "",
    "streaming": "stream = net.stream()",
    "pipeline_gridsearch": "search = GridSearchCV(pipeline, grid, cv=3)",
    "parameters_by_hand": "parameter_table(net, n_features=F, n_outputs=CLASSES)",
    "microcontroller": 'sizes = export_c(model, folder / "motor.c", quantize=quantize)',
    "deploy_from_torch": "model = lightrnn.from_torch(WEIGHTS, settings, ",
    "dask_fit": "",
}

TASKS = {
    "Classify sequences of unequal length": """
from lightrnn import RNNClassifier

model = RNNClassifier(random_state=0).fit(X, y)
print(model.predict(X[:3]), model.predict_proba(X[:3]), model.score(X, y))
""",
    "Classify sensor windows from a long frame": """
import pandas as pd
from lightrnn import RNNClassifier

rows = [(i, t, *x) for i, steps in enumerate(X) for t, x in enumerate(steps)]
frame = pd.DataFrame(rows, columns=["window", "time", "a", "b"])
groups = frame.sort_values(["window", "time"]).groupby("window")
windows = [group[["a", "b"]] for _, group in groups]  # one DataFrame for each window
model = RNNClassifier(max_iter=5, random_state=0).fit(windows, y)
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
model = RNNRegressor(loss="quantile", quantile=(0.1, 0.5, 0.9), calibrate=True)
model.set_params(validation_fraction=0.2, max_iter=5)  # calibrated by sequences held out
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

model = RNNLanguageModel(max_iter=2, random_state=0).fit(["to be or not to be"] * 3)
print(model.generate("to ", 20, random_state=0), model.predict_next("to b", k=2))
""",
    "Forecast a series": """
import numpy as np
from lightrnn import RNNForecaster

series = np.sin(np.arange(120) / 2) + np.arange(120) / 50
model = RNNForecaster(horizon=6, season=12, hidden_layer_sizes=8, max_iter=3).fit(series)
print(model.predict(level=80)["lightrnn-hi-80"])
""",
    "Read missing values": """
import numpy as np
from lightrnn import RNNClassifier

gaps = [np.where(x > 2, np.nan, x) for x in X]
model = RNNClassifier(missing="mask", max_iter=5).fit(gaps, y)
""",
    "Cope with rare classes": """
from lightrnn import RNNClassifier

model = RNNClassifier(class_weight="balanced", scoring="f1_macro", early_stopping=True)
model.set_params(max_iter=5, validation_fraction=0.3).fit(X, y)
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
print(found[0].shape, found.rank_features(), found.rank_lags())
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
    model.partial_fit(X[some], y[some], classes=sorted(set(y)))
""",
    "Import a PyTorch model": """
import lightrnn

trained = lightrnn.RNNClassifier("gru", patch=1, bidirectional=False, max_iter=2).fit(X, y)
state = trained.to_torch()  # or the path of a .pt or .safetensors file
names = trained.classes_
model = lightrnn.from_torch(state, lightrnn.RNNClassifier(), classes=names, read="final")
print(model.predict(X[:3]))
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
