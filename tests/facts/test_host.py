"""The one door to the machine: files under a root, commands with a time limit."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor.facts.host import SYSROOT, Machine
from tests.sysroot import Sysroot

posix = pytest.mark.skipif(os.name != "posix", reason="shell scripts, links and process groups")


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


# --- files -------------------------------------------------------------------------------------------------------------


def test_the_variable_makes_a_folder_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SYSROOT, str(tmp_path))
    machine = Machine.here()
    assert (machine.root, machine.simulated) == (tmp_path, True)
    monkeypatch.setenv(SYSROOT, "")
    assert not Machine.here().simulated


@posix
def test_links_are_followed_as_that_machine_would(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .link("/lib", "usr/lib")
        .file("/usr/lib/libc-2.31.so")
        .link("/usr/lib/libc.so.6", "/lib/libc-2.31.so")
    )
    s.link("/usr/lib/up", "../../../../usr/lib/libc.so.6")
    machine = s.machine()
    assert machine.resolve("/lib/libc.so.6") == "/usr/lib/libc-2.31.so"
    assert machine.resolve("/lib/./../lib/up") == "/usr/lib/libc-2.31.so"
    assert machine.resolve("/") == "/"


@posix
def test_a_link_out_of_the_folder_does_not_show_our_own_files(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("ours")
    machine = Sysroot(tmp_path / "root").link("/etc/os-release", str(outside)).machine()
    assert machine.read("/etc/os-release") is None
    assert machine.exists("/etc/os-release") is False


@posix
def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    machine = Sysroot(tmp_path).link("/a", "b").link("/b", "a").machine()
    assert machine.exists("/a") is False
    assert machine.read("/a") is None


def test_names_and_paths_are_inverses(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path, environment={})
    for name in ("/", "/.dockerenv", "/usr/lib/libc.so.6"):
        assert machine.name(machine.path(name)) == name


def test_missing_empty_and_present_are_three_things(tmp_path: Path) -> None:
    machine = Sysroot(tmp_path).file("/a/b", "x\n").machine()
    assert (machine.exists("/a/b"), machine.exists("/a/c"), machine.exists("/a/b/c")) == (True, False, False)
    assert (machine.list("/a"), machine.list("/none"), machine.list("/a/b")) == (("b",), (), ())
    assert (machine.read("/a/b"), machine.read("/a"), machine.read("/a/c")) == ("x", None, None)


@pytest.fixture
def as_ordinary_user() -> Iterator[Path]:
    """A folder of an ordinary user, and this process with that user's rights: nothing is closed to root."""
    with tempfile.TemporaryDirectory() as folder:
        was = os.geteuid()
        if was == 0:
            os.chown(folder, 65534, 65534)  # nobody
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if was == 0:
                os.seteuid(0)


@posix
def test_a_closed_folder_is_unknown_and_not_empty(as_ordinary_user: Path) -> None:
    s = Sysroot(as_ordinary_user).file("/closed/file", "x").file("/closed/bin/gcc", mode=0o755)
    machine = s.machine({"PATH": "/closed/bin"})
    closed = as_ordinary_user / "closed"
    closed.chmod(0)
    try:
        assert machine.exists("/closed/file") is None
        assert machine.list("/closed") is None
        assert machine.read("/closed/file") is None
        assert list(machine.glob("/closed", "*")) == []
        assert machine.resolve("/closed/file") == "/closed/file"
        assert machine.which("gcc") is None
    finally:
        closed.chmod(0o755)


def test_a_file_is_read_no_further_than_asked(tmp_path: Path) -> None:
    machine = Sysroot(tmp_path).file("/a", "0123456789").machine()
    assert machine.read_bytes("/a", 4) == b"0123"


@posix
def test_a_pipe_or_a_device_in_a_files_place_does_not_keep_us_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    machine = Sysroot(tmp_path).machine()
    before = time.monotonic()
    assert not machine.read("/pipe")
    assert Machine().read_bytes("/dev/zero", 10) == bytes(10)
    assert not Machine().read("/dev/null")
    assert time.monotonic() - before < 5


def test_names_of_a_glob_are_the_machines_own(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/usr/local/cuda-12.8/version.json").file("/usr/local/cuda-11.8/version.json")
    assert list(s.machine().glob("/usr/local", "cuda-*")) == ["/usr/local/cuda-11.8", "/usr/local/cuda-12.8"]
    assert list(s.machine().glob("/none", "*")) == []


# --- commands ----------------------------------------------------------------------------------------------------------


@posix
def test_a_command_of_a_folder_is_its_own_and_never_ours(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).folder("/usr/bin")
    machine = s.machine({"PATH": f"/usr/bin:/bin:{os.environ['PATH']}"})
    assert machine.which("sh") is None  # this machine has one
    s.command("/opt/gcc-13", "echo thirteen").link("/usr/bin/gcc", "/opt/gcc-13")
    found = machine.which("gcc")
    assert found is not None
    assert machine.run([found], timeout=10).stdout == "thirteen\n"
    assert machine.which_all("gcc") == ("/usr/bin/gcc",)


@posix
def test_path_may_name_folders_of_the_root_as_they_really_are(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).command("/opt/bin/nvcc", "exit 0")
    machine = s.machine({"PATH": f"/usr/bin:{tmp_path}/opt/bin:/opt/bin"})
    assert machine.which_all("nvcc") == ("/opt/bin/nvcc",)


def test_a_command_that_does_not_exist_is_an_answer(tmp_path: Path) -> None:
    done = Machine().run([tmp_path / "none"], timeout=5)
    assert (done.code, done.ok, done.timed_out) == (None, False, False)
    assert done.error
    assert "none" in done.error


def test_output_that_is_no_text_is_read_all_the_same() -> None:
    done = Machine().run(python("import sys; sys.stdout.buffer.write(b'a\\xffb')"), timeout=60)
    assert done.ok
    assert done.stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_a_hanging_command_ends_in_time_and_keeps_what_it_said() -> None:
    before = time.monotonic()
    done = Machine().run(python("import time; print('first', flush=True); time.sleep(60)"), timeout=2)
    assert time.monotonic() - before < 20
    assert (done.timed_out, done.code, done.stdout.strip()) == (True, None, "first")


@posix
def test_the_children_of_a_hanging_command_end_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    done = Machine().run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout=1)
    assert done.timed_out
    pid = int(pid_file.read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} outlived its parent")


@posix
def test_a_crash_has_its_signals_name() -> None:
    done = Machine().run(python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"), timeout=60)
    assert (done.signal, done.ok) == ("SIGSEGV", False)


def test_the_environment_is_the_machines() -> None:
    machine = Machine(environment={**os.environ, "PROBE": "seen"})
    done = machine.run(python("import os; print(os.environ['PROBE'])"), timeout=60)
    assert done.stdout.strip() == "seen"


def test_a_child_of_ours_ignores_the_users_python_variables(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('shadowed')")
    script = tmp_path / "child.py"
    script.write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))")
    machine = Machine(environment={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere"})
    assert machine.run_own(script, "a", timeout=60).stdout.strip() == '["a"]'
