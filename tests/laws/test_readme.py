"""Every Python block of the README runs, from the first to the last."""

import io
import re
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent.parent / "README.md"


# The package is on no index yet, so pip is given a folder or an address.
FROM_INDEX = re.compile(r"pip install [^\n`]*\blightrnn\b", re.IGNORECASE)


def test_no_command_takes_the_package_from_an_index():
    text = README.read_text(encoding="utf-8").replace("pip install /lightrnn", "")
    assert not FROM_INDEX.findall(text)


def test_every_block_that_prints_is_followed_by_what_it_prints():
    text = README.read_text(encoding="utf-8")
    for code, after in re.findall(r"```python\n(.*?)```\n*(.{0,7})", text, re.DOTALL):
        shown = after == "```text" or re.search(r"^# \[|\)  # [\d.]+$", code, re.MULTILINE)
        assert shown or "print(" not in code, code


def numbers(array):
    """Return the numbers of a printed array."""
    return [float(number) for number in array.strip("[]").split()]


@pytest.mark.slow
def test_python_blocks_run():
    pytest.importorskip("sklearn", reason="one of the blocks uses scikit-learn")
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    names: dict[str, object] = {}
    for block in blocks:
        block = block.replace("text[:200_000]", "text[:20_000]")  # its figures are not compared
        printed = io.StringIO()
        with warnings.catch_warnings(), redirect_stdout(printed):
            warnings.simplefilter("error")
            exec(compile(block, str(README), "exec"), names)
        # Processors round differently, so figures are compared up to 2 %.
        found = list(map(numbers, re.findall(r"^\[[\d. ]+\]$", printed.getvalue(), re.MULTILINE)))
        for shown in map(numbers, re.findall(r"^# (\[[\d. ]+\])$", block, re.MULTILINE)):
            assert pytest.approx(shown, rel=0.02) in found
