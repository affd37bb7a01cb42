"""Which nvcc, which host compilers and which ninja an extension build would use."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import toolkit
from envdoctor.facts.sections.software import Nvcc
from tests import simulated
from tests.sysroot import Sysroot, elf

PATH = "/usr/local/bin:/usr/bin:/bin"


def nvcc_at(s: Sysroot, folder: str, version: str) -> Sysroot:
    s.file(f"{folder}/version.json", f'{{"cuda_nvcc": {{"version": "{version}"}}}}')
    return s.file(f"{folder}/bin/nvcc", elf(), mode=0o755)


def compilers_of_cuda(machine: Machine) -> tuple[Nvcc, ...]:
    found = toolkit.probe(machine).nvcc
    assert found is not None
    return found


def test_a_toolkit_is_read_from_its_files_and_not_run(tmp_path: Path) -> None:
    (nvcc,) = compilers_of_cuda(simulated.ubuntu_2404(tmp_path).machine())  # there nvcc itself would fail
    assert (nvcc.resolved, nvcc.version, nvcc.found_by) == ("/usr/local/cuda-12.8/bin/nvcc", "12.8.93", ("/usr/local",))


def test_one_nvcc_by_several_ways_is_one_and_what_path_finds_comes_first(tmp_path: Path) -> None:
    s = nvcc_at(nvcc_at(Sysroot(tmp_path), "/usr/local/cuda-11.8", "11.8.89"), "/usr/local/cuda-12.4", "12.4.131")
    s.link("/usr/local/cuda", "cuda-12.4")
    found = compilers_of_cuda(s.machine({"PATH": "/usr/local/cuda-12.4/bin", "CUDA_HOME": "/usr/local/cuda-11.8"}))
    assert [(nvcc.version, nvcc.found_by) for nvcc in found] == [
        ("12.4.131", ("PATH", "/usr/local")),
        ("11.8.89", ("CUDA_HOME", "/usr/local")),
    ]
    assert found[0].path == "/usr/local/cuda-12.4/bin/nvcc"


@pytest.mark.parametrize(
    ("file", "text", "version"),
    [
        ("/usr/local/cuda-10.2/version.txt", "CUDA Version 10.2.89\n", "10.2.89"),
        ("/usr/local/cuda-10.2/include/cuda.h", "/* x */\n#define CUDA_VERSION 12060\n", "12.6"),
        ("/usr/local/cuda-10.2/targets/sbsa-linux/include/cuda.h", "#define CUDA_VERSION 13000\n", "13.0"),
        ("/usr/local/cuda-10.2/version.json", '{"cuda": {"version": "12.1.1"}}', "12.1.1"),
    ],
)
def test_older_toolkits_tell_their_version_elsewhere(tmp_path: Path, file: str, text: str, version: str) -> None:
    s = Sysroot(tmp_path).file("/usr/local/cuda-10.2/bin/nvcc", elf(), mode=0o755).file(file, text)
    (nvcc,) = compilers_of_cuda(s.machine())
    assert nvcc.version == version


def test_a_toolkit_without_any_such_file_is_asked(tmp_path: Path) -> None:
    answer = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 12.0, V12.0.140"
    s = Sysroot(tmp_path).command("/usr/bin/nvcc", f"echo '{answer}'")
    (nvcc,) = compilers_of_cuda(s.machine())
    assert (nvcc.path, nvcc.version, nvcc.found_by) == ("/usr/bin/nvcc", "12.0.140", ("PATH",))


def test_a_broken_json_and_a_silent_nvcc_are_an_unknown_version(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/usr/local/cuda/version.json", "{").command("/usr/local/cuda/bin/nvcc", "exit 127")
    (nvcc,) = compilers_of_cuda(s.machine())
    assert nvcc.version is None


def test_a_distributions_wrapper_script_is_followed_to_the_compiler(tmp_path: Path) -> None:
    s = nvcc_at(Sysroot(tmp_path), "/usr/local/cuda-13.0", "13.0.88")
    s.command("/usr/bin/nvcc", 'exec /usr/local/cuda-13.0/bin/nvcc "$@"')
    (nvcc,) = compilers_of_cuda(s.machine())
    assert (nvcc.path, nvcc.resolved) == ("/usr/bin/nvcc", "/usr/local/cuda-13.0/bin/nvcc")
    assert nvcc.found_by == ("PATH", "/usr/local")


def test_debians_own_package(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/usr/lib/nvidia-cuda-toolkit/bin/nvcc", elf(), mode=0o755)
    s.file("/usr/include/cuda.h", "#define CUDA_VERSION 12000\n")
    (nvcc,) = compilers_of_cuda(s.machine())
    assert (nvcc.version, nvcc.found_by) == ("12.0", ("distribution",))


def test_a_conda_environment_and_a_wheel(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/opt/conda/envs/a/bin/nvcc", elf(), mode=0o755)
    s.file("/opt/conda/envs/a/conda-meta/cuda-nvcc-tools-12.6.85-he02047a_0.json", "{}")
    (nvcc,) = compilers_of_cuda(s.machine({"PATH": PATH, "CONDA_PREFIX": "/opt/conda/envs/a"}))
    assert (nvcc.version, nvcc.found_by) == ("12.6.85", ("environment",))
    site = "/home/a/venv/lib/python3.12/site-packages"
    w = Sysroot(tmp_path / "wheel").folder("/usr").file(f"{site}/nvidia/cuda_nvcc/bin/nvcc", elf(), mode=0o755)
    w.folder(f"{site}/nvidia_cuda_nvcc_cu12-12.8.93.dist-info")
    (nvcc,) = compilers_of_cuda(w.machine({"PATH": PATH, "VIRTUAL_ENV": "/home/a/venv"}))
    assert (nvcc.version, nvcc.path) == ("12.8.93", f"{site}/nvidia/cuda_nvcc/bin/nvcc")


def test_a_cuda_home_that_leads_nowhere(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).folder("/usr")
    found = toolkit.probe(s.machine({"PATH": PATH, "CUDA_HOME": "/usr/local/cuda-9.0"}))
    assert (found.cuda_home, found.cuda_home_exists, found.nvcc) == ("/usr/local/cuda-9.0", False, ())
    found = toolkit.probe(s.machine())
    assert (found.cuda_home, found.cuda_home_exists) == ("", None)


def test_no_compiler_is_known_to_be_none_only_where_there_is_a_system(tmp_path: Path) -> None:
    empty = toolkit.probe(Sysroot(tmp_path / "empty").machine())
    assert (empty.nvcc, empty.compilers, empty.ninja) == (None, None, None)
    slim = toolkit.probe(Sysroot(tmp_path / "slim").folder("/usr/bin").machine())
    assert (slim.nvcc, slim.compilers, slim.ninja) == ((), (), "")


@pytest.mark.parametrize(
    ("build", "version"), [(simulated.ubuntu_2404, "13"), (simulated.rocky_9, "11"), (simulated.arch, "15.2.1")]
)
def test_a_compiler_of_a_machine_that_is_not_running(tmp_path: Path, build: object, version: str) -> None:
    assert callable(build)
    (gcc,) = toolkit.probe(build(tmp_path).machine()).compilers or ()
    assert (gcc.name, gcc.version) == ("gcc", version)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0"),
        ("gcc (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0", "13.3.0"),
        ("gcc (GCC) 11.5.0 20240719 (Red Hat 11.5.0-2)", "11.5.0"),
        ("gcc (GCC) 15.2.1 20250813", "15.2.1"),
        ("Ubuntu clang version 18.1.3 (1ubuntu1)", "18.1.3"),
        ("clang version 21.1.6 (Fedora 21.1.6-1.fc43)", "21.1.6"),
        ("words only", None),
    ],
)
def test_the_first_line_of_every_compiler(tmp_path: Path, line: str, version: str | None) -> None:
    s = Sysroot(tmp_path).command("/usr/bin/gcc", f"echo '{line}'; echo 'Copyright (C) 2099.1.1'")
    (gcc,) = toolkit.probe(s.machine()).compilers or ()
    assert gcc.version == version


def test_the_compiler_that_a_variable_names(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).command("/opt/gcc/bin/g++-14", "echo 'g++-14 (GCC) 14.2.0'")
    machine = s.machine({"PATH": PATH, "CXX": "ccache /opt/gcc/bin/g++-14 -m64", "CC": "gcc-99"})
    found = {compiler.name: compiler for compiler in toolkit.probe(machine).compilers or ()}
    assert found["/opt/gcc/bin/g++-14"].version == "14.2.0"
    assert (found["gcc-99"].path, found["gcc-99"].version) == (None, None)  # it names none that is there


def test_a_compiler_that_hangs_costs_its_version_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envdoctor.facts.probes.compilers._TIMEOUT", 0.2)
    s = Sysroot(tmp_path).command("/usr/bin/gcc", "sleep 30").command("/usr/bin/clang", "echo 'clang version 18.1.3'")
    found = {compiler.name: compiler.version for compiler in toolkit.probe(s.machine()).compilers or ()}
    assert found == {"gcc": None, "clang": "18.1.3"}


def test_ninja_of_the_environment(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).folder("/usr").file("/home/a/venv/bin/ninja", elf(), mode=0o755)
    assert toolkit.probe(s.machine({"PATH": PATH, "VIRTUAL_ENV": "/home/a/venv"})).ninja == "/home/a/venv/bin/ninja"


@pytest.mark.system
def test_this_machines_gcc_says_the_same_itself() -> None:
    compilers = {compiler.name: compiler for compiler in toolkit.probe(Machine.here()).compilers or ()}
    asked = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    assert compilers["gcc"].version == asked
