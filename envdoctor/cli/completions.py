"""What the shell completes beside commands and options: diagnosis codes, GPU names, workloads.

click asks these while somebody types, so each imports only what it needs, and an error completes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress

import click

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def completer(names: Callable[[], Iterable[str]]) -> Completer:
    def complete(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
        try:
            known = list(names())
        except Exception:  # noqa: BLE001 - a message in the middle of a command line that is being typed helps nobody
            return []
        wanted = typed.lower()
        return [name for name in known if name.lower().startswith(wanted)]

    return complete


def _codes() -> Iterable[str]:
    from envdoctor.diagnosis.catalogue import all_diagnoses

    return (diagnosis.code for diagnosis in all_diagnoses())


def _gpus() -> Iterable[str]:
    """Names as one word of a shell, as far as the options understand them so: RTX-4090, H100-PCIe."""
    from envdoctor.knowledge import KnowledgeError, load

    world, words = load(), []
    for name in world.gpu_names:
        word = re.sub(r"^((NVIDIA|GeForce|Tesla)\s+)+", "", re.sub(r"(\d) GB\b", r"\1GB", name))
        word = re.sub(r"[^\w.]+", "-", word).strip("-")
        with suppress(KnowledgeError):  # short for several, or a letter glued to a number
            world.gpu(word)
            words.append(word)
    return sorted(set(words))


def _workloads() -> Iterable[str]:
    from envdoctor.bench import suites
    from envdoctor.facts.host import Machine

    return (workload.name for workload in suites.listing(Machine.here(), None).workloads)


codes = completer(_codes)
gpus = completer(_gpus)
workloads = completer(_workloads)
