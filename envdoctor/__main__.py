"""Where envdoctor starts: the console script, and `python -m envdoctor`."""

from __future__ import annotations

import os
import signal
import sys


def _end(_number: int, _frame: object) -> None:
    """An interrupt while modules are imported, or after the command has ended: nothing is under way that must be ended."""
    os.write(2, b"Interrupted.\n")
    os._exit(130)


# As early as can be: until then Python's own start-up would answer with a traceback.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)


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
    try:
        here = os.getcwd()
    except OSError:  # the folder that we were started in has been removed, and what was relative to it with it
        path = [entry for entry in path if os.path.isabs(entry)]
        here = ""
    foreign = {os.path.normpath(os.path.join(here, entry)) for entry in pythonpath.split(os.pathsep) if entry} | {here}
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [entry for entry in path if os.path.normpath(os.path.join(here, entry)) not in foreign - {home}]


if __name__ == "__main__":
    main()
