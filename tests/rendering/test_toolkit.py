"""The toolkit recipe: which packages, which compiler, which environment; and an nvcc from wheels that really compiles."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from tests import real_torch
from tests.rendering.machines import ScriptMachine, apt_cache
from tests.rendering.plans import plans
from tests.rendering.test_driver import SYSTEMS
from tests.rendering.tools import check_with

CHANGES = ("apt-get", "dpkg", "dnf", "zypper", "curl")


def stack(name: str = "build-extensions", **changes: Any) -> Stack:
    return msgspec.structs.replace(plans()[name], **changes)


def files(plan: Stack, folder: Path) -> Path:
    for file in render("toolkit", plan):
        (folder / file.path).write_text(file.text)
    return folder


def script(plan: Stack) -> str:
    return render("toolkit", plan)[0].text


def compiler(version: str) -> str:
    """A gcc of that version which takes whatever it is given."""
    return f'case "$1" in -dumpversion) echo {version} ;; *) cat >/dev/null ;; esac'


@pytest.fixture
def machine(tmp_path: Path) -> ScriptMachine:
    made = ScriptMachine(tmp_path, commands=CHANGES)
    made.linux("ubuntu", "24.04")
    made.answers |= {"apt-cache": apt_cache({"cuda-toolkit-13-2": "13.2.2-1"}), "dpkg-query": "exit 1"}
    made.answers |= {"gcc": compiler("13.3.0"), "g++": compiler("13.3.0")}
    return made


def test_every_form_passes_the_checkers(tmp_path: Path) -> None:
    written = []
    for number, system in enumerate(SYSTEMS):
        plan = stack("old-system" if system == "ubuntu18.04" else "build-extensions", os=system)
        folder = tmp_path / str(number)
        folder.mkdir()
        written.append(files(plan, folder))
    check_with("shellcheck", "--severity=style", files=[folder / "toolkit.sh" for folder in written])
    check_with("shellcheck", "--severity=style", files=[written[0] / "cuda-env.sh", written[1] / "cuda-env.sh"])
    check_with(
        "ruff", "check", "--isolated", "--line-length=130", files=[folder / "check_extension.py" for folder in written]
    )


def test_the_toolkit_comes_without_a_driver(machine: ScriptMachine) -> None:
    done = machine.run(script(stack()), "--yes")
    assert done.returncode == 0, done.stderr
    calls = machine.calls("apt-get", "env")
    assert any(call.endswith("install -y --no-install-recommends cuda-toolkit-13-2") for call in calls)
    assert not any(word in ("cuda", "cuda-drivers", "nvidia-driver-580") for call in calls for word in call.split())
    assert "cuda-env.sh" in done.stdout


def test_a_release_without_that_toolkit_hears_of_other_ways(machine: ScriptMachine) -> None:
    machine.answers["apt-cache"] = apt_cache({"cuda-toolkit-12-9": "12.9.1-1"})
    done = machine.run(script(stack()), "--yes")
    assert done.returncode == 1
    assert "--into ENVIRONMENT" in done.stdout
    assert "conda create" in done.stdout
    assert not any("cuda-toolkit-13-2" in call for call in machine.calls("apt-get"))


def test_a_compiler_that_is_too_new_gets_an_older_one_beside_it(machine: ScriptMachine) -> None:
    machine.answers["gcc"] = machine.answers["g++"] = compiler("16.1.0")
    machine.answers["apt-cache"] = apt_cache({"cuda-toolkit-13-2": "13.2.2-1", "gcc-14": "14.2", "g++-14": "14.2"})
    bin_folder = machine.root / "fake-bin"
    installer = machine.file(
        "/installer.sh",
        f"for name in gcc-14 g++-14; do\nprintf '%s\\n' '#!/bin/bash' {shlex.quote(compiler('14.2.0'))} > {bin_folder}/$name\n"
        f"/bin/chmod +x {bin_folder}/$name\ndone\n",
    )
    machine.answers["apt-get"] = f'case "$*" in *g++-14*) . {installer} ;; esac'
    done = machine.run(script(stack()), "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    assert any("gcc-14 g++-14" in call for call in machine.calls("apt-get"))


def test_a_shell_that_sources_the_environment_gets_a_compiler_that_nvcc_takes(tmp_path: Path) -> None:
    machine = ScriptMachine(tmp_path)
    machine.linux("ubuntu", "24.04")
    machine.answers |= {"gcc": compiler("16.1.0"), "g++": compiler("16.1.0")}
    machine.answers |= {"gcc-15": compiler("15.1.0"), "g++-15": compiler("15.1.0")}
    text = render("toolkit", stack())[1].text
    shown = (
        '\nprintf "%s\\n" "$CC" "$CXX" "$CUDA_HOME" "$TORCH_CUDA_ARCH_LIST" "${PATH%%:*}" "${LD_LIBRARY_PATH:-unset}"\n'
    )
    done = machine.run(text + shown)
    assert done.returncode == 0, done.stderr
    cc, cxx, home, arch, first, library_path = done.stdout.splitlines()
    assert (Path(cc).name, Path(cxx).name) == ("gcc-15", "g++-15")
    assert home.endswith("/usr/local/cuda-13.2")
    assert first == f"{home}/bin"
    assert arch == "12.0"
    assert library_path == "unset"


@pytest.mark.parametrize(
    ("system", "identifier", "version", "package_tool"),
    [("rhel9", "rocky", "9.4", "dnf"), ("sles15", "sles", "15.6", "zypper"), ("fedora44", "fedora", "44", "dnf")],
)
def test_other_families_use_their_own_tools(
    tmp_path: Path, system: str, identifier: str, version: str, package_tool: str
) -> None:
    machine = ScriptMachine(tmp_path, commands=("zypper", "curl"))
    machine.linux(identifier, version)
    machine.answers |= {
        "gcc": compiler("13"),
        "g++": compiler("13"),
        "dnf": '[ "$2" != repoquery ] || echo cuda-toolkit',
    }
    for folder in ("etc/yum.repos.d", "etc/zypp/repos.d"):
        (machine.root / folder).mkdir(parents=True, exist_ok=True)
    done = machine.run(script(stack(os=system)), "--yes")
    assert done.returncode == 0, done.stderr
    assert machine.calls(package_tool)[-1].endswith("install -y cuda-toolkit-13-2") or machine.calls(package_tool)[
        -1
    ].endswith("install cuda-toolkit-13-2")


def test_without_cuda_there_is_no_toolkit_to_install() -> None:
    with pytest.raises(InputError, match="built without CUDA"):
        render("toolkit", stack("no-gpu"))


@pytest.fixture(scope="module")
def environment_with_nvcc() -> Iterator[tuple[Path, Path]]:
    """The rendered files, and an environment with the real torch and the nvcc that toolkit.sh put into it."""
    with real_torch.scratch() as folder:
        environment = real_torch.copy(real_torch.environment(), folder / "environment").prefix
        files(stack(), folder)
        done = subprocess.run(
            ["bash", folder / "toolkit.sh", "--into", environment],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout[-2000:]
        yield folder, environment


@pytest.mark.torch
@pytest.mark.system
def test_nvcc_from_wheels_compiles_with_the_compiler_that_was_chosen(environment_with_nvcc: tuple[Path, Path]) -> None:
    folder, environment = environment_with_nvcc
    (folder / "kernel.cu").write_text(
        "#include <cstdio>\n__global__ void f(int *x) { *x = 1; }\n"
        'int main() { int v = 0; cudaRuntimeGetVersion(&v); std::printf("%d\\n", v); return 0; }\n'
    )
    program = (
        f"cd {folder} && VIRTUAL_ENV={environment} && export VIRTUAL_ENV && . ./cuda-env.sh && "
        'nvcc -ccbin "$CC" -std=c++20 -gencode arch=compute_120,code=sm_120 -cudart shared -o kernel kernel.cu && '
        'LD_LIBRARY_PATH="$CUDA_HOME/lib64" ./kernel'
    )
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "13020"


@pytest.mark.torch
@pytest.mark.system
@pytest.mark.registry
def test_the_proof_builds_and_loads_a_real_extension(environment_with_nvcc: tuple[Path, Path]) -> None:
    folder, environment = environment_with_nvcc
    done = subprocess.run(
        ["bash", folder / "toolkit.sh", "--verify", environment / "bin/python"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "nvcc 13.2 builds an extension" in done.stdout
