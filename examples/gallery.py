"""Write examples/README.md: tasks, what each example shows, other libraries, questions, API.

`python examples/gallery.py` writes the page from the outputs that are kept in examples/outputs.
`python examples/gallery.py run speech gates` runs these examples first and keeps their outputs.
"""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # a clone need not be installed

from guide import CAPTIONS, COMING, EXAMPLES, QUESTIONS  # noqa: E402
from tasks import DATA, GROUPS, TASKS  # noqa: E402

OUTPUTS = HERE / "outputs"
PAGE = HERE / "README.md"
PICTURES = {"gates": ("gates", "attribution")}  # of an example that has others than its own
HEAD = 20  # lines of an output that are shown, and the paragraph that ends it
MODULES = (
    "",
    ".inspection",
    ".plotting",
    ".datasets",
    ".preprocessing",
    ".metrics",
    ".comparison",
    ".distributed",
    ".training",
    ".exceptions",
)
TRIVIAL = re.compile(r"(\d+ s\s*)?(Drawn in .*)?$")
MADE = "<!-- made by python examples/gallery.py -->"


def run(name: str) -> None:
    """Run an example and keep its seconds and output."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, HERE / f"{name}.py"], capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - start
    OUTPUTS.mkdir(exist_ok=True)
    (OUTPUTS / f"{name}.txt").write_text(f"{seconds:.0f}\n{done.stdout}", encoding="utf-8")


def purpose(name: str) -> str:
    """Return the first sentence of an example's docstring."""
    tree = ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").splitlines()[0]


def example(name: str, lines: str) -> list[str]:
    """Return the section of one example: sentence, lines that matter, picture or output."""
    parts = [f"### [{name}.py]({name}.py)", purpose(name)]
    if lines:
        parts.append(fenced(lines, "python"))
    for picture in PICTURES.get(name, (name,)):
        if (HERE / "pictures" / f"{picture}.png").exists():
            parts += [f"![{purpose(name)}](pictures/{picture}.png)", oneline(CAPTIONS[picture])]
    output = OUTPUTS / f"{name}.txt"
    if output.exists():
        seconds, text = output.read_text(encoding="utf-8").split("\n", 1)
        parts += [fenced(shortened(text)), f"It took {seconds} s on two busy cores."]
    return parts


def shortened(text: str) -> str:
    """Return the head of an output, and the last of its paragraphs that says more than seconds."""
    parts = text.strip("\n").split("\n\n")
    while TRIVIAL.match(parts[-1].strip()):
        parts.pop()
    parts[-1] = re.sub(r"\n\d+ s$", "", parts[-1])
    lines = "\n\n".join(parts).splitlines()
    last = len(lines) - len(parts[-1].strip("\n").splitlines())
    if last <= HEAD + 3:
        return "\n".join(lines)
    return "\n".join([*lines[:HEAD], "...", *lines[last:]])


def fenced(text: str, language: str = "text") -> str:
    """Return a block of code."""
    return f"```{language}\n{text}\n```"


def oneline(text: str) -> str:
    """Return a text of several lines as one."""
    return " ".join(text.split())


def anchor(title: str) -> str:
    """Return the address of a heading as GitHub makes it."""
    kept = [letter for letter in title.lower() if letter.isalnum() or letter in " -_"]
    return "#" + "".join(kept).replace(" ", "-")


def index() -> list[str]:
    """Return a table with a line for each public name, from its docstring."""
    rows = ["| name | what it is |", "|---|---|"]
    for module_name in MODULES:
        module = importlib.import_module(f"lightrnn{module_name}")
        for name in sorted(getattr(module, "__all__", ())):
            thing = getattr(module, name)
            if not callable(thing):
                continue
            line = (inspect.getdoc(thing) or "").splitlines()[0].replace("|", "\\|")
            line = re.sub(r" \[\d+\]_", "", line)  # a citation
            rows.append(f"| `lightrnn{module_name}.{name}` | {line} |")
    return rows


def page() -> str:
    """Return the whole page."""
    parts = [MADE, "# Examples"]
    parts.append(
        "[Tasks](#tasks) · [All examples](#all-examples) · "
        "[Coming from another library](#coming-from-another-library) · "
        "[Questions](#questions) · [API index](#api-index)"
    )
    parts += [
        "## Tasks",
        "With this X and y each of them runs as it stands. `max_iter` is small to take seconds; "
        "leave it out for its default, 100.",
        fenced(DATA.strip(), "python"),
    ]
    for group, tasks in GROUPS.items():
        parts.append(f"**{group}:** " + " · ".join(f"[{name}]({anchor(name)})" for name in tasks))
    for title, code in TASKS.items():
        parts += [f"### {title}", fenced(code.strip(), "python")]
    parts.append("## All examples")
    rows = [f"| [{name}.py](#{name}py) | {purpose(name)} |" for name in EXAMPLES]
    parts.append("\n".join(["| script | shows |", "|---|---|", *rows]))
    for name, lines in EXAMPLES.items():
        parts += example(name, lines.strip())
    parts.append("## Coming from another library")
    for name, (theirs, ours) in COMING.items():
        parts += [f"### {name}", fenced(theirs.strip(), "python"), "is here"]
        parts.append(fenced(ours.strip(), "python"))
    parts.append("## Questions")
    for question, answer in QUESTIONS.items():
        parts.append(f"**{question}** {oneline(answer)}")
    parts += ["## API index", "\n".join(index())]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run what is named, and write the page."""
    for name in sys.argv[2:]:
        print(name, flush=True)
        run(name)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written to {PAGE}.")


if __name__ == "__main__":
    main()
