"""Train the reference CNN: `python -m benchmarks.train --data digits -o RUN` or `PYTHON /path/to/benchmarks/train.py ...`.

Exit code: 0 trained; 1 the result must not be trusted (validation) or the run failed; 2 wrong usage or input; 130 stopped.
"""

import importlib.util
import os
import sys


def _load_by_path():
    # type: () -> None
    """Make this folder importable as `benchmarks`, and nothing beside it; see __main__.py."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - before anything else is imported
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]  # noqa: PTH100
    place = os.path.join(folder, "__init__.py")  # noqa: PTH118
    spec = importlib.util.spec_from_file_location("benchmarks", place, submodule_search_locations=[folder])
    package = importlib.util.module_from_spec(spec)
    sys.modules["benchmarks"] = package
    spec.loader.exec_module(package)


if sys.version_info < (3, 8):
    sys.exit("the benchmarks need Python 3.8 or newer; this is Python %d.%d" % sys.version_info[:2])
if not __package__:
    _load_by_path()

if __name__ == "__main__":
    from benchmarks.pipeline.command import main

    sys.exit(main())
