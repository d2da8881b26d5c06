"""The gallery is what its command writes; its tasks are short and run."""

import ast
import importlib
import importlib.util
import re
import warnings
from pathlib import Path

import pytest

import lightrnn

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def gallery():
    spec = importlib.util.spec_from_file_location("gallery", EXAMPLES / "gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(gallery):
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.page()


def test_every_public_module_is_in_the_index(gallery):
    rows = "\n".join(gallery.index())
    for name in (*lightrnn._MODULES, "comparison", "distributed"):
        module = importlib.import_module(f"lightrnn.{name}")
        for public in module.__all__:
            if callable(getattr(module, public)):
                assert f"`lightrnn.{name}.{public}`" in rows
    assert all(f"`lightrnn.{name}`" in rows for name in lightrnn.__all__ if name != "__version__")


def test_every_example_is_in_it_with_lines_of_its_own(gallery):
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"gallery", "guide", "tasks"}
    assert scripts == set(gallery.EXAMPLES)
    for name, lines in gallery.EXAMPLES.items():
        text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
        assert "".join(lines.split()) in "".join(text.split()), name


def test_a_long_output_is_cut_before_its_last_sentence(gallery):
    rows = [f"row {i}" for i in range(40)]
    shown = gallery.shortened("\n".join(rows) + "\n\nThe lstm wins.\n3 s\n\n4 s\n").splitlines()
    assert shown == [*rows[: gallery.HEAD], "...", "The lstm wins."]
    assert gallery.shortened("a table\n\nThe lstm wins.\n\n4 s\n") == "a table\n\nThe lstm wins."


def test_there_are_thirty_short_tasks(gallery):
    assert len(gallery.TASKS) >= 30
    for title, code in gallery.TASKS.items():
        assert len(code.strip().splitlines()) <= 15, title
        ast.parse(code)
    addresses = [gallery.anchor(title) for title in gallery.TASKS]
    assert len(set(addresses)) == len(addresses)


def test_the_front_page_links_to_tasks_of_the_gallery(gallery):
    front = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"examples/README\.md(#[^)]*)\)", front))
    assert len(linked) >= 25
    assert linked <= {gallery.anchor(title) for title in gallery.TASKS}


def needed(code):
    """Return the modules that a task needs, that which reads and writes ONNX files included."""
    found = set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE))
    return found | ({"onnx"} if "_onnx(" in code else set())


@pytest.mark.slow
def test_tasks_run(gallery, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    run = []
    for title, code in gallery.TASKS.items():
        if not all(map(importlib.util.find_spec, needed(code))):
            continue
        names = {}
        exec(compile(gallery.DATA, "data", "exec"), names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of so short a training
            exec(compile(code, title, "exec"), names)
        run.append(title)
    assert len(run) >= 20
