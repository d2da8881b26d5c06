"""The texts of the gallery: lines that matter, captions, other libraries and questions."""

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

# What the pictures of an example show, by their names.
CAPTIONS = {
    "vanishing_gradient": """
Left and middle: how much of the gradient of the output arrives at the state so many steps before
the end of sentences of 320 words, where 1 is what arrives at the end; the bands hold 80 % of the
sentences. The biases are those of the gate that keeps the state, before training; chrono biases let
it keep for as long as sentences last. Right: each net was trained anew for each distance, on
sentences of 8 words to this distance. The gru with a bias of 1 in the middle has learned from
short sentences, opened its gates, and passes the gradient on over 320 steps; on the right, at 320
words, it met too few short ones, and guesses. (If a half of its sentences have up to 40 words, it
is right there, too.) With chrono biases, the default where sequences have more than 50 steps, it is
right at every distance.""",
    "gates": "Yellow: the gate is open, and the unit keeps what it holds.",
    "attribution": """
Shares of the output, which is a logit: it falls by 13.5 if “Ill” is replaced by an unknown word.
The bar below a word is as thick as its share is large, for readers who do not see the colours.""",
    "forecast": """
The last cycle, forecast from all years before it. Over all cycles since 1921 the linear
autoregression errs 6 % less than the forecaster: one series of 220 steps is little for a network.
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
    "Which cell?": "Run `lightrnn.comparison.compare` first, or `python -m lightrnn compare`: with "
    "little data a plain rnn or an ffnn can win. Over long distances it is the gru or the lstm; "
    "the ffnn where you know how near what matters is.",
    "How many units?": "The default of 64 to begin with. More is seldom what helps first: "
    "try `patch`, `early_stopping`, `dropout` and more data before.",
    "How long should sequences be?": "As long as what matters reaches back. `memory_horizon` says "
    "how far a fitted net does; long series are read in patches (`patch`).",
    "What if it learns nothing?": "A warning says so, with the loss to compare with. Check that y "
    "belongs to X, raise `max_iter`, take `forget_bias='chrono'` for cues far back, and compare "
    "with a linear model: where order says nothing, a memory buys nothing.",
    "What if it is right in training and guesses on new data?": "It memorised. Score "
    "sequences that it has not seen (`train_test_split`); try `early_stopping=True`, "
    "`dropout=0.3`, fewer units and more data. Do not explain a model before it passes: "
    "`attribution` would name the steps that it learned by heart.",
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
