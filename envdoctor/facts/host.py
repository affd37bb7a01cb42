"""The one door to the machine: files under a root, the environment, and commands with a time limit.

Probes take a `Machine` and touch nothing else, so that a folder of files is a machine (ENVDOCTOR_SYSROOT).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envdoctor import processes
from envdoctor.errors import InputError
from envdoctor.files import at_once
from envdoctor.processes import Completed

SYSROOT = "ENVDOCTOR_SYSROOT"


@dataclass(frozen=True)
class Machine:
    """A machine to be observed: this one, or the one whose file system lies under `root`."""

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @classmethod
    def here(cls) -> Machine:
        """This machine, or the one that ENVDOCTOR_SYSROOT points to; InputError where that is no folder."""
        root = Path(os.environ.get(SYSROOT) or "/").absolute()
        if not root.is_dir():
            raise InputError(
                f"{SYSROOT} is {root}, which is no folder: it must hold a machine's /etc, /proc, /sys, /usr"
            )
        return cls(root=root)

    @property
    def simulated(self) -> bool:
        """Whether files come from a folder: then the kernel and the hardware under our feet are another machine's."""
        return self.root != Path("/")

    @property
    def windows(self) -> bool:
        return sys.platform == "win32" and not self.simulated

    @property
    def installed(self) -> bool:
        """Whether there is an operating system at all, so that what is not found is not there."""
        return not self.simulated or any(self.exists(name) for name in ("/etc/os-release", "/usr/lib", "/lib"))

    # --- files -----------------------------------------------------------------------------------------------------

    def path(self, name: str | Path) -> Path:
        """Where the file of that absolute name really lies."""
        return self.root / str(name).lstrip("/") if self.simulated else Path(name)

    def name(self, path: Path) -> str:
        """The inverse of `path`: the name that the machine itself has for it."""
        if self.simulated and path.is_relative_to(self.root):
            inside = path.relative_to(self.root).as_posix()
            return "/" if inside == "." else f"/{inside}"
        return str(path)

    def name_of(self, path: str) -> str:
        """The machine's name for a path that a variable gives: one inside the root is meant from the root on."""
        return self.name(Path(path)) if self.simulated else path

    def resolve(self, name: str | Path) -> str:
        """`name` with its links followed inside the root, as the machine would; a broken link ends at its target."""
        if not self.simulated:
            return os.path.realpath(name)
        parts = [part for part in str(name).split("/") if part]
        done = ""
        links = 0
        while parts:
            part = parts.pop(0)
            if part == ".":
                continue
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            try:
                target = str(self.path(f"{done}/{part}").readlink())
            except (OSError, ValueError):  # no link, or nothing there, or a closed folder, or no name (a NUL in it)
                target = ""
            if target and links < 40:  # the kernel's own limit (MAXSYMLINKS)
                links += 1
                parts = [p for p in target.split("/") if p] + parts
                if target.startswith("/"):
                    done = ""
            else:
                done = f"{done}/{part}"
        return done or "/"

    def real(self, name: str | Path) -> Path:
        """The file to open for a name: under a sysroot with its links followed inside the root."""
        return self.path(self.resolve(name)) if self.simulated else Path(name)  # the kernel follows links faster

    def exists(self, name: str | Path) -> bool | None:
        """Whether the file exists; None where a folder on the way may not be searched."""
        try:
            self.real(name).stat()
        except PermissionError:
            return None
        except (OSError, ValueError):
            return False
        return True

    def read(self, name: str | Path, limit: int = 1 << 20) -> str | None:
        """The first `limit` bytes of a text file, stripped; None where it cannot be read."""
        data = self.read_bytes(name, limit)
        return None if data is None else data.decode("utf-8", "replace").strip()

    def read_bytes(self, name: str | Path, limit: int = 1 << 20) -> bytes | None:
        try:
            with open(self.real(name), "rb", opener=at_once) as file:
                return file.read(limit)
        except (OSError, ValueError):
            return None

    def list(self, name: str | Path) -> tuple[str, ...] | None:
        """The sorted entries of a folder: () where it does not exist, None where it may not be read."""
        try:
            return tuple(sorted(os.listdir(self.real(name))))  # noqa: PTH208 - names are wanted
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return ()
        except OSError:
            return None

    def glob(self, folder: str, pattern: str) -> Iterator[str]:
        """Names under `folder` that match, sorted; nothing where the folder is missing or closed."""
        base = self.real(folder)
        with contextlib.suppress(OSError, ValueError):
            for found in sorted(base.glob(pattern)):
                yield f"{folder.rstrip('/')}/{found.relative_to(base)}"

    # --- commands --------------------------------------------------------------------------------------------------

    def variable(self, name: str) -> str | None:
        return self.environment.get(name)

    def search_path(self) -> tuple[str, ...]:
        """The folders of PATH in their order, each once, by the machine's own names."""
        folders = self.environment.get("PATH", os.defpath).split(os.pathsep)
        return tuple(dict.fromkeys(self.name(Path(folder)) for folder in folders if Path(folder).is_absolute()))

    def which_all(self, command: str) -> tuple[str, ...]:
        """Every name that PATH has for a command, in its order; they are the machine's own names."""
        if not self.simulated:
            here = (shutil.which(command, path=folder) for folder in self.search_path())
            return tuple(name for name in here if name)
        found = []
        for folder in self.search_path():
            name = f"{folder.rstrip('/')}/{command}"
            real = self.real(name)
            if os.path.isfile(real) and os.access(real, os.X_OK):  # noqa: PTH113 - Path.is_file raises for a closed folder
                found.append(name)
        return tuple(found)

    def which(self, command: str) -> str | None:
        """The file to run for a command; under a sysroot only one that lies in it, others speak of this machine."""
        if not self.simulated:
            return shutil.which(command, path=self.environment.get("PATH", os.defpath))
        found = self.which_all(command)
        if not found:
            return None
        # The name itself where its links stay inside: what has several names (ccache, busybox) looks at its own.
        named = self.path(found[0])
        inside = Path(os.path.realpath(named)).is_relative_to(os.path.realpath(self.root)) and named.exists()
        return str(named if inside else self.real(found[0]))

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        timeout: float,
        environment: Mapping[str, str] | None = None,
        stdin: str | None = None,
        cwd: Path | None = None,
        answers: str | None = None,
    ) -> Completed:
        """Runs a command as processes.run does, by default in this machine's environment."""
        return processes.run(
            arguments,
            timeout=timeout,
            environment=self.environment if environment is None else environment,
            stdin=stdin,
            cwd=cwd,
            answers=answers,
        )

    def run_own(self, script: Path, *arguments: str, timeout: float) -> Completed:
        """Runs a script of ours in a child of our own interpreter, so that a hang or a crash costs a fact only."""
        # -I keeps the user's PYTHONPATH and working folder out; the child gets our sys.path through its arguments.
        return self.run([sys.executable, "-I", "-S", script, *arguments], timeout=timeout)
