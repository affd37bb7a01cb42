"""The __main__.py of envdoctor.pyz: unpacks what this Python needs into the user's cache, once, and starts envdoctor there.

It is unpacked because envdoctor's data are files, children run its scripts by path, and compiled modules load from no archive.
Must be understood by Python 3.6, so that an old one is told what is wrong instead of showing a traceback.
"""

import os
import platform
import sys
from typing import List, NoReturn, Optional

# envdoctor/distribution/pyz.py writes the digest of the contents here.
DIGEST = "@DIGEST@"


def _stop(message: str) -> NoReturn:
    sys.stderr.write("envdoctor.pyz: {}\n".format(message))
    sys.exit(2)


def _parts() -> List[str]:
    """The folders of the archive that make one installation for this Python: pure modules, then compiled ones."""
    release = "{}{}{}".format("cp" if sys.implementation.name == "cpython" else "other", *sys.version_info[:2])
    machine = "{}-{}".format(sys.platform, {"AMD64": "x86_64"}.get(platform.machine(), platform.machine()))
    if "free-threading" in sys.version:
        return ["pure", "{}/{}t".format(machine, release)]
    return ["pure", machine + "/abi3", "{}/{}".format(machine, release)]


def _cache() -> Optional[str]:
    """The folder to unpack into; None where nothing can be kept, or where what is kept is not this user's own."""
    kept = os.environ.get("XDG_CACHE_HOME", "")
    home = kept if os.path.isabs(kept) else os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(home, "envdoctor", "pyz")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.stat(folder)
    except OSError:
        return None
    # root with another user's HOME: what that user may write, root must not run.
    if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
        return None
    return folder if os.access(folder, os.W_OK) else None


def _unpack(archive: str, parts: List[str], folder: str) -> None:
    import zipfile

    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        if not any(name.startswith(parts[-1] + "/") for name in names):
            _stop("holds no msgspec for this Python ({}, {})".format(parts[-1], sys.implementation.name))
        for name in names:
            for part in parts:
                if name.startswith(part + "/"):
                    place = os.path.join(folder, *name[len(part) + 1 :].split("/"))
                    os.makedirs(os.path.dirname(place), exist_ok=True)
                    with open(place, "wb") as file:
                        file.write(opened.read(name))


def _installation(archive: str) -> str:
    """The folder of the modules, unpacked now if it is not there yet: whole or not at all, whoever else unpacks meanwhile."""
    import shutil
    import tempfile

    parts, cache = _parts(), _cache()
    ready = os.path.join(cache, DIGEST + "-" + "-".join(parts[-1].split("/"))) if cache else None
    if ready and os.path.isdir(ready):
        return ready
    new = tempfile.mkdtemp(prefix="envdoctor-", dir=cache)
    try:
        _unpack(archive, parts, new)
        if ready:
            try:
                os.rename(new, ready)
                return ready
            except OSError:  # another process was first
                if os.path.isdir(ready):
                    shutil.rmtree(new, ignore_errors=True)
                    return ready
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    _remove_at_the_end(new)
    return new


def _remove_at_the_end(folder: str) -> None:
    """Goes on in a child. envdoctor ends without Python's own clearing up, so that somebody has to wait for it."""
    import shutil
    import signal

    child = os.fork()
    if child == 0:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's interrupt reaches the child, too
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    _, status = os.waitpid(child, 0)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def main() -> None:
    if sys.version_info < (3, 10):
        _stop("needs Python 3.10 or newer, and this is {}.{}".format(*sys.version_info[:2]))
    try:
        folder = _installation(os.path.dirname(os.path.abspath(__file__)))
    except KeyboardInterrupt:
        os.write(2, b"Interrupted.\n")
        os._exit(130)
    except OSError as error:
        _stop("cannot be unpacked: {}".format(error))
    sys.path[0] = folder
    from envdoctor.__main__ import main as run

    run()


if __name__ == "__main__":
    main()
