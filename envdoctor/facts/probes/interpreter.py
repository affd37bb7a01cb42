"""The target interpreter: what is installed in it, and what happens when it imports torch.

Two children of that interpreter start at once: one reads files and imports nothing, the other imports torch. Both say their
facts step by step, so that a crash or a hang costs what comes after it and no more.
"""

from __future__ import annotations

import functools
import json
import threading
from typing import Any

import msgspec

from envdoctor.facts.cleaning import fitted
from envdoctor.facts.host import Machine
from envdoctor.facts.inspection import OLDEST, Answers, torch_timeout
from envdoctor.facts.interpreters import ChosenInterpreter, choose
from envdoctor.facts.probes._torch import torch_facts, torchvision_build
from envdoctor.facts.sections.interpreter import (
    BrokenPin,
    CondaPackage,
    Distribution,
    Duplicate,
    Interpreter,
    ShadowedModule,
)

STATIC_TIMEOUT = 20.0
"""Seconds for reading the environment's files: 50 ms on a local disk, many times that on a cold network disk."""


def probe(machine: Machine, choice: ChosenInterpreter | None = None, *, live: bool = True) -> Interpreter:
    """The chosen interpreter, by default the active one; `live=False` does not import torch."""
    choice = choice or choose(machine)
    if choice.executable is None:
        return Interpreter(chosen_by=choice.chosen_by, error="there is no python3 and no python on PATH")
    importing = _Child(machine, choice.executable, "inspect_torch.py", timeout=torch_timeout(machine)) if live else None
    reading = _Child(
        machine, choice.executable, "inspect_packages.py", "inspect_environment.py", timeout=STATIC_TIMEOUT
    )
    answers = reading.answers()
    static = _static_facts(choice, answers)
    run = importing.answers() if importing else None
    torch, installed = torch_facts(
        distributions=static.get("distributions"),
        found=(answers.last("modules") or {}).get("torch"),
        libraries=_libraries(answers),
        run=run,
    )
    builds = torchvision_build(run) if run else None
    looked_at = fitted(Interpreter, static)
    return msgspec.structs.replace(looked_at, torch=torch, torch_installed=installed, extension_builds=builds)


class _Child(threading.Thread):
    """One part of the inspection, running."""

    def __init__(self, machine: Machine, executable: str, *parts: str, timeout: float) -> None:
        super().__init__(name=parts[0], daemon=True)
        self._ask = functools.partial(Answers.of, machine, executable, *parts, timeout=timeout)
        self._answers: Answers | None = None
        self.start()

    def run(self) -> None:
        self._answers = self._ask()

    def answers(self) -> Answers:
        self.join()
        assert self._answers is not None
        return self._answers


def _static_facts(choice: ChosenInterpreter, answers: Answers) -> dict[str, Any]:
    """The fields of Interpreter, but for torch."""
    facts: dict[str, Any] = {
        "executable": choice.executable,
        "chosen_by": choice.chosen_by,
        "version": answers.python,
        "error": _error(answers),
    }
    for subject in ("interpreter", "environment"):
        facts |= answers.last(subject) or {}
    facts["executable"] = facts["executable"] or choice.executable  # an embedded Python does not know its own
    if facts.get("sys_path") is not None:
        facts["sys_path"] = tuple(facts["sys_path"])
    shadowed, conda = answers.last("shadowed"), answers.all("conda")
    if shadowed is not None:
        facts["shadowed"] = tuple(ShadowedModule(module=module, path=path) for module, path in shadowed)
    if conda:
        facts["conda_packages"] = tuple(
            CondaPackage(name=name, version=version, build=build, channel=channel)
            for name, version, build, channel in conda[-1] or ()
        )
    return facts | _distribution_facts(
        answers.last("distributions"), answers.last("markers"), answers.last("modules") or {}
    )


def _error(answers: Answers) -> str | None:
    """Why the interpreter could not be looked into, or only in part."""
    if answers.python is None:
        return f"it does not answer as a Python: {answers.ending}"
    if answers.too_old:
        return f"Python {answers.python} is too old to be looked into: envdoctor needs {'.'.join(map(str, OLDEST))} or newer"
    failures = [f"{record['failed']}: {record['error']}" for record in answers.records if "failed" in record]
    if not answers.finished:
        failures.append(f"the inspection ended early: {answers.ending}")
    return "; ".join(failures) or None


def _distribution_facts(
    answer: dict[str, Any] | None, markers: dict[str, str] | None, modules: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    if answer is None:
        return {}
    from envdoctor.facts.pins import judge_pins  # packaging takes 20 ms to import, while torch is being imported anyway

    distributions, broken = [], list[BrokenPin]()
    for found in answer["kept"]:
        requires: tuple[str, ...] = ()
        if markers is not None:
            pins = judge_pins(found["name"], found["requires"], answer["installed"], markers, found["extras"])
            requires = pins.applying
            broken += pins.broken
        origin, editable = _direct_url(found["direct_url"])
        distributions.append(
            Distribution(
                name=found["name"],
                version=found["version"],
                location=found["location"],
                installer=found["installer"] or None,
                requires=requires,
                origin=origin,
                editable=editable,
                tag=found["tag"],
                build=modules.get(found["name"], {}).get("__version__") if found["name"] != "torch" else None,
                missing_files=tuple(found.get("missing_files", ())),
                damaged_files=tuple(found.get("damaged_files", ())),
            )
        )
    return {
        "distributions": tuple(distributions),
        "broken_pins": tuple(broken) if markers is not None else None,
        "duplicates": tuple(
            Duplicate(name=name, versions=tuple(v or "" for v, _ in places), locations=tuple(p for _, p in places))
            for name, places in answer["duplicates"].items()
        ),
        "leftovers": tuple(answer["leftovers"]),
    }


def _direct_url(text: str | None) -> tuple[str | None, bool]:
    """(URL, editable) of direct_url.json (PEP 610)."""
    try:
        url = json.loads(text) if text else {}
        return url.get("url"), bool((url.get("dir_info") or {}).get("editable"))
    except (ValueError, AttributeError):
        return None, False


def _libraries(answers: Answers) -> dict[str, tuple[str, str | None]]:
    """The (distribution, version) that each shared library belongs to, by path."""
    kept = (answers.last("distributions") or {}).get("kept", ())
    return {path: (found["name"], found["version"]) for found in kept for path in found.get("libraries", ())}
