"""Groups of tests that need what not every machine has, and what becomes of them without it.

Each is a marker of pytest (pyproject.toml names them). A group whose needs are not met is skipped as a whole, with one line that
says what is missing and how to get it; where it is required, its tests fail instead. ENVDOCTOR_TEST_REQUIRE names the groups
that are required; where it is not set, all of them are in CI and none elsewhere.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

PROGRAMS = ("buildah", "crun", "debootstrap", "dpkg-deb", "g++")
"""What the group `system` needs besides root; `make system-packages` installs it."""


SLOW = (
    "bench/test_compare.py",
    "bench/test_gpu_proof.py",
    "bench/test_history.py",
    "bench/test_on_a_gpu.py",
    "bench/test_statistics.py",
    "benchmarks/test_suites.py",
    "benchmarks/test_timing.py",
    "cli/test_bench.py",
    "cli/test_bench_faults.py",
    "cli/test_errors.py",
    "cli/test_every_command.py",
    "cli/test_explain.py",
    "cli/test_native.py",
    "cli/test_recipe.py",
    "cli/test_train.py",
    "cli/test_up.py",
    "diagnosis/test_properties.py",
    "diagnosis/test_repair_properties.py",
    "facts/probes/test_gpus.py",
    "facts/probes/test_interpreter.py",
    "facts/test_redaction.py",
    "knowledge/test_refresh.py",
    "machines/test_machines.py",
    "planning/test_properties.py",
    "reading/dumps/test_messages.py",
    "reading/dumps/test_properties.py",
    "reading/messages/test_patterns.py",
    "rendering/test_ansible.py",
    "rendering/test_apply.py",
    "rendering/test_driver.py",
    "rendering/test_hashes.py",
    "rendering/test_python_targets.py",
    "rendering/test_toolkit.py",
    "test_no_index.py",
    "test_one_judgement.py",
    "test_packaging.py",
    "test_pyz.py",
)
"""The group `slow`: modules that start hundreds of processes or draw thousands of examples, three quarters of the time."""


def required(group: str) -> bool:
    named = os.environ.get("ENVDOCTOR_TEST_REQUIRE")
    return bool(os.environ.get("CI")) if named is None else group in named.split()


def absent(group: str, why: str) -> NoReturn:
    """Skips the test for that reason, and fails it where its group is required."""
    if required(group):
        pytest.fail(f"the group `{group}` is required here, and {why}", pytrace=False)
    pytest.skip(why)


def without_system() -> str | None:
    """Why the group `system` cannot run here."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root's rights")
    if not missing:
        return None
    return f"tests of the group `system` need {' and '.join(missing)}; as root: make system-packages test-system"


def without_registry() -> str | None:
    """Why the group `registry` is not wanted."""
    if os.environ.get("ENVDOCTOR_TEST_REGISTRY") == "1":
        return None
    return "tests of the group `registry` ask the package registry for a lot; ENVDOCTOR_TEST_REGISTRY=1 runs them"
