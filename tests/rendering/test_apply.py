"""`recipe venv --apply DIR` when things go wrong: it says what, and leaves nothing half-made and nobody running."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from envdoctor.console import Console
from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering import apply as applying
from envdoctor.rendering.apply import ApplyError, apply
from envdoctor.rendering.folder import SCRATCH
from envdoctor.rendering.interpreter import find_python, python_wanted

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
STACK = Stack(python=HERE, torch="2.13.0", channel="cpu", requirements=("torch==2.13.0",))
RIGHT = '__version__ = "2.13.0+cpu"\n'


def wheel(folder: Path, name: str, version: str, code: str = "", requires: tuple[str, ...] = ()) -> None:
    """A wheel of one module, as small as a wheel can be."""
    info = f"{name}-{version}.dist-info"
    metadata = "".join(f"{line}\n" for line in ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"))
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}/__init__.py", code)
        file.writestr(f"{info}/METADATA", metadata)
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that pip finds packages in."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def run(directory: Path, **changes: Any) -> str:
    """Applies the stack and returns what was shown."""
    shown = io.StringIO()
    fields = {name: getattr(STACK, name) for name in STACK.__struct_fields__}
    apply(Stack(**{**fields, **changes}), directory, Console(file=shown, width=100))
    return shown.getvalue()


# --- what is refused before anything is done ---------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        run(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("kind", ["file", "broken link"])
def test_what_is_no_folder_is_refused(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "env"
    place.write_text("x") if kind == "file" else place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is no folder"):
        run(place)
    assert place.is_symlink() or place.read_text() == "x"


def test_an_environment_that_a_killed_run_left_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / SCRATCH).mkdir()
    with pytest.raises(InputError, match="never finished"):
        run(tmp_path)


def test_a_folder_that_may_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot (make|look into)"):
        run(tmp_path / "file" / "env")


def test_a_python_that_is_not_here_is_said_with_the_ways_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no Python 3\.99 here; get it by one of: uv python install 3\.99"):
        run(tmp_path / "env", python="3.99")
    assert not (tmp_path / "env").exists()


def test_a_python_that_is_named_must_be_the_plans() -> None:
    assert find_python(python_wanted(STACK), named=sys.executable) == sys.executable
    with pytest.raises(InputError, match=r"is not a Python 3\.99"):
        find_python(
            python_wanted(Stack(python="3.99", torch="1", channel="cpu", requirements=())), named=sys.executable
        )
    with pytest.raises(InputError, match="is not a Python"):
        find_python(python_wanted(STACK), named="/nowhere/python")


@pytest.mark.parametrize(
    ("system", "python", "way"),
    [
        ("ubuntu24.04", "3.12", "sudo apt-get install -y python3.12 python3.12-venv"),
        ("ubuntu22.04", "3.12", "ppa:deadsnakes/ppa && sudo apt-get install -y python3.12 python3.12-venv"),
        ("rhel9", "3.12", "sudo dnf install -y python3.12"),
        ("sles15", "3.11", "sudo zypper install -y python311"),
        ("windows", "3.12", "winget install Python.Python.3.12"),
        ("ubuntu18.04", "3.10", "uv python install 3.10"),
        (None, "3.12", "conda create -y -n python3.12 python=3.12"),
        ("ubuntu24.04", "3.14t", "uv python install 3.14t"),
    ],
)
def test_each_system_is_told_its_own_way_to_the_python(system: str | None, python: str, way: str) -> None:
    ways = python_wanted(Stack(python=python, torch="1", channel="cpu", requirements=(), os=system)).ways
    assert [found for found in ways if found.endswith(way)]
    assert any("deadsnakes" in found for found in ways) == (system == "ubuntu22.04")


def test_the_free_threaded_python_is_another_one() -> None:
    wanted = python_wanted(Stack(python=f"{HERE}t", torch="1", channel="cpu", requirements=()))
    done = subprocess.run([sys.executable, "-c", wanted.test], check=False, timeout=60)
    assert (done.returncode == 0) == (not getattr(sys, "_is_gil_enabled", lambda: True)())


# --- what fails on the way ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wheels")
def test_a_torch_that_is_not_to_be_had_leaves_nothing_not_even_the_folders_above(tmp_path: Path) -> None:
    with pytest.raises(ApplyError, match=r"pip install failed: .*No matching distribution found for torch==2\.13\.0"):
        run(tmp_path / "new/deep/env")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_was_there_stays_and_is_empty_again(tmp_path: Path) -> None:
    python = tmp_path / "python"  # Debian's, without python3-venv
    python.write_text(
        "#!/bin/sh\ncase \"$*\" in *'-m venv'*) touch \"$3/half\"; echo 'ensurepip is not available.'; exit 1 ;; esac\n"
    )
    python.chmod(0o755)
    (tmp_path / "env").mkdir()
    with pytest.raises(ApplyError, match=r"cannot make a virtual environment in .*: ensurepip is not available"):
        apply(STACK, tmp_path / "env", Console(file=io.StringIO()), python=str(python))
    assert list((tmp_path / "env").iterdir()) == []


def test_a_package_cannot_replace_torch(wheels: Path, tmp_path: Path) -> None:
    wheel(wheels, "torch", "2.13.0", RIGHT)
    wheel(wheels, "torch", "2.15.0", '__version__ = "2.15.0"')
    wheel(wheels, "greedy", "1.0", requires=("torch>=2.14",))
    with pytest.raises(ApplyError, match=r"(?s)pip install failed: .*conflict"):
        run(tmp_path / "env", packages=("greedy",))
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('raise ImportError("libcudart.so.13: cannot open shared object file")', "libcudart.so.13: cannot open"),
        ('__version__ = "2.12.0"', "torch is 2.12.0, the plan says 2.13.0"),
    ],
)
def test_a_torch_that_does_not_keep_its_promise_is_taken_away_again(
    code: str, why: str, wheels: Path, tmp_path: Path
) -> None:
    wheel(wheels, "torch", "2.13.0", code)
    with pytest.raises(ApplyError, match="does not do what the plan promises") as caught:
        run(tmp_path / "env")
    assert why in str(caught.value)
    assert not (tmp_path / "env").exists()


# --- what hangs, and who interrupts ------------------------------------------------------------------------------------


@pytest.fixture
def silent_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An index on this machine that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", url)
        # pip is not given the chance to give up by itself; nor is the first call, which only looks for a newer pip.
        monkeypatch.setenv("PIP_TIMEOUT", "200")
        yield url


def running_in(directory: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(directory / "bin") in line and "-m pip" in line:
            found.append(line)
    return found


@pytest.mark.usefixtures("silent_index")
def test_an_index_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "PIP_LIMIT", 1.0)
    monkeypatch.setattr(applying, "SILENCE_LIMIT", 3.0)
    with pytest.raises(ApplyError, match="pip install failed: not a word for 3 s"):
        run(tmp_path / "env")
    assert not (tmp_path / "env").exists()
    assert running_in(tmp_path / "env") == []


@pytest.mark.usefixtures("silent_index")
@pytest.mark.parametrize(
    ("how", "moment"),
    [(signal.SIGINT, "at once"), (signal.SIGTERM, "at once"), (signal.SIGINT, "pip hangs")],
)
def test_an_interrupt_at_any_moment_leaves_nothing_behind(how: signal.Signals, moment: str, tmp_path: Path) -> None:
    directory = tmp_path / "env"
    program = (
        "import sys, json\n"
        "from pathlib import Path\n"
        "from rich.console import Console\n"
        "from envdoctor.planning.model import Stack\n"
        "from envdoctor.rendering.apply import apply\n"
        "stack = json.loads(sys.argv[1])\n"
        "stack = Stack(**{**stack, 'requirements': tuple(stack['requirements'])})\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    apply(stack, Path(sys.argv[2]), Console(stderr=True))\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    said = {"python": HERE, "torch": "2.13.0", "channel": "cpu", "requirements": ["torch==2.13.0"]}
    with subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(said), str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 60
        while not (running_in(directory) if moment == "pip hangs" else directory.exists()):
            assert time.monotonic() < deadline, "it did not get that far"
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(how)
        assert child.wait(timeout=30) == 130
    assert not directory.exists()
    while running_in(directory):  # what was killed takes a moment to be gone on a busy machine
        assert time.monotonic() < deadline
        time.sleep(0.05)
