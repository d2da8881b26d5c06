"""The sources that kernels are compiled from, in the form in which this installation has them.

Machine code on disk is found by a digest of them. They are read when the package is imported, and
again when code is to be kept: of a file that was edited in between, one version is in memory and
another on disk, and a kernel may have been compiled from either.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Imports run downward, so no kernel depends on any other module.
_MODULES = ("cells", "elementwise", "losses", "updates")
_PACKAGES = ("cpu", "cuda")


def read(root: Path = ROOT) -> tuple[bytes, ...]:
    """Return all sources, none where there are none to be found.

    Parameters
    ----------
    root : Path, default=ROOT
        The package's directory, or where it would be if the package were not in an archive.
    """
    with suppress(OSError, ImportError):
        # An application that was frozen may have a directory of the package's data beside it.
        files = tuple(_files(root)) if root.is_dir() else ()
        return files or tuple(_archived(root))
    return ()


def _files(root: Path) -> Iterator[bytes]:
    """Yield the content of every file; without sources, byte code stands in their place."""
    for suffix in (".py", ".pyc"):
        for name in _MODULES:
            with suppress(FileNotFoundError):
                yield (root / f"{name}{suffix}").read_bytes()
        for name in _PACKAGES:
            for path in sorted((root / name).rglob(f"*{suffix}")):
                if path.parent.name != "__pycache__":
                    yield path.read_bytes()


def _archived(root: Path, package: str = "lightrnn") -> Iterator[bytes]:
    """Yield the byte code of every module as an archive's importer gives it."""
    import marshal
    import pkgutil
    from typing import Any

    for module in pkgutil.iter_modules([str(root)]):
        if package == "lightrnn" and module.name not in (*_MODULES, *_PACKAGES):
            continue
        name = f"{package}.{module.name}"
        finder: Any = module.module_finder
        # Later formats than 2 depend on how often this process refers to a constant.
        yield marshal.dumps(finder.find_spec(name).loader.get_code(name), 2)
        if module.ispkg:
            yield from _archived(root / module.name, name)


# Not a digest, whose library would take a tenth of the time that importing this package does.
_AT_IMPORT = hash(read())


def unchanged() -> bool:
    """Return whether the sources are those that were there when the package was imported."""
    return hash(read()) == _AT_IMPORT
