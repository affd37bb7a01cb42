"""One GPU being asked through nvidia-ml-py, each answer printed as it comes (imported by the NVML child)."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import pynvml

from envdoctor.facts.probes._child import say
from envdoctor.facts.probes._nvml_fields import HEALTH, MEMORY_CALLS, Call, CallRefused, Row

ERRORS: dict[int, str] = {
    value: name.removeprefix("NVML_ERROR_")
    for name, value in vars(pynvml).items()
    if name.startswith("NVML_ERROR_") and isinstance(value, int)
}
CODES = {name: code for code, name in ERRORS.items()}
LACKING = "FUNCTION_NOT_FOUND"
FABRIC_STATES = {0: "not_supported", 1: "not_started", 2: "in_progress", 3: "completed"}
# nvmlNvlinkVersion_t counts 2.2 and 3.1 too; what is kept is the generation.
NVLINK_GENERATIONS = {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 5, 8: 6}
NVLINK_COUNTERS = range(4)  # replay, recovery, CRC of flow control, CRC of data
MOST_MIG_INSTANCES = 64  # seven are the most of any GPU so far
MAX_NVLINKS = 36  # NVML_NVLINK_MAX_LINKS
RETIREMENT_CAUSES = range(2)  # several single-bit errors, one double-bit error


def name_of(code: int) -> str:
    return ERRORS.get(code, f"ERROR_{code}")


def first_answer(*attempts: Callable[[], Any]) -> Any:
    """The first answer there is. Raises the first CallRefused that is not the lack of a function, else the first."""
    refusals = []
    for attempt in attempts:
        answer = _outcome(attempt)
        if not isinstance(answer, CallRefused):
            return answer
        refusals.append(answer)
    raise next((refused for refused in refusals if str(refused) != LACKING), refusals[0])


def _outcome(attempt: Callable[[], Any]) -> Any:
    try:
        return attempt()
    except CallRefused as refused:
        return refused


def ask(function: str, *arguments: object, gpu: int | None = None) -> Any:
    """Calls a function of nvidia-ml-py. Raises CallRefused when the driver, or a binding older than the call, has no answer."""
    say(call=function, of=gpu)
    try:
        return getattr(pynvml, function)(*arguments)
    except pynvml.NVMLError as error:
        raise CallRefused(name_of(error.value)) from error
    except (AttributeError, pynvml.NVMLLibraryMismatchError) as error:
        raise CallRefused(LACKING) from error
    except UnicodeDecodeError as error:
        raise CallRefused("NOT_UTF_8") from error


class NvmlDevice:
    """One GPU being asked."""

    def __init__(self, index: int, handle: object) -> None:
        self.index = index
        self.handle = handle

    def ask(self, function: str, *arguments: object) -> Any:
        try:
            return ask(function, self.handle, *arguments, gpu=self.index)
        except CallRefused as refused:
            if str(refused) == "GPU_IS_LOST":
                say(gpu=self.index, facts={"lost": True})
            raise

    def ask_first(self, calls: tuple[Call, ...]) -> Any:
        return first_answer(*(partial(self.ask, *call) for call in calls))

    def tell(self, fields: str, find: Callable[[], Any]) -> None:
        """Prints what `find` returns as the value of the field, or of each of the fields; or why there is none."""
        names = fields.split()
        try:
            found = find()
        except CallRefused as refused:
            say(gpu=self.index, unavailable=dict.fromkeys(names, str(refused)))
        except ValueError as error:  # an answer that makes no sense
            say(gpu=self.index, unavailable=dict.fromkeys(names, f"UNREADABLE: {error}"))
        else:
            values = found if len(names) > 1 else (found,)
            say(gpu=self.index, facts=dict(zip(names, values, strict=True)))

    def tell_rows(self, rows: tuple[Row, ...]) -> None:
        for fields, meaning, calls in rows:
            self.tell(fields, partial(self.answer, meaning, calls))

    def answer(self, meaning: Callable[[Any], object], calls: tuple[Call, ...]) -> object:
        return meaning(self.ask_first(calls))

    def tell_health(self) -> None:
        self.tell_rows(HEALTH)
        self.tell("pages_retired", self.pages_retired)
        self.tell("mig_instances", self.mig_instances)
        self.tell("processes", self.processes)
        self.tell("nvlinks", self.nvlinks)
        self.tell("fabric_state fabric_status", self.fabric)

    def pages_retired(self) -> int:
        return sum(len(self.ask("nvmlDeviceGetRetiredPages", cause)) for cause in RETIREMENT_CAUSES)

    def mig_instances(self) -> list[dict[str, object]]:
        try:
            enabled, _ = self.ask("nvmlDeviceGetMigMode")
        except CallRefused as refused:
            if str(refused) in ("NOT_SUPPORTED", LACKING):
                return []
            raise
        instances = []
        places = self.ask("nvmlDeviceGetMaxMigDeviceCount") if enabled else 0
        for index in range(min(places, MOST_MIG_INSTANCES)):
            try:
                handle = self.ask("nvmlDeviceGetMigDeviceHandleByIndex", index)
            except CallRefused as refused:
                if str(refused) in ("NOT_FOUND", "INVALID_ARGUMENT"):
                    continue  # no instance in this place
                raise
            instance = NvmlDevice(self.index, handle)
            facts: dict[str, object] = {}
            with contextlib.suppress(CallRefused):
                facts["uuid"] = instance.ask("nvmlDeviceGetUUID")
            with contextlib.suppress(CallRefused):
                facts["name"] = instance.ask("nvmlDeviceGetName")
            with contextlib.suppress(CallRefused):
                memory = instance.ask_first(MEMORY_CALLS)
                facts["memory_total"] = memory.total
            instances.append(facts)
        return instances

    def processes(self) -> list[dict[str, object]]:
        found = []
        for kind in ("compute", "graphics"):
            function = f"nvmlDeviceGet{kind.capitalize()}RunningProcesses"
            try:
                answers = self.ask_first(((f"{function}_v3",), (f"{function}_v2",)))
            except CallRefused:
                if kind == "graphics":  # a GPU without a display engine need not know any
                    continue
                raise
            for process in answers:
                facts = {"pid": process.pid, "memory": process.usedGpuMemory, "kind": kind}
                with contextlib.suppress(CallRefused):  # it may live in another PID namespace
                    facts["name"] = ask("nvmlSystemGetProcessName", process.pid, gpu=self.index)
                found.append(facts)
        return found

    def nvlinks(self) -> list[dict[str, object]]:
        links: list[dict[str, object]] = []
        for link in range(MAX_NVLINKS):
            try:
                active = bool(self.ask("nvmlDeviceGetNvLinkState", link))
            except CallRefused as refused:
                if str(refused) == "NOT_SUPPORTED":
                    continue  # no link in this place
                if str(refused) == "INVALID_ARGUMENT":
                    break  # beyond the last place
                raise
            facts: dict[str, object] = {"link": link, "active": active}
            with contextlib.suppress(CallRefused):
                facts["version"] = NVLINK_GENERATIONS.get(self.ask("nvmlDeviceGetNvLinkVersion", link))
            counts = []
            for counter in NVLINK_COUNTERS:
                with contextlib.suppress(CallRefused):
                    counts.append(self.ask("nvmlDeviceGetNvLinkErrorCounter", link, counter))
            links.append({**facts, "errors": sum(counts) if counts else None})
        return links

    def fabric(self) -> tuple[str | None, str | None]:
        answer: tuple[str | None, str | None] = first_answer(
            partial(self.fabric_by, "nvmlDeviceGetGpuFabricInfoV", "c_nvmlGpuFabricInfo_v2_t"),
            partial(self.fabric_by, "nvmlDeviceGetGpuFabricInfo", "c_nvmlGpuFabricInfo_t"),
        )
        return answer

    def fabric_by(self, function: str, structure: str) -> tuple[str | None, str | None]:
        if not hasattr(pynvml, structure):
            raise CallRefused(LACKING)
        info = getattr(pynvml, structure)()
        self.ask(function, ctypes.byref(info))
        state = FABRIC_STATES.get(info.state & 0xFF)  # nvml.h says char; nvidia-ml-py reads its padding too
        status = "success" if info.status == 0 else name_of(info.status)
        return state, status if state == "completed" else None
