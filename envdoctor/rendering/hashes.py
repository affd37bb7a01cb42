"""All that a plan would install, with the digest of each file as the index gives it (`recipe requirements --hashes`).

pip resolves it without installing: the one recipe that asks the network. It has to be pip under the plan's own Python on the
plan's own platform, for pip judges the markers of a package by the Python that runs it.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.util import find_spec

import msgspec

from envdoctor import processes
from envdoctor.errors import EnvdoctorError, InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.interpreter import find_python, python_wanted
from envdoctor.rendering.pip import pip_arguments
from envdoctor.rendering.pip_progress import why_it_failed

# Seconds. Metadata alone is fetched, but an index without it (PEP 658) makes pip read the wheels.
RESOLVE_LIMIT = 900.0


class ResolveError(EnvdoctorError):
    """pip found no answer; the message has its reason (exit code 1)."""

    exit_code = 1


class Locked(msgspec.Struct, frozen=True):
    """One distribution. `digests`: "sha256:..." of the file that was chosen."""

    name: str
    version: str
    digests: tuple[str, ...]


class _Archive(msgspec.Struct):
    hashes: dict[str, str] = {}


class _Download(msgspec.Struct):
    archive_info: _Archive | None = None


class _Metadata(msgspec.Struct):
    name: str
    version: str


class _Install(msgspec.Struct):
    download_info: _Download
    metadata: _Metadata


class _Report(msgspec.Struct):
    install: list[_Install]


def locked(stack: Stack, packages: tuple[str, ...] = ()) -> tuple[Locked, ...]:
    """All that the pins and `packages` need, by name.

    Raises InputError where this machine is not the plan's platform or lacks its Python, ResolveError where pip finds no answer
    or the index no digest.
    """
    if not _is_here(stack):
        raise InputError(
            f"--hashes is resolved where it will be installed: the plan is for {stack.platform}, this is "
            f"{sys.platform} on {platform.machine()}; run it there"
        )
    command = [*_pip(find_python(python_wanted(stack))), "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--only-binary", ":all:", "--report", "-", *pip_arguments(stack), *packages]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = processes.run(command, timeout=RESOLVE_LIMIT, environment=environment)
    if done.timed_out:
        raise ResolveError(f"pip did not resolve the plan within {RESOLVE_LIMIT / 60:.0f} minutes")
    if not done.ok:
        said = done.error or done.stderr
        raise ResolveError(f"pip cannot resolve the plan: {why_it_failed(tuple(said.splitlines()))}")
    try:
        report = msgspec.json.decode(done.stdout, type=_Report)
    except msgspec.MsgspecError as error:
        raise ResolveError(f"pip's report cannot be read ({error}); pip 22.2 or newer writes one") from error
    return tuple(sorted((_locked(entry) for entry in report.install), key=lambda entry: entry.name.lower()))


def _locked(entry: _Install) -> Locked:
    hashes = entry.download_info.archive_info.hashes if entry.download_info.archive_info else {}
    if not hashes:
        raise ResolveError(f"the index gives no digest of {entry.metadata.name} {entry.metadata.version}")
    digests = tuple(f"{kind}:{digest}" for kind, digest in sorted(hashes.items()))
    return Locked(entry.metadata.name, entry.metadata.version, digests)


def _is_here(stack: Stack) -> bool:
    system = {"linux": "linux", "win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    return stack.platform == f"{system}_{platform.machine().lower()}"


def _pip(python: str) -> list[str]:
    """pip under that Python: its own, else ours pointed at it."""
    if processes.run([python, "-I", "-m", "pip", "--version"], timeout=60).ok:
        return [python, "-I", "-m", "pip"]
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--python", python]
    raise InputError(f"{python} has no pip, which --hashes resolves with; get it by: {python} -m ensurepip")
