"""Every Python block of the README runs, from the first to the last."""

import re
import warnings
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent.parent / "README.md"


@pytest.mark.slow
def test_python_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    names: dict[str, object] = {}
    for block in blocks:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(block, str(README), "exec"), names)
