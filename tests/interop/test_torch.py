"""PyTorch's networks give the same outputs here; a weight that is missing or left over is named."""

from pathlib import Path

import numpy as np
import pytest
from helpers.counting import calls
from helpers.refusal import state
from helpers.strategies import POOLINGS
from helpers.torch_weights import F, H, state_dict
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, from_torch
from lightrnn.losses import sigmoid, softmax

# The tests of `check` are about this warning.
pytestmark = pytest.mark.filterwarnings("ignore:The weights of a:UserWarning")

GOLDEN = Path(__file__).parent.parent / "golden"
X = [np.random.default_rng(i).normal(size=(3 + i, F)) for i in range(6)]
Y = ["a", "b", "a", "b", "a", "b"]


def golden():
    with np.load(GOLDEN / "torch.npz") as file:
        arrays = dict(file)
    ends = np.cumsum(arrays["lengths"])[:-1]
    return arrays | {name: np.split(arrays[name], ends) for name in ("numbers", "codes", "texts")}


# -- what torch computed ---------------------------------------------------------------------------


def test_golden_lstm():
    files = golden()
    model = from_torch(GOLDEN / "lstm.pt", RNNClassifier(), classes=["x", "z", "y"])
    assert model.classes_.tolist() == ["x", "y", "z"]
    expected = softmax(files["lstm"])[:, [0, 2, 1]]
    assert np.allclose(model.predict_proba(files["numbers"]), expected, rtol=0, atol=1e-6)
    assert repr(model) == (
        "RNNClassifier(cell='lstm', hidden_layer_sizes=(5,), bidirectional=False)"
    )


def test_golden_checkpoint_with_objects_beside_the_weights():
    expected = from_torch(GOLDEN / "lstm.pt", RNNClassifier()).weights_
    found = from_torch(GOLDEN / "checkpoint.pt", RNNClassifier()).weights_
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_golden_gru():
    files = golden()
    model = from_torch(str(GOLDEN / "gru.safetensors"), RNNRegressor(target="step"))
    assert np.allclose(
        np.concatenate(model.predict(files["numbers"])), files["gru"], rtol=0, atol=1e-6
    )
    assert model.hidden_layer_sizes == (4, 4) and model.bidirectional and model.cell == "gru"


def test_golden_rnn_of_a_checkpoint():
    files = golden()
    model = from_torch(GOLDEN / "rnn.pt", RNNClassifier())
    expected = sigmoid(files["rnn"][:, 0])
    assert np.allclose(model.predict_proba(files["codes"])[:, 1], expected, rtol=0, atol=1e-6)
    assert np.array_equal(model.predict(files["codes"]), expected > 0.5)
    assert model.vocabulary_.tolist() == ["<unknown>", 0, 1, 2, 3, 4, 5, 6]
    # The first row is the unknown token's, the second torch's for padding.
    assert not model.weights_["embedding.W"][:2].any()
    assert np.isfinite(model.predict_proba([[1, 99]])).all()


@pytest.mark.parametrize("tied", [False, True])
def test_golden_language_model(tied):
    files = golden()
    vocabulary = ["b", "a", "<end>", "c", "<unknown>", "d", "e"]
    model = from_torch(
        GOLDEN / "language.pt", RNNLanguageModel(tie_weights=tied), vocabulary=vocabulary
    )
    assert model.vocabulary_.tolist() == ["<unknown>", "<end>", "b", "a", "c", "d", "e"]
    contexts = [
        "".join(vocabulary[code].replace("<unknown>", "?") for code in text[1:])
        for text in files["texts"]
    ]
    last = files["language"][np.cumsum(files["lengths"]) - 1]
    order = [vocabulary.index(token) for token in model.vocabulary_]
    assert np.allclose(model.predict_proba(contexts), softmax(last)[:, order], rtol=0, atol=1e-6)
    assert ("head.W" in model.weights_) is not tied
    model.partial_fit(["abcde"]).generate(n_tokens=3)


# -- torch itself ----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
    sizes=st.lists(st.integers(1, 18), min_size=1, max_size=3)
    | st.integers(1, 18).map(lambda H: [H, H]),
    both=st.booleans(),
    step=st.booleans(),
    biased=st.booleans(),
    tokens=st.just(0) | st.integers(2, 9),
    outputs=st.sampled_from([2, F]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 999),
)
@example("gru", [5, 4], False, False, True, F, F, "float32", 1)
def test_torch_gives_the_same(cell, sizes, both, step, biased, tokens, outputs, dtype, seed):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    torch.manual_seed(seed)
    kind = getattr(torch.nn, cell.upper())
    kwargs = {"dtype": getattr(torch, dtype)}
    net = torch.nn.ModuleDict()
    features = F
    if tokens:
        net["table"] = torch.nn.Embedding(tokens, F, **kwargs)
    if len(set(sizes)) == 1:
        runs = [(sizes[0], len(sizes))]
    else:
        runs = [(units, 1) for units in sizes]
    for i, (units, layers) in enumerate(runs):
        net[f"layer{i}"] = kind(
            features, units, layers, bias=biased, bidirectional=both, batch_first=True, **kwargs
        )
        features = units * (1 + both)
    net["out"] = torch.nn.Linear(features, outputs, **kwargs)

    def run(x):
        rows = net["table"](torch.tensor(x)) if tokens else torch.tensor(x)
        for i in range(len(runs)):
            rows, final = net[f"layer{i}"](rows[None])
            rows = rows[0]
            final = final[0] if isinstance(final, tuple) else final  # an LSTM returns h and c
        features = rows if step else torch.cat(list(final[-1 - both :, 0]))[None]
        return net["out"](features).detach().numpy()

    rng = np.random.default_rng(seed)
    data = [
        rng.integers(0, tokens, T) if tokens else rng.normal(size=(T, F)).astype(dtype)
        for T in (5, 1, 3)
    ]
    expected = [run(x) for x in data]
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    estimator = RNNRegressor(target="step" if step else "sequence", dtype=dtype)
    model = from_torch(net if seed % 2 else net.state_dict(), estimator)
    got = model.predict(data)
    assert np.allclose(
        np.concatenate(got) if step else got, np.concatenate(expected), rtol=0, atol=tolerance
    )
    back = model.to_torch()
    names = {
        name.replace("table.", "embedding.").replace("out.", "head."): p
        for name, p in net.state_dict().items()
    }
    prefix = (lambda i: "rnn.") if len(runs) == 1 else (lambda i: f"rnn{i}.")
    for i in range(len(runs)):
        names = {name.replace(f"layer{i}.", prefix(i)): p for name, p in names.items()}
    if biased:
        assert back.keys() == names.keys()
    for name in names:
        if "bias_" not in name and name != "embedding.weight":
            assert np.array_equal(back[name], names[name].numpy()), name


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("both", [False, True])
def test_torch_loads_what_we_trained(cell, both):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    model = RNNClassifier(
        cell, (5, 5), bidirectional=both, max_iter=2, learning_rate="cosine", random_state=0
    )
    model.fit(X, Y)
    net = torch.nn.ModuleDict(
        {
            "rnn": getattr(torch.nn, cell.upper())(F, 5, 2, bidirectional=both, batch_first=True),
            "head": torch.nn.Linear(5 * (1 + both), 2),
        }
    )
    net.load_state_dict({name: torch.from_numpy(array) for name, array in model.to_torch().items()})
    for x in X:
        _, final = net["rnn"](torch.tensor(x[None], dtype=torch.float32))
        final = final[0] if isinstance(final, tuple) else final
        raw = net["head"](torch.cat(list(final[-1 - both :, 0]))[None])
        assert np.allclose(
            model.predict_proba([x]), torch.softmax(raw, 1).detach().numpy(), rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("pooling", POOLINGS[1:])
def test_torch_pools_as_the_documentation_says(pooling):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    options = {"pooling": pooling, "max_iter": 2, "learning_rate": "cosine", "random_state": 0}
    model = RNNClassifier("gru", (5,), **options).fit(X, Y)
    rnn = torch.nn.GRU(F, 5, batch_first=True)
    parts = {"rnn": rnn, "head": torch.nn.Linear(5, 2)}
    if pooling == "attention":
        parts["attention"] = torch.nn.Linear(5, 1, bias=False)
    net = torch.nn.ModuleDict(parts)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in model.to_torch().items()})
    for x in X:
        h, _ = rnn(torch.tensor(x[None], dtype=torch.float32))
        if pooling == "attention":
            pooled = (net["attention"](h).softmax(1) * h).sum(1)
        else:
            pooled = h.mean(1) if pooling == "mean" else h.amax(1)
        raw = net["head"](pooled)
        found = torch.softmax(raw, 1).detach().numpy()
        assert np.allclose(model.predict_proba([x]), found, rtol=0, atol=1e-6)


def test_what_only_a_module_tells_is_refused():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    head = torch.nn.Linear(H, 2)
    relu = torch.nn.ModuleDict({"rnn": torch.nn.RNN(F, H, nonlinearity="relu"), "fc": head})
    with pytest.raises(ValueError, match="with tanh, got 'rnn' with nonlinearity='relu'"):
        from_torch(relu, RNNClassifier())
    layers = {"rnn": torch.nn.RNN(F, H), "act": torch.nn.ReLU(), "fc": head}
    with pytest.raises(ValueError, match="computed here, got 'act' of class ReLU"):
        from_torch(torch.nn.ModuleDict(layers), RNNClassifier())
    layers |= {
        "act": torch.nn.Dropout(0.5),
        "loss": torch.nn.CrossEntropyLoss(),
        "out": torch.nn.LogSoftmax(1),
    }
    from_torch(torch.nn.ModuleDict(layers), RNNClassifier())
    narrow = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(F, 2 * H, proj_size=H), "fc": head})
    with pytest.raises(
        ValueError, match=r"without projections \(proj_size\), got 'rnn.weight_hr_l0'"
    ):
        from_torch(narrow, RNNClassifier())


# -- refusals --------------------------------------------------------------------------------------


def changed(name, array=None, **keywords):
    source = state_dict(**keywords)
    return {key: held for key, held in source.items() if key != name} | (
        {} if array is None else {name: array}
    )


def renamed(old, new, **keywords):
    return {name.replace(old, new): array for name, array in state_dict(**keywords).items()}


def without(start, source):
    return {name: array for name, array in source.items() if not name.startswith(start)}


NARROW = np.zeros((16, 7), np.float32)
RAGGED = np.ones((12, 4))
SOURCES = {
    "missing": (changed("rnn.bias_hh_l0"), "must hold the weight 'rnn.bias_hh_l0', got 'fc.bias'"),
    "missing matrix": (changed("rnn.weight_hh_l0"), "must hold the weight 'rnn.weight_hh_l0'"),
    "missing layer": (
        changed("rnn.weight_hh_l0", layers=2),
        "must hold the weight 'rnn.weight_hh_l0'",
    ),
    "missing head": (changed("fc.weight"), "must hold the weight 'fc.weight'"),
    "missing direction": (
        changed("rnn.bias_ih_l0_reverse", both=True),
        "the weight 'rnn.bias_ih_l0_reverse'",
    ),
    "misshapen": (
        changed("rnn.weight_ih_l1", NARROW, layers=2),
        r"weight_ih_l1'\] must have shape \(16, 4\), got",
    ),
    "misshapen head": (
        changed("fc.weight", np.ones((2, 5))),
        r"'fc.weight'\] must have shape \(any, 4\), got",
    ),
    "misshapen embedding": (
        changed("embedding.weight", np.ones((5, 2)), tokens=5),
        r"shape \(any, 3\), got \(5, 2\)",
    ),
    "one axis": (
        changed("rnn.weight_hh_l0", np.ones(4)),
        r"must have 2 axes, none empty, got shape \(4,\)",
    ),
    "empty": (changed("rnn.weight_hh_l0", np.ones((0, 0))), "must have 2 axes, none empty"),
    "gates": (
        changed("rnn.weight_hh_l0", np.ones((20, 4))),
        r"an LSTM \(4 gates\), .* got 5 gates of 4 units",
    ),
    "extra": (changed("norm.gain", np.ones(4)), "got also 'norm.gain'"),
    "extra embedding": (
        changed("pos.weight", np.ones((9, 3)), tokens=5),
        "be the embedding, got 'embedding', 'pos'",
    ),
    "two heads": (
        changed("fc2.bias", np.ones(4)),
        "that can be the head, got 'fc', 'fc2'. Name it: head=",
    ),
    "no head": (without("fc", state_dict()), "that can be the head, got nothing"),
    "projection": (
        changed("rnn.weight_hr_l0", np.ones((2, 4))),
        "without projections .*got 'rnn.weight_hr_l0'",
    ),
    "peepholes": (
        changed("rnn.weight_ci_l0", np.ones(4)),
        "without peepholes, got 'rnn.weight_ci_l0'",
    ),
    "no recurrent": (
        {"fc.weight": np.ones((2, 3)), "fc.bias": np.ones(2)},
        "must hold a recurrent layer, got 'fc.bias', 'fc.weight'",
    ),
    "same numbers": (
        {**renamed("rnn", "a_1"), **renamed("rnn", "a1")},
        "whose names give their order, got 'a1', 'a_1'",
    ),
    "a format": (renamed("rnn.bias_ih", "{:>9999999999}.{0.x}"), "the weight 'rnn.bias_ih_l0'"),
    "a formatted name": (
        {**renamed("rnn", "{:>9999999999}{0.x}"), "x.y": np.ones(1)},
        "got also 'x.y'",
    ),
    "two names": (
        state_dict() | renamed("rnn", "encoder"),
        r"give their order, got 'encoder', 'rnn'. Name them from first to last: recurrent=",
    ),
    "mixture": (
        {
            **renamed("rnn", "rnn1"),
            **without("fc", renamed("rnn", "rnn2", cell="gru")),
            "rnn2.weight_ih_l0": RAGGED,
        },
        "one kind of recurrent layer, got lstm, gru",
    ),
    "one both ways": (
        {**renamed("rnn", "rnn1"), **without("fc", renamed("rnn", "rnn2", both=True))}
        | {"rnn2.weight_ih_l0": np.ones((16, 4)), "rnn2.weight_ih_l0_reverse": np.ones((16, 4))},
        "two directions in every layer or in none",
    ),
    "nan": (changed("fc.bias", np.array([0, np.nan])), r"\['fc.bias'\] must be finite"),
    "integers": (
        changed("fc.bias", np.array([0, 1])),
        r"\['fc.bias'\] must hold floating-point numbers",
    ),
    "overflow": (
        changed("fc.bias", np.array([0, 1e300])),
        "dtype must hold the source's weights, got 'float32'",
    ),
    "nothing": ({}, r"must be a state_dict or hold one, got \[\] with 0 of them"),
    "two in one": ({"a": state_dict(), "b": state_dict()}, r"got \['a', 'b'\] with 2 of them"),
    "normalised": (
        state_dict() | {"norm.weight": np.ones(H), "norm.bias": np.ones(H)},
        "got also 'norm.bias', 'norm.weight'. Weights of one axis belong to a normalisation .*"
        "train the model without it",
    ),
    "a long name": (changed("x" * 10**6, np.ones(4)), r"got also 'x{20,50}\.\.\.x{20,50}'"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_sources_are_refused_by_name(case):
    source, message = SOURCES[case]
    estimator = RNNClassifier()
    before = state(estimator)
    with pytest.raises(ValueError, match=message):
        from_torch(source, estimator)
    assert state(estimator) == before


def test_linear_layers_that_are_no_chain_are_refused():
    wide = state_dict(outputs=5) | {"fc2.weight": np.ones((2, 5)), "fc2.bias": np.ones(2)}
    with pytest.raises(ValueError, match=r"got also 'fc2\.weight'. Linear layers are computed"):
        from_torch(without("fc2.bias", wide), RNNClassifier())
    other = {"other.weight": np.ones((3, 7)), "other.bias": np.ones(3)}
    with pytest.raises(ValueError, match=r"got also 'fc2\.bias', 'fc2\.weight'. Linear layers are"):
        from_torch(wide | other, RNNClassifier())
    with pytest.raises(ValueError, match=r"one linear layer .* to be an RNNLanguageModel, got 2"):
        tokens = {"emb.weight": np.ones((5, 3))}
        from_torch(wide | tokens, RNNLanguageModel(), vocabulary=["", "a", "b", "c", "d"])


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells_that_read_step_by_step_are_layers(kind):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    torch.manual_seed(0)
    cells = [getattr(torch.nn, kind)(F, H), getattr(torch.nn, kind)(H, H)]
    net = torch.nn.ModuleDict({"cell1": cells[0], "cell2": cells[1], "fc": torch.nn.Linear(H, 2)})
    model = from_torch(net.state_dict(), RNNRegressor())
    states = [None, None]
    for x in torch.tensor(X[0][:, None], dtype=torch.float32):
        for i, cell in enumerate(cells):
            states[i] = cell(x, states[i])
            x = states[i][0] if kind == "LSTMCell" else states[i]
    assert np.allclose(model.predict(X[:1]), net["fc"](x).detach().numpy(), rtol=0, atol=1e-6)


def test_arrays_beside_the_weights_are_passed_over():
    expected = from_torch(state_dict(), RNNClassifier()).weights_
    stats = {"mean": np.ones(F), "std": np.ones(F)}
    for source in (
        {"model": state_dict(), "stats": stats},
        {"model": state_dict(), **stats},
        {**state_dict(), "stats": stats},
    ):
        found = from_torch(source, RNNClassifier()).weights_
        assert all(np.array_equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", ["criterion.weight", "loss_fn.pos_weight", "class_weights"])
def test_weights_of_a_loss_are_passed_over(name):
    source = state_dict(tokens=5, outputs=H)
    expected = from_torch(source, RNNClassifier()).weights_
    found = from_torch(source | {name: np.ones(H)}, RNNClassifier()).weights_
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    from_torch(state_dict() | {"ce.weight": np.ones(2)}, RNNClassifier())  # one per output
    with pytest.raises(ValueError, match="got also 'scale'"):
        from_torch(state_dict() | {"scale": np.ones(2)}, RNNClassifier())
    with pytest.raises(ValueError, match="If they belong to a loss, leave them out"):
        from_torch(source | {"ce.weight": np.ones(H)}, RNNClassifier())


@pytest.mark.parametrize("features", [F, H])
@pytest.mark.parametrize("tokens", [0, 5])
def test_a_head_needs_no_bias(features, tokens):
    source = changed("fc.bias", tokens=tokens)
    source["rnn.weight_ih_l0"] = np.ones((4 * H, features), np.float32)
    if tokens:
        source["embedding.weight"] = np.ones((tokens, features), np.float32)
    weights = from_torch(source, RNNClassifier()).weights_
    assert np.array_equal(weights["head.W"], source["fc.weight"].T)
    assert not weights["head.b"].any() and ("embedding.W" in weights) == bool(tokens)


def test_a_tied_head_needs_neither_weight_nor_bias():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    net = torch.nn.ModuleDict(
        {
            "table": torch.nn.Embedding(5, H),
            "rnn": torch.nn.LSTM(H, H),
            "fc": torch.nn.Linear(H, 5, bias=False),
        }
    )
    net["fc"].weight = net["table"].weight
    keywords = {"vocabulary": ["<unknown>", "<end>", "a", "b", "c"]}
    both = from_torch(net, RNNLanguageModel(tie_weights=True), head="fc", **keywords)
    state_dict = net.state_dict()
    del state_dict["fc.weight"]
    one = from_torch(state_dict, RNNLanguageModel(tie_weights=True), **keywords)
    assert np.array_equal(one.predict_proba(["abc"]), both.predict_proba(["abc"]))
    loose = from_torch(net, RNNLanguageModel(), head="fc", **keywords)
    assert np.allclose(one.predict_proba(["abc"]), loose.predict_proba(["abc"]))


def test_the_work_is_in_proportion_to_the_weights():
    def source(modules):
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        arrays = [np.ones(shape) for shape in ((4, 1), (4, 1), 4, 4)]
        cells = {
            f"rnn{i}.{name}": array
            for i in range(modules)
            for name, array in zip(names, arrays, strict=True)
        }
        return cells | {"fc.weight": np.ones((1, 2))}  # refused at the end

    few, many = (calls(from_torch, source(n), RNNRegressor()) for n in (100, 400))
    assert many < 5 * few


def test_modules_can_be_named():
    source = {
        **state_dict(),
        **{f"x.{k}": v for k, v in state_dict(seed=1).items() if "fc" not in k},
    }
    source["x.rnn.weight_ih_l0"] = np.ones((16, 4), np.float32)
    model = from_torch(source, RNNClassifier(), recurrent=["rnn", "x.rnn"], head="fc")
    assert model.hidden_layer_sizes == (H, H)
    assert np.array_equal(model.weights_["layer1.W_ih"], source["x.rnn.weight_ih_l0"].T)
    plain = changed("fc.bias")
    assert not from_torch(plain, RNNClassifier(), head="fc").weights_["head.b"].any()
    with pytest.raises(ValueError, match=r"got also 'x\.rnn\.bias_hh_l0'"):
        from_torch(source, RNNClassifier(), recurrent="rnn")


def test_numbered_modules_come_in_order():
    names = ["deep.lstm10", "deep.lstm2", "deep.lstm"]
    source = {
        f"{n}.{k[4:]}": v
        for i, n in enumerate(names)
        for k, v in state_dict(seed=i).items()
        if "fc" not in k
    }
    source |= {
        f"{n}.weight_ih_l0": np.full((16, 4), i, np.float32) for i, n in enumerate(names[:2])
    }
    weights = from_torch(
        source | {"o.weight": np.ones((2, 4)), "o.bias": np.ones(2)}, RNNClassifier()
    ).weights_
    assert (weights["layer1.W_ih"] == 1).all() and (weights["layer2.W_ih"] == 0).all()
