"""What runs first in the interpreter that is looked at: it says which Python that is, then runs the parts given on stdin.

    PYTHON -c <this text> WORD SECONDS < inspect_packages.py NUL inspect_environment.py, or inspect_torch.py

Standard library only. This file is valid in Python 2 as well, so that every Python can tell its age; the parts run on 3.8 and
later. An answer is a line "<WORD>" with a JSON object behind it, in ASCII; whatever else is printed is somebody else's.
"""

import sys

# -c puts '' first: a random.py or a torch folder of the current directory must not stand in for a module that is imported
# here. PYTHONPATH, user site and .pth files stay as they are, for faults come from there.
if sys.path and sys.path[0] == "":
    del sys.path[0]

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401 - in a comment, for Python 2

OLDEST = (3, 8)
# Put together only here, so that a command which merely echoes its arguments is not taken for a Python.
MARK = "<" + sys.argv[1] + ">"
SECONDS = float(sys.argv[2])
# Descriptor 1 is copied before sitecustomize's heirs or torch can redirect it.
ANSWERS = os.dup(1)


def own_modules():
    # type: () -> list[str]
    """The folders of the standard library: PYTHONPATH comes before them, and may hold a json.py."""
    home = os.path.dirname(os.__file__)
    return [
        folder
        for folder in sys.path
        if folder == home
        or os.path.basename(folder) in ("lib-dynload", "DLLs")
        or (folder.endswith(".zip") and os.path.dirname(folder) == os.path.dirname(home))
    ]


def dumps(value):
    # type: (object) -> str
    """JSON in ASCII; the json module would take a third of the whole inspection's time to import."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ",".join(dumps(str(key)) + ":" + dumps(value[key]) for key in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(dumps(item) for item in value) + "]"
    if isinstance(value, (int, float)):
        return repr(value)
    # File names may hold bytes that are no UTF-8; JSON cannot.
    return quoted(str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def say(**record):
    # type: (object) -> None
    """Writes one answer at once, so that what is said stays said when the process dies in the next call."""
    data = ("\n" + MARK + dumps(record) + "\n").encode("ascii")
    while data:
        data = data[os.write(ANSWERS, data) :]


try:
    # The parent ends us in time. Where it was killed itself, nobody else would; this works in the middle of C code too.
    from _signal import alarm  # type: ignore[import-not-found] # the module signal takes 3 ms

    alarm(int(SECONDS) + 2)
except ImportError:  # Windows, Python 2
    pass
os.write(ANSWERS, ("\n" + MARK + '{"python":"%d.%d.%d"}\n' % sys.version_info[:3]).encode("ascii"))
if sys.version_info >= OLDEST:
    everything, sys.path[:] = sys.path[:], own_modules()
    try:
        from _json import encode_basestring_ascii as quoted
    except ImportError:  # PyPy
        from json.encoder import encode_basestring_ascii as quoted
    with open(0, "rb", closefd=False) as questions:
        parts = questions.read().split(b"\0")
    namespace = {"__name__": "envdoctor_inspection"}  # type: dict[str, Any]
    inspections = []
    for part in filter(None, parts):
        exec(compile(part, "<envdoctor>", "exec"), namespace)
        inspections.append(namespace["inspect"])
    sys.path[:] = everything
    sys.argv[1:] = []
    for inspect in inspections:
        inspect(say, SECONDS)
    say(end=True)
