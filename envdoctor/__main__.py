"""Where envdoctor starts: the console script, and `python -m envdoctor`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Runs the command line with envdoctor's own modules only."""
    sys.path[:] = _own_path(sys.path, os.environ.get("PYTHONPATH", ""))
    from envdoctor.cli import main as run

    run()


def _own_path(path: list[str], pythonpath: str) -> list[str]:
    """sys.path without what the user's PYTHONPATH and current folder put on it.

    A random.py there breaks the user's torch, which is to be diagnosed; it must not break the diagnosis. The target
    interpreter keeps PYTHONPATH. A folder that holds envdoctor itself stays.
    """
    foreign = {os.path.abspath(entry) for entry in pythonpath.split(os.pathsep) if entry} | {os.getcwd()}
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [entry for entry in path if os.path.abspath(entry or ".") not in foreign - {home}]


if __name__ == "__main__":
    main()
