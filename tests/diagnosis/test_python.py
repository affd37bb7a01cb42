"""The diagnoses of Python itself: its version, NumPy, and modules that are hidden."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import CondaPackage, Interpreter, ShadowedModule, TorchRun
from envdoctor.facts.sections.interpreter import Distribution as Installed
from tests.diagnosis.snapshots import UBUNTU, commands, finding, found, interpreter, judge, machine, torch

# --- numpy-abi-mismatch ------------------------------------------------------------------------------------------------


def with_numpy(numpy: str | None, version: str = "2.2.2+cu121", **more: Any) -> Snapshot:
    messages = more.pop("messages", ())
    installed = (Installed(name="numpy", version=numpy),) if numpy else ()
    return machine(interpreter=interpreter(torch(version, "12.1", **more), *installed), messages=messages)


def test_numpy_2_with_a_torch_from_before_it() -> None:
    said = found("numpy-abi-mismatch", with_numpy("2.1.3"))
    assert "numpy<2" in shlex.split(commands(said).splitlines()[0]) and said.severity is Severity.ERROR
    assert any("Install torch" in fix.title for fix in said.fixes)


def test_torchs_own_warning_suffices() -> None:
    warned = TorchRun(
        outcome="ok", warnings=("Failed to initialize NumPy: _ARRAY_API not found (Triggered internally at",)
    )
    assert found("numpy-abi-mismatch", with_numpy("2.0.1", "2.3.1+cu121", run=warned))


@pytest.mark.parametrize(
    ("numpy", "version"),
    [
        ("1.26.4", "2.2.2+cu121"), ("2.1.3", "2.3.0+cu121"), ("1.26.4", "2.15.0+cu132"), (None, "2.2.2"),
        ("2.1.3", "2.2.0a0+gitebed490"), ("2.1.3", "2.2.0.dev20231010+cu121"),
    ],
)  # fmt: skip
def test_versions_that_go_together_or_are_nobodys_wheels(numpy: str | None, version: str) -> None:
    assert finding("numpy-abi-mismatch", with_numpy(numpy, version)) is None


def test_a_missing_numpy_is_not_a_wrong_one() -> None:
    warned = TorchRun(outcome="ok", warnings=("Failed to initialize NumPy: No module named 'numpy'",))
    assert finding("numpy-abi-mismatch", with_numpy(None, run=warned)) is None


def test_condas_torch_is_built_for_condas_numpy() -> None:
    own = Interpreter(
        version="3.11.4",
        environment="conda",
        distributions=(
            Installed(name="torch", version="2.1.2", installer="conda"),
            Installed(name="numpy", version="2.0.1"),
        ),
        conda_packages=(CondaPackage(name="pytorch", version="2.1.2", channel="conda-forge"),),
        torch=torch("2.1.2", "12.1"),
        torch_installed=True,
    )
    assert finding("numpy-abi-mismatch", machine(interpreter=own)) is None


# --- python-unsupported ------------------------------------------------------------------------------------------------


def without_torch(version: str, **more: Any) -> Snapshot:
    messages = more.pop("messages", ())
    facts = Interpreter(executable="/usr/bin/python3", version=version, pip=True, **more)
    return machine(interpreter=facts, messages=messages)


def test_a_python_that_no_torch_knows() -> None:
    diagnosed = judge(without_torch("3.19.0", torch_installed=False))
    assert diagnosed.primary is not None and diagnosed.primary.code == "python-unsupported"
    assert {f.code: f.consequence_of for f in diagnosed.findings}["torch-missing"] == "python-unsupported"
    assert "uv venv --python" in commands(diagnosed.primary)


def test_a_32_bit_python() -> None:
    assert "32-bit" in found("python-unsupported", without_torch("3.12.3", torch_installed=False, bits=32)).summary


@pytest.mark.parametrize(("wanted", "version", "fires"), [
    ("2.0.1", "3.13.1", True), ("1.7.1", "3.12.0", True), ("2.6.0", "3.12.0", False), ("1.7.1", "3.8.10", False),
    ("99.0.0", "3.12.0", False),
])  # fmt: skip
def test_the_release_that_was_asked_for(wanted: str, version: str, fires: bool) -> None:
    line = (
        f"ERROR: Could not find a version that satisfies the requirement torch=={wanted} (from versions: 2.2.0, 2.6.0)"
    )
    seen = without_torch(version, torch_installed=False, messages=(line,))
    assert (finding("python-unsupported", seen) is not None) is fires


def test_pip_that_saw_nothing_at_all_is_said_with_half_confidence() -> None:
    line = "ERROR: Could not find a version that satisfies the requirement torch (from versions: none)"
    said = found("python-unsupported", without_torch("3.12.0", messages=(line,)))
    assert said.confidence == 0.5 and "pip debug" in commands(said)


@pytest.mark.parametrize(
    "seen",
    [
        without_torch("3.12.0", torch_installed=False),
        without_torch("3.13.5", torch_installed=False, free_threaded=True),
        without_torch("3.19.0"),
        machine(interpreter=interpreter(torch("2.15.0+cu132", "13.2"), version="3.19.0")),
        machine(interpreter=Interpreter(torch_installed=False)),
        machine(interpreter=Interpreter(version="3.19.0", torch_installed=False), host=None),
        without_torch("3.12.0", messages=("ERROR: No matching distribution found for torch-scatter==2.0",)),
    ],
    ids=["3.12", "3.13t", "torch unknown", "torch is there", "Python unknown", "platform unknown", "another package"],
)
def test_a_python_with_wheels_or_unknown_is_not_accused(seen: Snapshot) -> None:
    assert finding("python-unsupported", seen) is None


# --- module-shadowed ---------------------------------------------------------------------------------------------------


def shadowing(
    module: str, path: str, run: TorchRun | None, sys_path: tuple[str, ...] = (), editable: bool = False
) -> Snapshot:
    facts = Interpreter(
        executable="/usr/bin/python3",
        version="3.12.3",
        shadowed=(ShadowedModule(module=module, path=path),),
        sys_path=sys_path,
        distributions=(Installed(name="torch", version="2.15.0", editable=editable),),
        torch=torch(run=run, location="/usr/lib/python3/dist-packages/torch"),
        torch_installed=True,
    )
    return machine(interpreter=facts)


OK = TorchRun(outcome="ok", computation="ok")
FAILED = TorchRun(
    outcome="import-error", error="ImportError: cannot import name 'Random' from 'random' (/srv/lib/random.py)"
)


def test_a_module_in_pythonpath_that_broke_the_import() -> None:
    diagnosed = judge(shadowing("random", "/srv/lib/random.py", FAILED, ("/srv/lib",)))
    assert diagnosed.primary is not None and diagnosed.primary.code == "module-shadowed"
    assert "mv /srv/lib/random.py" in commands(diagnosed.primary)


def test_a_torch_in_the_current_folder_is_a_warning_while_torch_works() -> None:
    assert found("module-shadowed", shadowing("torch", "/home/ada/torch.py", OK)).severity is Severity.WARNING


def test_a_random_in_the_current_folder_may_be_meant_so() -> None:
    assert judge(shadowing("random", "/home/ada/games/random.py", OK)).primary is None


def test_what_lies_in_pythonpath_and_did_no_harm_is_no_finding() -> None:
    assert finding("module-shadowed", shadowing("random", "/srv/lib/random.py", OK, ("/srv/lib",))) is None


def test_the_current_folder_did_not_break_an_import_that_left_it_out() -> None:
    other = TorchRun(outcome="import-error", error="ImportError: libcudnn.so.9: cannot open shared object file")
    said = found("module-shadowed", shadowing("random", "/home/ada/random.py", other))
    assert said.severity is Severity.INFO
    on_path = judge(shadowing("random", "/srv/lib/random.py", other, ("/srv/lib",)))
    assert on_path.primary is not None and on_path.primary.code == "cudnn-missing"


def test_a_checkout_that_is_installed_in_place_hides_nothing() -> None:
    assert finding("module-shadowed", shadowing("torch", "/home/ada/pytorch/torch", OK, editable=True)) is None


def test_pythons_own_hint_suffices() -> None:
    line = (
        "AttributeError: module 'random' has no attribute 'seed' (consider renaming '/x/random.py' since it has the same name "
        "as the standard library module named 'random')"
    )
    assert found("module-shadowed", Snapshot(host=UBUNTU, messages=(line,)))


def test_nothing_is_hidden_where_nothing_is_known() -> None:
    assert all(
        finding(code, Snapshot()) is None for code in ("module-shadowed", "python-unsupported", "numpy-abi-mismatch")
    )
