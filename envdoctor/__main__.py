"""Where envdoctor starts: the console script, and `python -m envdoctor`."""

# First, and built in: any other module takes time to find, in which Python would answer an interrupt with a traceback.
from _signal import SIGINT, default_int_handler, getsignal, signal  # type: ignore[import-not-found] # isort: skip

import os
import sys


def _end(_number: int, _frame: object) -> None:
    """An interrupt while modules are imported, or after the command has ended: nothing is under way that must be ended."""
    os.write(2, b"Interrupted.\n")
    os._exit(130)


if getsignal(SIGINT) is default_int_handler:
    signal(SIGINT, _end)


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
