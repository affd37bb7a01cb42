"""`python -m benchmarks ...` from a checkout, or `PYTHON /path/to/benchmarks ...` in any interpreter that has torch."""

import importlib.util
import sys
from pathlib import Path


def _load_by_path():
    # type: () -> None
    """Make this folder importable as `benchmarks`, and nothing beside it: its parent may be an installed package's folder."""
    folder = Path(__file__).resolve().parent
    # Python puts a folder that it runs at the front of its path, where `models` or `data` would hide the user's own.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder]
    spec = importlib.util.spec_from_file_location(
        "benchmarks", str(folder / "__init__.py"), submodule_search_locations=[str(folder)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["benchmarks"] = package
    spec.loader.exec_module(package)


if sys.version_info < (3, 8):
    sys.exit("the benchmarks need Python 3.8 or newer; this is Python %d.%d" % sys.version_info[:2])
if not __package__:
    _load_by_path()

if __name__ == "__main__":
    from benchmarks.harness.command import main

    sys.exit(main())
