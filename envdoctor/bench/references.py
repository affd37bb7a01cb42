"""Results measured on named GPUs: `@h100` in a comparison, and what a machine is held against.

They lie in benchmarks/reference/, and in a folder of one's own that ENVDOCTOR_REFERENCES names; of one name, one's own counts.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from envdoctor.bench.results import BenchResult, load
from envdoctor.errors import InputError
from envdoctor.resources import resource_folder

FOLDER_VARIABLE = "ENVDOCTOR_REFERENCES"


def files() -> dict[str, Path]:
    """What can be named with @, sorted. Raises InputError where one's own folder is none."""
    folders = [resource_folder("benchmarks") / "reference"]
    if own := os.environ.get(FOLDER_VARIABLE):
        folders.append(Path(own))
        if not folders[-1].is_dir():
            raise InputError(f"{FOLDER_VARIABLE}={own}: there is no such folder")
    found = {path.stem: path for folder in folders for path in folder.glob("*.json")}
    return dict(sorted(found.items()))


def find(name: str) -> tuple[str, BenchResult]:
    """A result for a word of the command line: a file, or `@name`. Raises InputError where it is none or names several."""
    if not name.startswith("@"):
        return name, load(Path(name))
    wanted = _plain(name[1:])
    known = files()
    exact = [stem for stem in known if _plain(stem) == wanted]
    found = exact or [stem for stem in known if wanted and wanted in _plain(stem)]
    if len(found) == 1:
        return f"@{found[0]}", load(known[found[0]])
    if found:
        raise InputError(f"{name} may be {', '.join('@' + stem for stem in found)}")
    if known:
        raise InputError(f"{name}: no such reference result; there are: {', '.join('@' + stem for stem in known)}")
    raise InputError(
        f"{name}: there is no reference result yet: none has been measured. Results of your own can be named so: "
        f"{FOLDER_VARIABLE}=FOLDER, with files of `bench --save`"
    )


def of_device(device_name: str | None) -> tuple[str, BenchResult] | None:
    """The reference result of a GPU of that name; None where there is none that can be read."""
    if not device_name:
        return None
    # Nobody asked for one: what is wrong with a collection must not cost the report of a run. `compare @name` says it.
    with contextlib.suppress(InputError):
        for stem, path in files().items():
            with contextlib.suppress(InputError):
                result = load(path)
                if result.device is not None and result.device.name == device_name:
                    return f"@{stem}", result
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
