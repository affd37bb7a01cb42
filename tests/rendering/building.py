"""Builds images for real: buildah without a daemon, on a stand-in for the base images that a Dockerfile names.

The stand-in is Debian's smallest system with its Python, made by debootstrap from the machine's own mirror and kept in
ENVDOCTOR_TEST_CACHE as a tar file. Under the names of Ubuntu's images it is dressed as one: stand_ins.py.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.real_torch import cache
from tests.rendering.stand_ins import PYTHON, SUITE, dress
from tests.rendering.tools import tool

PACKAGES = ("ca-certificates", "python3", "python3-venv")
# Nobody reads manuals in a stand-in, and every image is packed and hashed.
UNNEEDED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMIT = 900
"""Seconds that one command of buildah may take."""


class Builder:
    """A store of images below one folder; nothing is left of it after `clean`.

    `driver`: of the storage; overlay, which copies nothing, where the kernel lets this process mount it, else vfs, which works
    everywhere.
    """

    def __init__(self, folder: Path) -> None:
        self.executable = tool("buildah")
        self.folder = folder
        (folder / "tmp").mkdir(parents=True)
        self.driver = "overlay" if _mounts_overlays(folder) else "vfs"
        self.storage = ["--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", self.driver]
        self._named: set[str] = set()

    def buildah(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        # Cache mounts lie below TMPDIR, and would be left there. `timeout` ends all that buildah started, too.
        environment = {**os.environ, "TMPDIR": f"{self.folder}/tmp", "BUILDAH_ISOLATION": "chroot"}
        done = subprocess.run(
            ["timeout", "--kill-after=10", str(LIMIT), self.executable, *self.storage, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT + 30,
            env=environment,
        )
        if check and done.returncode:
            what = f"took over {LIMIT} s" if done.returncode in (124, 137) else "failed"
            pytest.fail(f"buildah {arguments[0]} {what}:\n{done.stdout[-3000:]}{done.stderr[-5000:]}")
        return done

    def stand_in(self, reference: str) -> None:
        """The stand-in under the name of that base image."""
        if reference in self._named:
            return
        if not self._named:
            system = _system()
            file = self.folder / "base.Dockerfile"
            file.write_text(f"FROM scratch\nADD {system.name} /\nENV PATH={PATH}\n")
            # The context is the cache, so that the tar file is read where it lies.
            self.buildah("bud", "-q", "--format", "docker", "-f", file, "-t", "stand-in", system.parent)
        context = dress(reference, self.folder / f"base-{len(self._named)}")
        if context is None:
            self.buildah("tag", "stand-in", reference)
        else:
            self.buildah("bud", "-q", "--format", "docker", "--pull=never", "-t", reference, context)
        self._named.add(reference)

    def build(
        self, context: Path, name: str, *arguments: str, pip: Path, mounts: Sequence[tuple[Path, str]]
    ) -> dict[str, Any]:
        """Builds the context's Dockerfile and returns the image's configuration, as `docker inspect` shows it.

        `pip`: the secret pip.conf; `mounts`: folders here and where the build sees them, for reading.
        """
        for line in (context / "Dockerfile").read_text().splitlines():
            if line.startswith("FROM "):
                self.stand_in(line.split()[1])
        volumes = [part for here, there in mounts for part in ("-v", f"{here}:{there}:ro")]
        options = ("--format", "docker", "--pull=never", "--secret", f"id=pip.conf,src={pip}", *volumes)
        self.buildah("bud", *options, *arguments, "-t", name, context)
        found: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", name).stdout)
        configuration: dict[str, Any] = found["Docker"]["config"]
        return configuration

    def container(self, image: str) -> str:
        return self.buildah("from", "--pull-never", image).stdout.strip()

    def run(self, container: str, *command: str) -> subprocess.CompletedProcess[str]:
        """The command alone: buildah, unlike docker, puts no entry point before it."""
        return self.buildah("run", container, "--", *command, check=False)

    def clean(self) -> None:
        self.buildah("rm", "--all", check=False)
        # The store mounts itself, and a build that was ended leaves more: nothing may be removed through a mount.
        places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in sorted((place for place in places if place.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=True, timeout=30)
        shutil.rmtree(self.folder)


def _mounts_overlays(folder: Path) -> bool:
    below, above, work, seen = (folder / "overlay" / name for name in ("below", "above", "work", "seen"))
    for place in (below, above, work, seen):
        place.mkdir(parents=True)
    options = f"lowerdir={below},upperdir={above},workdir={work}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(seen)]
    if subprocess.run(command, check=False, capture_output=True, timeout=30).returncode != 0:
        return False
    subprocess.run(["umount", seen], check=True, timeout=30)
    return True


def _system() -> Path:
    """The tar file of the stand-in, made on first use (about a minute)."""
    kept = cache() / "images" / f"{SUITE}-{'-'.join(PACKAGES)}-{platform.machine()}.tar"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        root, unfinished = kept.with_suffix(".root"), kept.with_suffix(".unfinished")
        shutil.rmtree(root, ignore_errors=True)
        made = [
            # It mounts the machine's /proc. One that is killed would leave that there, for whoever removes the folder next.
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            tool("debootstrap"),
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            SUITE,
            str(root),
            *_mirror(),
        ]
        done = subprocess.run(made, check=False, capture_output=True, text=True, timeout=1800)
        if done.returncode:
            pytest.fail(f"debootstrap failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        for folder in UNNEEDED:
            shutil.rmtree(root / folder)
            (root / folder).mkdir()
        (root / "usr/local/bin/python").symlink_to(f"../../bin/python{PYTHON}")
        subprocess.run(["tar", "-C", root, "--numeric-owner", "-cf", unfinished, "."], check=True, timeout=120)
        shutil.rmtree(root)
        unfinished.rename(kept)
    return kept


def _mirror() -> Sequence[str]:
    """Where this machine gets that release from; nothing, for debootstrap's own choice, where it is of another."""
    if shutil.which("apt-get") is None:
        return ()
    asked = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=30)
    return [line.split()[0] for line in done.stdout.splitlines() if line.split()[1:] == [SUITE]][:1]
