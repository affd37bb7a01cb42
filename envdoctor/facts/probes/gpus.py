"""What NVML says of every GPU; nvidia-smi is asked only where NVML's library could not be used from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from envdoctor.facts.cleaning import all_fitted, fitted
from envdoctor.facts.driver_libraries import NVML, find_nvidia_smi, load_names, not_found_words
from envdoctor.facts.host import Machine
from envdoctor.facts.sections.gpu import Gpu, Nvml

if TYPE_CHECKING:
    from envdoctor.facts.probes._ask import ChildAnswer

# Without persistence mode, starting NVML wakes every GPU: one to three seconds for each of eight.
TIMEOUT = 20.0


MOST_GPUS = 1024  # as _child.py has it, which is not imported here


def probe(machine: Machine) -> Nvml:
    names = load_names(machine, NVML)
    if not names:
        found = Nvml(source="nvml", status="LIBRARY_NOT_FOUND", message=not_found_words(NVML))
    else:
        found = _ask_nvml(machine, names)
    if found.status not in (None, "LIBRARY_NOT_FOUND", "LIBRARY_ERROR"):
        return found
    if find_nvidia_smi(machine) is None:
        return found
    from envdoctor.facts.probes import nvidia_smi  # hardly any machine without the library has it

    fallback = nvidia_smi.query(machine)
    if fallback is None or fallback.status in (None, "LIBRARY_NOT_FOUND"):
        return found
    return fallback


def _ask_nvml(machine: Machine, names: tuple[str, ...]) -> Nvml:
    from importlib.util import find_spec

    from envdoctor.facts.probes._ask import ask_child

    binding = find_spec("pynvml")
    if binding is None or binding.origin is None:
        return Nvml(source="nvml", message="nvidia-ml-py is missing from envdoctor's own environment")
    file = Path(binding.origin)
    folder = file.parents[1] if file.name == "__init__.py" else file.parent
    answer = ask_child(machine, "_nvml_child.py", *names, folders=(folder,), timeout=TIMEOUT)
    system = answer.collected("system")
    library = answer.library(machine)
    if library is not None:
        system["library"] = library
    elif answer.outcome == "ok":
        words, missing = answer.load_error()
        system |= {"status": "LIBRARY_NOT_FOUND" if missing else "LIBRARY_ERROR", "message": words}
    if answer.outcome in ("timeout", "crash"):
        system |= {"status": answer.outcome.upper(), "status_code": None, "message": answer.message}
    elif answer.outcome == "failed":
        system |= {"status": None, "status_code": None, "message": answer.message}
    return fitted(Nvml, {"source": "nvml", **system, "gpus": _gpus(answer)})


def _gpus(answer: ChildAnswer) -> tuple[Gpu, ...] | None:
    count = answer.last("count")
    if not isinstance(count, int) or count > MOST_GPUS:
        return None
    facts: list[dict[str, Any]] = [{"index": index, "unavailable": {}} for index in range(count)]
    for record in answer.records:
        if record.get("gpu") in range(count):
            facts[record["gpu"]] |= record.get("facts", {})
            facts[record["gpu"]]["unavailable"] |= record.get("unavailable", {})
    if answer.outcome == "ok":
        for gpu in facts:
            gpu.setdefault("lost", False)
    return all_fitted(Gpu, facts)
