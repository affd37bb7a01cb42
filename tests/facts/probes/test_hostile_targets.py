"""A torch, a driver or a file that says nonsense, or too much of it, costs the facts that it spoils and no more."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from envdoctor.facts.elf import architecture, is_64_bit, section
from envdoctor.facts.host import Machine
from envdoctor.facts.interpreters import choose
from envdoctor.facts.model import Snapshot
from envdoctor.facts.probes import cuda_driver, gpus
from envdoctor.facts.probes.interpreter import probe
from envdoctor.facts.sections.interpreter import Torch
from tests.fakes import FakeDriver, FakeGpu, machine_with
from tests.targets import Target, bare_environment

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and limits")
ROOT = Path(__file__).parents[3]
# A torch whose every answer is of another type.
WRONG_TYPES = """
class _Any:
    def __getattr__(self, name): return _Any()
    def __call__(self, *a, **k): return _Any()
__version__ = 2.15
class version: cuda = 12.8; hip = None; xpu = [1]; debug = "no"; git_version = 7
class _C:
    @staticmethod
    def _cuda_getArchFlags(): return "sm_90 " * 3
    _GLIBCXX_USE_CXX11_ABI = "yes"
class cuda:
    @staticmethod
    def is_available(): return True
    @staticmethod
    def device_count(): return COUNT
    @staticmethod
    def get_device_properties(index):
        class found: name = 5; major = 9; minor = 0; total_memory = 10 ** 400; multi_processor_count = "many"
        return found
class backends:
    class cudnn:
        @staticmethod
        def version(): return "9.1"
        @staticmethod
        def is_available(): return False
    class mps:
        @staticmethod
        def is_available(): return 3.5
"""
FLOOD = "import os\nfor _ in range(5000): os.write(1, b'x' * 65536)\n"


def with_torch(folder: Path, source: str) -> Target:
    target = bare_environment(folder)
    target.install("torch", "2.15.0", files={"torch/__init__.py": source})
    return target


def torch_of(target: Target) -> Torch:
    machine = Machine()
    found = probe(machine, choose(machine, str(target.python))).torch
    assert found is not None
    msgspec.json.decode(msgspec.json.encode(found), type=Torch)  # whatever it is, it can be shared
    return found


@pytest.mark.parametrize("count", ["2 ** 31 - 1", "10 ** 400", "-1", "'two'"])
def test_answers_of_another_type_are_unknown(tmp_path: Path, count: str) -> None:
    began = time.monotonic()
    torch = torch_of(with_torch(tmp_path / "v", WRONG_TYPES.replace("COUNT", count)))
    assert torch.cuda is None and torch.debug is None and torch.git_version is None
    assert torch.run is not None and torch.run.cuda_available is True
    assert torch.run.cudnn_version is None
    assert len(torch.run.devices or ()) <= 16
    assert time.monotonic() - began < 30


@posix
def test_a_flood_on_stdout_costs_neither_memory_nor_the_answers(tmp_path: Path) -> None:
    target = with_torch(tmp_path / "v", FLOOD + "raise ImportError('after the flood')")
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", "snapshot", "--python", str(target.python)],
        capture_output=True,
        cwd=ROOT,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
        check=False,
    )
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    found = msgspec.json.decode(done.stdout, type=Snapshot)
    assert found.torch is not None and found.torch.run is not None
    assert "after the flood" in (found.torch.run.error or "")


@posix
def test_a_tool_that_floods_or_leaves_a_daemon_behind_is_answered_in_time(tmp_path: Path) -> None:
    daemon = tmp_path / "nvidia-smi"
    daemon.write_text("#!/bin/sh\nsleep 30 &\necho 'NVIDIA-SMI'\n")
    daemon.chmod(0o755)
    flood = tmp_path / "nvcc"
    flood.write_text(f"#!{sys.executable}\nimport os\nwhile True: os.write(1, b'x' * 65536)\n")
    flood.chmod(0o755)
    machine = Machine()
    began = time.monotonic()
    assert machine.run([daemon], timeout=20).stdout == "NVIDIA-SMI\n"
    assert time.monotonic() - began < 5
    assert machine.run([flood], timeout=1).timed_out
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("counted", [2**32 - 1, 2**31 - 1, 5000])
def test_a_driver_that_counts_more_gpus_than_there_can_be_counts_none(tmp_path: Path, counted: int) -> None:
    machine = machine_with(FakeDriver(gpus=[FakeGpu("Tesla T4")], errors={"counted": counted}), tmp_path)
    began = time.monotonic()
    nvml, cuda = gpus.probe(machine), cuda_driver.probe(machine)
    assert time.monotonic() - began < 10
    assert nvml.gpus is None and nvml.status is None and str(counted) in (nvml.message or "")
    assert (
        cuda.devices is None and cuda.device_count is None and (cuda.message or "").startswith("cuDeviceGetCount says")
    )


@posix
def test_a_pipe_in_place_of_a_library_does_not_keep_us_waiting(tmp_path: Path) -> None:
    for name in ("libcuda.so.1", "libnvidia-ml.so.1", "libcudart.so.13", "libstdc++.so.6.0.1"):
        os.mkfifo(tmp_path / name)
    began = time.monotonic()
    assert architecture(tmp_path / "libcuda.so.1") is None
    assert is_64_bit(tmp_path / "libcuda.so.1") is None
    assert section(tmp_path / "libcuda.so.1", ".dynstr") is None
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", "snapshot", "--fast", "--no-redact"],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        check=False,
    )
    assert time.monotonic() - began < 9
    found = msgspec.json.decode(done.stdout, type=Snapshot)
    assert found.cuda_driver is not None and "not a regular file" in (found.cuda_driver.load_error or "")
