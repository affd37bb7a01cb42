"""Why pip refuses a wheel file: its name's tags against the Python and the system that the text tells of."""

from __future__ import annotations

import re

from envdoctor.reading.messages.message import Occurrence

_TAGS = re.compile(r"-((?:cp|py|pp)\d{1,4}(?:\.(?:cp|py)\d{1,4}){0,4})-(\w{1,40})-([\w.]{1,120}?)\.whl", re.IGNORECASE)
# 'Python 3.12.4', '/usr/lib/python3.12', 'Python312\\', 'venv-3.12', 'cp312-cp312' of a folder of builds.
_PYTHON = re.compile(r"python[ \-=:/\\]{0,3}v?3\.?(\d{1,2})(?!\d)", re.IGNORECASE)


def _tags(o: Occurrence) -> tuple[str, str] | None:
    """The Python tag and the platform tag of the wheel that the line names."""
    found = _TAGS.search("".join((*o.before[-1:], " ", o.line)))
    return (found[1].lower(), found[3].lower()) if found else None


def _around(o: Occurrence) -> str:
    return "\n".join((*o.before, o.line, *o.after))


def _system(o: Occurrence) -> str | None:
    """'windows', 'macos' or 'linux' where prompts and paths show it."""
    text = _TAGS.sub("", _around(o)).lower()
    if re.search(r"(?<![a-z0-9])[a-z]:\\", text) or "win_amd64" in text or "windows" in text:
        return "windows"
    if "/users/" in text or "macos" in text or "darwin" in text:
        return "macos"
    return "linux" if any(sign in text for sign in ("/home/", "/usr/", "/opt/", "/root/", "ubuntu", "linux")) else None


def _of_system(platform: str) -> str | None:
    for system, start in (("windows", "win"), ("macos", "macosx"), ("linux", "linux"), ("linux", "manylinux")):
        if platform.startswith(start):
            return system
    return None


def wheel_for_another_system(o: Occurrence) -> bool:
    """The wheel's platform is not the one that the text is from: another system, or another architecture."""
    tags = _tags(o)
    if tags is None or tags[1] == "any":
        return False
    have, want = _system(o), _of_system(tags[1])
    if have is not None and want is not None and have != want:
        return True
    text = _TAGS.sub("", _around(o)).lower()
    arm = any(word in text for word in ("aarch64", "arm64", "jetson"))
    return (arm and tags[1].endswith(("x86_64", "amd64"))) or ("x86_64" in text and tags[1].endswith("aarch64"))


def wheel_for_another_python(o: Occurrence) -> bool:
    """The wheel is for one Python, and nothing says that its platform is the trouble."""
    tags = _tags(o)
    if tags is None or tags[0].startswith("py"):
        return False
    if wheel_for_another_system(o):
        return tells_another_python(o)
    return True


def tells_another_python(o: Occurrence) -> bool:
    """The text names a Python, and the wheel's tag is of another one."""
    tags = _tags(o)
    named = {int(minor) for minor in _PYTHON.findall(_TAGS.sub("", _around(o)))}
    return tags is not None and bool(named) and not any(f"cp3{minor}" == tags[0] for minor in named)
