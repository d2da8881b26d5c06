"""Modules around the layers are put into their weights; parts of checkpoints are chosen by name."""

import warnings

import numpy as np
import pytest
from helpers.torch_weights import F, H, state_dict

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, from_torch

# The tests of `check` are about this warning.
pytestmark = pytest.mark.filterwarnings("ignore:The weights of a network:UserWarning")

X = [np.random.default_rng(T).normal(size=(T, F)).astype(np.float32) for T in (5, 2, 7)]


def random_norm(torch, width):
    norm = torch.nn.BatchNorm1d(width)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        torch.nn.init.normal_(tensor)
    torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


class Parts:
    """Makes networks of torch from the names of the parts that they have beside an LSTM."""

    def __init__(self, torch, *names, bias=True, both=False, k=2, head_bias=True):
        nn = torch.nn
        width = H * (1 + both)
        features = {"proj": 5, "embedding": 5}
        n = next((features[name] for name in names if name in features), F)
        made = {
            "embedding": lambda: nn.Embedding(9, 5),
            "proj": lambda: nn.Linear(n, F),
            "bn_in": lambda: random_norm(torch, F),
            "lstm": lambda: nn.LSTM(F, H, bias=bias, bidirectional=both, batch_first=True),
            "bn_out": lambda: random_norm(torch, width),
            "fc": lambda: nn.Linear(width, k, bias=head_bias),
        }
        parts = {k: make() for k, make in made.items() if k in (*names, "lstm", "fc")}
        self.net = nn.ModuleDict(parts).eval()
        self.torch = torch

    def __call__(self, x):
        torch = self.torch
        rows = torch.tensor(x)
        for name, part in self.net.items():
            if name == "lstm":
                final = part(rows[None])[1][0]
                rows = torch.cat(list(final), 1)
            else:
                rows = part(rows)
        return rows.detach().numpy()[0]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    "names",
    [("proj",), ("bn_in",), ("bn_out",), ("embedding", "proj"), ("proj", "bn_in", "bn_out")],
    ids="-".join,
)
def test_affine_modules_are_put_into_the_layers(names, both):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    torch.manual_seed(0)
    network = Parts(torch, *names, bias=not both, both=both)
    rng = np.random.default_rng(0)
    if "embedding" in names:
        inputs = [rng.integers(0, 9, T) for T in (4, 6)]
    else:
        inputs = [rng.normal(size=(T, 5 if "proj" in names else F)) for T in (4, 6)]
        inputs = [x.astype(np.float32) for x in inputs]
    check = inputs, np.array([network(x) for x in inputs])
    model = from_torch(network.net, RNNRegressor(), check=check)
    np.testing.assert_allclose(model.predict(inputs), check[1], rtol=0, atol=1e-5)
    first = names[0] if names[0] != "embedding" else names[1]
    with pytest.warns(UserWarning, match=f"'{first}' stands just before the layer"):
        from_torch(network.net.state_dict(), RNNRegressor(), read="final")


@pytest.mark.parametrize("options", [{"k": 5}, {"k": 5, "both": True}, {"head_bias": False}])
def test_the_order_of_modules_shows_what_reads_what(options):
    """As where there are as many outputs as features, or a head without a bias."""
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    torch.manual_seed(0)
    name = "proj" if "k" in options else "bn_out"
    network = Parts(torch, name, **options)
    x = np.random.default_rng(0).normal(size=(4, 5 if name == "proj" else F)).astype(np.float32)
    check = [x], network(x)[None]
    from_torch(network.net.state_dict(), RNNRegressor(), read="final", check=check)


def test_constants_that_scale_are_put_into_the_first_layer():
    mean, std = np.array([1.0, 2.0, 3.0]), np.array([0.5, 2.0, 4.0])
    expected = from_torch(state_dict(), RNNRegressor(dtype="float64"))
    for names in (("mean", "std"), ("x_mean", "x_std"), ("scaler.mean", "scaler.scale")):
        source = state_dict() | dict(zip(names, (mean, std[None]), strict=True))
        check = [x * std + mean for x in X], expected.predict(X)
        from_torch(source, RNNRegressor(dtype="float64"), check=check)


def test_buffers_that_scale_are_put_into_the_first_layer():
    torch = pytest.importorskip("torch", reason="torch is an optional peer")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.tensor([1.0, 2, 3]))
            self.register_buffer("std", torch.tensor([[0.5, 2, 4]]))
            self.rnn = torch.nn.GRU(F, H, batch_first=True)
            self.fc = torch.nn.Linear(H, 1)

        def forward(self, x):
            final = self.rnn((x - self.mean) / self.std)[1]
            return torch.sigmoid(self.fc(final[-1])).squeeze()

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the module is run
        from_torch(Net(), RNNClassifier())
    with pytest.raises(ValueError, match="source must give the outputs of its layers"):
        from_torch(Net(), RNNRegressor())  # has no sigmoid


def test_what_does_not_fold_is_refused():
    norm = {"norm.weight": np.ones(H), "norm.bias": np.ones(H)}  # a LayerNorm
    with pytest.raises(ValueError, match=r"got also 'norm.bias', 'norm.weight'.*normalisation"):
        from_torch(state_dict() | norm, RNNClassifier())
    shiftless = {f"bn.{part}": np.ones(H) for part in ("weight", "running_mean", "running_var")}
    with pytest.raises(ValueError, match=r"source must hold the weight 'bn\.bias'"):
        from_torch(state_dict() | shiftless, RNNClassifier())
    other = {f"bn.{part}": np.ones(H + 1) for part in ("running_mean", "running_var")}
    with pytest.raises(ValueError, match=r"got also 'bn\.running_mean', 'bn\.running_var'"):
        from_torch(state_dict() | other, RNNClassifier())


# -- checkpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("saved", [False, True])
def test_a_part_of_a_checkpoint_is_chosen(saved, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    one, two = (
        {name: torch.tensor(array) for name, array in state_dict(seed=seed).items()}
        for seed in (1, 2)
    )
    below = {f"net.module.{name}": array for name, array in two.items()}
    source = {"model": one, "ema": {"model": two, "decay": 0.9}, "flat": below, "ema.last": two}
    if saved:
        torch.save(source, tmp_path / "checkpoint.pt")
        source = tmp_path / "checkpoint.pt"
    expected = from_torch(two, RNNClassifier()).weights_
    for name in ("ema.model", "ema.last", "flat.net.module", "flat"):
        found = from_torch(source, RNNClassifier(), state_dict=name).weights_
        assert all(np.array_equal(found[key], expected[key]) for key in expected)
    with pytest.raises(ValueError, match=r"Name it, state_dict='...', or pass"):
        from_torch(source, RNNClassifier())
    for name in ("ema.none", "no", "model.fc.weight.x"):
        with pytest.raises(ValueError, match="state_dict must name a part of the source, got"):
            from_torch(source, RNNClassifier(), state_dict=name)


def test_weights_of_other_parts_are_ignored():
    extra = {"similarity_weight": np.ones(1), "similarity_bias": np.ones(1)}
    source = state_dict() | extra
    with pytest.raises(ValueError, match="got also 'similarity_bias', 'similarity_weight'"):
        from_torch(source, RNNClassifier())
    for patterns in ("similarity_*", ["similarity_w*", "*_bias"]):
        from_torch(source, RNNClassifier(), ignore=patterns)
    with pytest.raises(TypeError, match="ignore must be patterns of names, got"):
        from_torch(source, RNNClassifier(), ignore=[3])


@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model_may_lack_special_tokens(tied):
    """As char-rnn's and word_language_model's do: the tokens are there, and never predicted."""
    source = state_dict(tokens=5, outputs=5)
    if tied:
        rng = np.random.default_rng(0)
        source["embedding.weight"] = source["fc.weight"] = rng.normal(size=(5, H))
        source["rnn.weight_ih_l0"] = rng.normal(size=(4 * H, H))
    vocabulary = list("abcde")
    codes = [[0, 1, 4], [3, 3]]
    steps = from_torch(source, RNNRegressor(target="step")).predict(codes)
    options = {"vocabulary": vocabulary, "check": (codes, steps)}
    model = from_torch(source, RNNLanguageModel(tie_weights=tied), **options)
    assert model.vocabulary_.tolist() == ["<unknown>", "<end>", *vocabulary]
    assert not model.weights_["embedding.W"][:2].any()
    probabilities = model.predict_proba(["abe"])[0]
    assert (probabilities[:2] < 1e-15).all() and abs(probabilities.sum() - 1) < 1e-6
    assert np.isfinite(model.score(["abe", "x"])) and "<" not in model.generate("a", 20)


# -- what a file is -------------------------------------------------------------------------------


def test_errors_say_what_a_file_is(tmp_path):
    path = tmp_path / "file"
    numpy = tmp_path / "model.npz"
    np.savez(numpy, a=np.ones(3))
    files = {
        b"\x89HDF\r\n\x1a\n" + bytes(20): "an HDF5 file, as Keras writes. Read it by from_keras",
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": r"before 1.6. .*torch.save\(torch.load\(path",
        b"\x08\x08\x12\x07pytorch\x1a\x032.1": "an ONNX model. Read it by from_onnx",
        numpy.read_bytes(): "an .npz archive. Read a model of this package by lightrnn.load",
        b"\x1f\x8b\x08" + bytes(20): "a file compressed by gzip",
    }
    for content, message in files.items():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"source must be .*{message}") as caught:
            from_torch(path, RNNClassifier())
        assert "damaged" not in str(caught.value)
    path.write_bytes(b"rubbish" * 9)
    with pytest.raises(ValueError, match="It is damaged"):
        from_torch(path, RNNClassifier())


def test_torchscript_is_named(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is an optional peer")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "model.pt")
    message = r"a TorchScript archive. Save its weights: torch.save\(torch.jit.load"
    with pytest.raises(ValueError, match=message):
        from_torch(tmp_path / "model.pt", RNNClassifier())
