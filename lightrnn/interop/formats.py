"""Files of other formats, known by their first bytes, for errors that say what a file is."""

from __future__ import annotations

import os
import zipfile

from ..utils.archive import DAMAGE
from ..utils.files import StrPath, open_regular

_STARTS = {
    b"\x89HDF": "an HDF5 file, as Keras writes. Read it by from_keras.",
    b"\x93NUM": "an array of NumPy. Give a state_dict of named arrays.",
    b"GGUF": "a GGUF file. Its weights are those of another kind of network.",
    b"\x28\xb5\x2f\xfd": "a file compressed by zstd. Unpack it first.",
    b"\x1f\x8b": "a file compressed by gzip. Unpack it first.",
    b"TFL3": "a TensorFlow Lite file. Give the Keras model that it was made of.",
}
_ARCHIVES = {
    "constants.pkl": (
        "a TorchScript archive. Save its weights: "
        "torch.save(torch.jit.load(path).state_dict(), 'weights.pt')."
    ),
    "data.pkl": "a file of torch.save. Read it by from_torch.",
    "model.weights.h5": "a .keras file. Read it by from_keras.",
    "fingerprint.pb": "a TensorFlow SavedModel. Save the Keras model as .keras.",
}
_ARCHIVE_OF_ARRAYS = "an .npz archive. Read a model of this package by lightrnn.load."


def unreadable(
    path: StrPath, wanted: str, known: tuple[str, ...], problem: Exception | str
) -> ValueError:
    """Return the error about a file that is of another format, or else has a problem.

    Parameters
    ----------
    path : str or path-like
        The file.
    wanted : str
        What it must be.
    known : tuple of str
        The beginnings of descriptions of formats that are no news to the reader.
    problem : Exception or str
        The sign of damage, or the message about a file that is of no other format.
    """
    with open_regular(path) as file:
        start = file.read(16)
    found = _of_archive(path) if start.startswith(b"PK\x03\x04") else _of_start(start)
    refusal = f"source must be {wanted}, got {os.fspath(path)!r}"
    if found is not None and not found.startswith(known):
        return ValueError(f"{refusal}, {found}")
    if isinstance(problem, str):
        return ValueError(problem)
    return ValueError(f"{refusal}: {problem}. It is damaged or of another format.")


def _of_start(start: bytes) -> str | None:
    """Return the format of a file that begins so."""
    for beginning, found in _STARTS.items():
        if start.startswith(beginning):
            return found
    if start.startswith(b"\x80") and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return (
            "a pickle alone, as torch wrote before 1.6. Convert it where you trust it: "
            "torch.save(torch.load(path, weights_only=True), 'weights.pt')."
        )
    # A protobuf whose first field is the version of ONNX, and whose next one is text; safetensors
    # begin with the length of a header in JSON.
    if start[:1] == b"\x08" and start[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42"):
        if start[8:9] != b"{":
            return "an ONNX model. Read it by from_onnx."
    return None


def _of_archive(path: StrPath) -> str | None:
    """Return the format of a zip archive by its members."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.rpartition("/")[2] for name in archive.namelist()}
    except DAMAGE:
        return None
    for member, found in _ARCHIVES.items():
        if member in members:
            return found
    return _ARCHIVE_OF_ARRAYS if any(name.endswith(".npy") for name in members) else None
