"""A playbook that brings many machines to the plan. It carries the scripts of the other recipes and adds what they lack: facts
first, nothing where nothing is to be done, a reboot in its place, and the proof brought home."""

from __future__ import annotations

from typing import Any

import msgspec

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.drivers import on_jetson
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.systems import system_of
from envdoctor.rendering.targets import driver, toolkit, venv
from envdoctor.rendering.templates import fill

_TASKS = ("environment", "verify")


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """playbook.yml, its tasks, an inventory to fill in, and the scripts. Raises InputError outside Linux, and where the plan
    has GPUs and no known distribution: its driver could not be installed."""
    if not stack.platform.startswith("linux"):
        raise InputError("'ansible' is for Linux machines")
    # JetPack brings a Jetson's driver; what else the plan asks of a driver is said in the recipe's own name.
    with_driver = bool(stack.gpus and stack.min_driver) and not on_jetson(stack)
    if with_driver:
        system_of(stack, "ansible")
    scripts = [*venv.render(stack, options)]
    with_toolkit = stack.purpose == "build-extensions"
    if with_driver:
        scripts += driver.render(stack, options)
    if with_toolkit:
        scripts += toolkit.render(stack, options)
    run = (
        "write your machines into inventory.yml, then:",
        "ansible-playbook -i inventory.yml playbook.yml --check",
        "ansible-playbook -i inventory.yml playbook.yml",
    )
    where = {"playbook": "playbook.yml", "stack": "vars/stack.yml", "inventory": "inventory.yml"}
    tasks = (*(("driver",) if with_driver else ()), *(("toolkit",) if with_toolkit else ()), *_TASKS)
    where |= {name: f"tasks/{name}.yml" for name in tasks}
    what = {
        "playbook": f"Brings machines to torch {stack.torch}: driver, environment, proof. Repeatable; --check changes nothing.",
        "stack": "The plan, and what may be changed of how it is carried out.",
        "inventory": "An example: the machines.",
        "driver": "The driver: only where it is missing or too old, and only where that was asked for.",
        "toolkit": "The CUDA toolkit and a compiler, for building extensions.",
        "environment": "The environment, made by venv.sh where it is not there yet.",
        "verify": "envdoctor's check, and a snapshot of each machine.",
    }
    values: dict[str, Any] = {
        "driver": with_driver,
        "toolkit": ".".join((stack.toolkit or stack.cuda or "").split(".")[:2]) if with_toolkit else "",
    }
    made = [
        RenderedFile(path, fill(f"ansible/{name}.yml.j2", stack, options, what=what[name], run=run, **values))
        for name, path in where.items()
    ]
    proof = fill(
        "ansible/verify.py.j2",
        stack,
        options,
        what="Proves that the installed torch is the planned one and computes correctly.",
        run=("python verify.py",),
    )
    return (
        *made,
        RenderedFile("files/verify.py", proof),
        *(msgspec.structs.replace(script, path=f"files/{script.path}") for script in scripts),
    )
