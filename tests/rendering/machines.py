"""A machine for a rendered script to run on: a folder for its files, and commands that answer from a table and are recorded.

The script is run as it was rendered, but for its absolute paths, which are moved below the folder.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NVIDIA_GPU = ("0x10de", "0x030000")
NVSWITCH = ("0x10de", "0x068000")
_PATHS = re.compile(r"(?<![\w/.:$\"}-])/(etc|sys|proc|run|var|opt|usr/share|usr/local|usr/bin(?!/env)|\.dockerenv)\b")


@dataclass
class ScriptMachine:
    """`answers`: command -> shell code of it, with "$@" at hand; a command that only has to succeed is in `commands`."""

    root: Path
    answers: dict[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()

    def file(self, path: str, text: str | bytes = "") -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
        return place

    def linux(self, identifier: str, version: str, *devices: tuple[str, str], kernel: str = "6.8.0-45-generic") -> None:
        self.file("/etc/os-release", f'ID={identifier}\nVERSION_ID="{version}"\n')
        self.file("/proc/sys/kernel/osrelease", f"{kernel}\n")
        self.file("/proc/1/environ", "HOME=/\0TERM=linux\0")
        self.file("/sys/module/.keep")
        for number, (vendor, kind) in enumerate(devices):
            self.file(f"/sys/bus/pci/devices/0000:{number:02x}:00.0/vendor", f"{vendor}\n")
            self.file(f"/sys/bus/pci/devices/0000:{number:02x}:00.0/class", f"{kind}\n")
        self.answers.setdefault("uname", f'case "$1" in -r) echo {kernel} ;; -m) echo x86_64 ;; *) echo Linux ;; esac')
        self.answers.setdefault("id", "echo 0")
        self.answers.setdefault("hostname", "echo node1")

    def secure_boot(self, on: bool = True) -> None:
        variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
        self.file(variable, b"\x06\x00\x00\x00" + bytes([on]))

    def run(
        self, script: str, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Runs it with these commands before the real ones; what changes a machine exists only if it was given."""
        bin_folder, log = self.root / "fake-bin", self.root / "calls"
        bin_folder.mkdir(parents=True, exist_ok=True)
        log.touch()
        for name in (*self.commands, *self.answers):
            record = f'printf "%s\\n" "{name}$(printf " %s" "$@")" >> {shlex.quote(str(log))}\n'
            command = bin_folder / name
            command.write_text("#!/bin/bash\n" + record + self.answers.get(name, "") + "\n")
            command.chmod(0o755)
        moved = self.root / "script.sh"
        moved.write_text(_PATHS.sub(lambda found: f"{self.root}{found[0]}", script))
        path = f"{bin_folder}{os.pathsep}{self._tools()}"
        return subprocess.run(
            ["/bin/bash", str(moved), *arguments],
            env={"PATH": path, "HOME": str(self.root), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def calls(self, *commands: str) -> list[str]:
        """What was run, in order; of these commands where any are named."""
        lines = (self.root / "calls").read_text().splitlines()
        return [line for line in lines if not commands or line.partition(" ")[0] in commands]

    def _tools(self) -> Path:
        """Only harmless tools of the real machine: a script that calls apt-get finds none unless it was given one."""
        folder = self.root / "tools"
        if not folder.exists():
            folder.mkdir()
            for name in [
                "awk",
                "bash",
                "cat",
                "cut",
                "dirname",
                "env",
                "grep",
                "head",
                "ln",
                "mkdir",
                "mktemp",
                "od",
                "printf",
                "rm",
                "sed",
                "sh",
                "sort",
                "tail",
                "tr",
                "wc",
            ]:
                for place in ("/usr/bin", "/bin"):
                    if (Path(place) / name).exists():
                        (folder / name).symlink_to(Path(place) / name)
                        break
        return folder


def apt_cache(packages: Mapping[str, str]) -> str:
    """An apt-cache that knows these packages, name -> version."""
    table = "\n".join(f"{name} {version}" for name, version in packages.items())
    return f"""
table={shlex.quote(table)}
case "$1" in
    policy)
        found=$(printf '%s\\n' "$table" | awk -v n="$2" '$1 == n {{print $2}}')
        printf '%s:\\n  Installed: (none)\\n  Candidate: %s\\n' "$2" "${{found:-(none)}}" ;;
    pkgnames) printf '%s\\n' "$table" | awk -v p="$2" 'index($1, p) == 1 {{print $1}}' ;;
    madison) printf '%s\\n' "$table" | awk -v n="$2" '$1 == n {{printf " %s | %s | http://archive stable/main\\n", $1, $2}}' ;;
esac
"""
