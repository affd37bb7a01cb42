"""What pip is told inside a build: what it is told outside, or a folder of wheels and nothing else."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

from tests.rendering.stand_ins import PYTHON

ROOT = Path(__file__).parents[2]
INSIDE = "/wheels"


def configuration_of_this_machine(file: Path) -> list[tuple[Path, str]]:
    """Writes what pip outside is configured with; returns the folders that it names, as mounts."""
    listed = _pip("config", "list").stdout
    found: dict[str, dict[str, str]] = {}
    for line in listed.splitlines():
        name, equals, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if equals:
            found.setdefault(section, {})[key] = str(ast.literal_eval(value))
    settings = {**found.get("global", {}), **found.get("install", {}), **found.get(":env:", {})}
    _write(file, settings)
    places = set()
    for word in (word for value in settings.values() for word in value.split()):
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            # The pages of an index on disk point to files beside its folder.
            places.add(path.parent if word.startswith("file://") or not path.is_dir() else path)
    return [(place, str(place)) for place in sorted(places)]


def wheels_alone(file: Path, *wheels: Path) -> list[tuple[Path, str]]:
    """Writes that all comes from those folders, whatever index is named; returns the mounts."""
    inside = [f"{INSIDE}/{number}" for number, _ in enumerate(wheels)]
    _write(file, {"no-index": "true", "find-links": " ".join(inside)})
    return list(zip(wheels, inside, strict=True))


def download(folder: Path, *requirements: str | Path) -> None:
    """Wheels of these and of all that they need, for the Python of the images."""
    done = _pip(*_for_images(), "--dest", folder, *requirements)
    assert done.returncode == 0, done.stderr[-2000:]


def _for_images() -> tuple[str, ...]:
    return ("download", "--quiet", "--retries=1", "--timeout=20", f"--python-version={PYTHON}", "--only-binary=:all:")


def _pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def _write(file: Path, settings: dict[str, str]) -> None:
    parser = configparser.RawConfigParser()
    parser["global"] = settings
    with file.open("w") as stream:
        parser.write(stream)
