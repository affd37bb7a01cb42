"""Which interpreter is looked at: the one that is named, else the active environment's, else PATH's."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path

import pytest

from envdoctor.errors import InputError
from envdoctor.facts import interpreters
from envdoctor.facts.host import Machine
from envdoctor.facts.interpreters import ChosenInterpreter, choose
from tests.targets import bare_environment, installed_pythons

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links, permissions and shell scripts")


def machine(root: str | Path = "/", **environment: str) -> Machine:
    return Machine(root=Path(root), environment={"PATH": os.defpath, **environment})


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def refusal(python: str, **environment: str) -> str:
    with pytest.raises(InputError) as refused:
        choose(machine(**environment), python)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2
    return str(refused.value)


# --- what is named -----------------------------------------------------------------------------------------------------


def test_a_path_a_folder_and_its_bin_name_the_same_python(tmp_path: Path) -> None:
    target = bare_environment(tmp_path / "env")
    for named in (target.python, target.prefix, target.python.parent):
        assert choose(machine(), str(named)) == ChosenInterpreter(str(target.python), "--python")


def test_a_relative_path_and_a_folder_by_its_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = bare_environment(tmp_path / "env")
    monkeypatch.chdir(tmp_path)
    assert choose(machine(), "env").executable == str(target.python)
    assert choose(machine(), "./env/bin/python").executable == str(target.python)


def test_the_home_folder_may_be_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = bare_environment(tmp_path / "env")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert choose(machine(), "~/env").executable == str(target.python)


def test_a_command_and_a_release_are_looked_for_on_path(tmp_path: Path) -> None:
    python = script(tmp_path / "python3.12", f'exec {sys.executable} "$@"')
    assert choose(machine(PATH=str(tmp_path)), "python3.12").executable == str(python)
    assert choose(machine(PATH=str(tmp_path)), "3.12").executable == str(python)


def test_a_python_2_is_a_python(tmp_path: Path) -> None:
    python = installed_pythons().get("2.7")
    if python is None:
        pytest.skip("no Python 2.7 on this machine")
    assert choose(machine(), str(python)).executable == str(python)


def test_what_is_not_there(tmp_path: Path) -> None:
    assert refusal(f"{tmp_path}/none") == f"--python {tmp_path}/none: no such file or folder"
    assert refusal("python9.9") == "--python python9.9: no such command on PATH, and no such file or folder"
    assert refusal("  ").startswith("--python is empty: name an interpreter")


def test_a_folder_without_a_python(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)) == f"--python {tmp_path}: a folder without a Python (no bin/python, no python.exe)"
    bare_environment(tmp_path / ".venv")
    assert refusal(str(tmp_path)).endswith(f"; did you mean {tmp_path}/.venv?")


def test_an_environment_whose_python_is_gone(tmp_path: Path) -> None:
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "env/bin/python").symlink_to("/opt/gone/bin/python3")
    words = "is a broken link to /opt/gone/bin/python3: the Python that it was made from is gone"
    assert refusal(f"{tmp_path}/env").endswith(words)
    assert refusal(f"{tmp_path}/env/bin/python").endswith(words)


def test_a_file_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("print(1)\n")
    assert refusal(f"{tmp_path}/notes.txt").endswith("notes.txt: not an executable file")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo hello", "exit code 0"),
        ('echo "$@"', "exit code 0"),  # the whole question comes back, which is no answer
        ("echo bad usage >&2; echo more >&2; exit 2", "exit code 2, bad usage"),
        (r"printf '\033[31m\377' >&2; exit 1", "exit code 1, ?[31m\N{REPLACEMENT CHARACTER}"),
        ("kill -SEGV $$", "SIGSEGV"),
        ("cat; exit 0", "exit code 0"),
    ],
)
def test_what_does_not_answer_as_a_python(tmp_path: Path, text: str, words: str) -> None:
    path = script(tmp_path / "python", text)
    assert refusal(str(path)) == f"--python {path}: {path} does not answer as a Python: {words}"


def test_a_python_that_does_not_start(tmp_path: Path) -> None:
    target = bare_environment(tmp_path / "env")
    said = refusal(str(target.python), PYTHONHOME=str(tmp_path))
    assert said.startswith(
        f"--python {target.python}: {target.python} does not answer as a Python: exit code 1, Fatal Python"
    )


def test_what_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "IDENTIFY_TIMEOUT", 0.5)
    assert refusal(str(script(tmp_path / "python", "sleep 60"))).endswith("Python: no answer within 0.5 s")


def test_a_file_without_a_format(tmp_path: Path) -> None:
    (tmp_path / "python").write_bytes(b"\x7fELF\x02garbage")
    (tmp_path / "python").chmod(0o755)
    assert "Exec format error" in refusal(f"{tmp_path}/python")


def test_a_wrong_time_limit_is_refused_before_anything_runs() -> None:
    for wrong in ("soon", "-1", "0", "nan", "1e9"):
        assert re.fullmatch(
            f"ENVDOCTOR_TORCH_TIMEOUT={wrong}: give seconds, such as 300", refusal("x", ENVDOCTOR_TORCH_TIMEOUT=wrong)
        )


# --- what is active ----------------------------------------------------------------------------------------------------


def test_the_active_environment_comes_before_path(tmp_path: Path) -> None:
    env = script(tmp_path / "env/bin/python", "")
    other = script(tmp_path / "bin/python3", "")
    path = str(other.parent)
    assert choose(machine(PATH=path, VIRTUAL_ENV=f"{tmp_path}/env")) == ChosenInterpreter(str(env), "VIRTUAL_ENV")
    assert choose(machine(PATH=path, CONDA_PREFIX=f"{tmp_path}/env/")) == ChosenInterpreter(str(env), "CONDA_PREFIX")
    assert choose(machine(PATH=path)) == ChosenInterpreter(str(other), "PATH")


def test_of_two_active_environments_path_decides(tmp_path: Path) -> None:
    venv, conda = script(tmp_path / "venv/bin/python", ""), script(tmp_path / "conda/bin/python", "")
    both = {"VIRTUAL_ENV": f"{tmp_path}/venv", "CONDA_PREFIX": f"{tmp_path}/conda"}
    assert choose(machine(PATH=f"{conda.parent}:{venv.parent}", **both)) == ChosenInterpreter(
        str(conda), "CONDA_PREFIX"
    )
    assert choose(machine(PATH=f"{venv.parent}:{conda.parent}", **both)) == ChosenInterpreter(str(venv), "VIRTUAL_ENV")
    assert choose(machine(**both)) == ChosenInterpreter(str(venv), "VIRTUAL_ENV")


def test_an_active_environment_that_was_deleted_is_passed_over(tmp_path: Path) -> None:
    other = script(tmp_path / "python3", "")
    assert choose(machine(PATH=str(tmp_path), VIRTUAL_ENV="/gone", CONDA_PREFIX="")) == ChosenInterpreter(
        str(other), "PATH"
    )


def test_python3_comes_before_python_and_python_before_nothing(tmp_path: Path) -> None:
    two = script(tmp_path / "a/python", "")
    three = script(tmp_path / "b/python3", "")
    assert choose(machine(PATH=f"{two.parent}:{three.parent}")).executable == str(three)
    assert choose(machine(PATH=str(two.parent))).executable == str(two)
    assert choose(machine(PATH=str(tmp_path))) == ChosenInterpreter(None, "PATH")


def test_envdoctors_own_environment_yields_to_the_users_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = script(tmp_path / "own/bin/python3", "")
    users = script(tmp_path / "bin/python3", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "own"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages")])
    path = f"{own.parent}:{users.parent}"
    assert choose(machine(PATH=path)).executable == str(users)
    assert choose(machine(PATH=str(own.parent))).executable == str(own)
    assert choose(machine(PATH=path, VIRTUAL_ENV=f"{tmp_path}/own")).executable == str(own.parent / "python3")
    # With torch beside it, it is the user's environment too: a container often has one for everything.
    (tmp_path / "packages/torch").mkdir(parents=True)
    (tmp_path / "packages/torch/__init__.py").write_text("")
    importlib.invalidate_caches()
    assert choose(machine(PATH=path)).executable == str(own)


def test_under_a_sysroot_only_what_lies_in_it_is_run(tmp_path: Path) -> None:
    inside = script(tmp_path / "root/opt/venv/bin/python", "")
    outside = script(tmp_path / "bin/python3", "")
    root = tmp_path / "root"
    assert choose(machine(root, PATH=str(outside.parent))) == ChosenInterpreter(None, "PATH")
    assert choose(machine(root, PATH=str(outside.parent), VIRTUAL_ENV=f"{tmp_path}/bin")).executable is None
    assert choose(machine(root, VIRTUAL_ENV="/opt/venv")) == ChosenInterpreter(str(inside), "VIRTUAL_ENV")
    assert choose(machine(root, PATH="/opt/venv/bin")) == ChosenInterpreter(str(inside), "PATH")
    # What is named is meant.
    target = bare_environment(tmp_path / "env")
    assert choose(machine(root), str(target.prefix)).executable == str(target.python)
