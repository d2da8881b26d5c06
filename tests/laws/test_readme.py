"""Every Python block of the README runs, from the first to the last."""

import re
import warnings
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent.parent / "README.md"


# The package is on no index yet, so pip is given a folder or an address.
FROM_INDEX = re.compile(r"pip install [^\n`]*\blightrnn\b", re.IGNORECASE)


def test_no_command_takes_the_package_from_an_index():
    text = README.read_text(encoding="utf-8").replace("pip install /lightrnn", "")
    assert not FROM_INDEX.findall(text)


@pytest.mark.slow
def test_python_blocks_run():
    pytest.importorskip("sklearn", reason="one of the blocks uses scikit-learn")
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    names: dict[str, object] = {}
    for block in blocks:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(block, str(README), "exec"), names)
