"""Which NVML function knows which field of the Gpu section, and what its answer means (imported by the NVML child).

A row is the fields, the meaning of the answer (one value, or a tuple where there are several fields), and the calls to
try in turn: NVML renames functions, and the library of an old driver lacks the new names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = tuple[Any, ...]
"""A function of nvidia-ml-py and its arguments after the handle."""
Row = tuple[str, Callable[[Any], object], tuple[Call, ...]]

MEMORY_V2 = 0x02000028  # the structure's version and size, as nvml.h composes them
MEMORY_CALLS: tuple[Call, ...] = (("nvmlDeviceGetMemoryInfo", MEMORY_V2), ("nvmlDeviceGetMemoryInfo",))
GRAPHICS, SM, MEMORY = 0, 1, 2
SENSOR_GPU, SHUTDOWN, SLOWDOWN = 0, 0, 1
CORRECTED, UNCORRECTED = 0, 1
VOLATILE, AGGREGATE = 0, 1
PSTATE_UNKNOWN = 32

ARCHITECTURES = {
    2: "Kepler",
    3: "Maxwell",
    4: "Pascal",
    5: "Volta",
    6: "Turing",
    7: "Ampere",
    8: "Ada",
    9: "Hopper",
    10: "Blackwell",
    13: "Rubin",
}
COMPUTE_MODES = {0: "default", 1: "exclusive_thread", 2: "prohibited", 3: "exclusive_process"}
THROTTLE_REASONS = {
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}


class CallRefused(Exception):
    """A call that gave no answer; its argument is the error's name."""


def _plain(answer: Any) -> object:
    if answer == 0xFFFFFFFF:  # NVML's number for "not available" in fields of 32 bits
        raise CallRefused("NOT_AVAILABLE")
    return answer


def _flag(answer: Any) -> object:
    return bool(answer)


def _flags(answer: Any) -> object:
    return tuple(bool(value) for value in answer)


def _watts(answer: Any) -> object:
    return _plain(answer) and answer / 1000


def _pci(answer: Any) -> object:
    domain, _, rest = answer.busId.lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}", f"{answer.pciDeviceId >> 16:04x}"


def _named(names: dict[int, str]) -> Callable[[Any], object]:
    return names.get


def _performance_state(answer: Any) -> object:
    if answer == PSTATE_UNKNOWN:
        raise CallRefused("UNKNOWN")
    return answer


def throttle_reasons(bits: int) -> tuple[str, ...]:
    """The names of the reasons, lowest bit first. A bit that has no name yet is written as a number."""
    known = tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)
    rest = bits & ~sum(THROTTLE_REASONS)
    return (*known, f"{rest:#x}") if rest else known


IDENTITY: tuple[Row, ...] = (
    ("name", _plain, (("nvmlDeviceGetName",),)),
    ("uuid", _plain, (("nvmlDeviceGetUUID",),)),
    ("pci_address pci_device", _pci, (("nvmlDeviceGetPciInfo",),)),
    ("compute_capability", lambda answer: f"{answer[0]}.{answer[1]}", (("nvmlDeviceGetCudaComputeCapability",),)),
    ("architecture", _named(ARCHITECTURES), (("nvmlDeviceGetArchitecture",),)),
    (
        # The first version of the structure counts what the driver reserves for itself as used.
        "memory_total memory_used memory_free",
        lambda answer: (answer.total, answer.used, answer.free),
        MEMORY_CALLS,
    ),
    ("serial", _plain, (("nvmlDeviceGetSerial",),)),
    ("vbios", _plain, (("nvmlDeviceGetVbiosVersion",),)),
)

HEALTH: tuple[Row, ...] = (
    ("bar1_total", lambda answer: answer.bar1Total, (("nvmlDeviceGetBAR1MemoryInfo",),)),
    ("sm_clock", _plain, (("nvmlDeviceGetClockInfo", SM),)),
    ("sm_clock_max", _plain, (("nvmlDeviceGetMaxClockInfo", SM),)),
    ("memory_clock", _plain, (("nvmlDeviceGetClockInfo", MEMORY),)),
    ("memory_clock_max", _plain, (("nvmlDeviceGetMaxClockInfo", MEMORY),)),
    ("application_sm_clock", _plain, (("nvmlDeviceGetApplicationsClock", GRAPHICS),)),
    ("performance_state", _performance_state, (("nvmlDeviceGetPerformanceState",),)),
    (
        "throttle_reasons",
        throttle_reasons,
        (("nvmlDeviceGetCurrentClocksEventReasons",), ("nvmlDeviceGetCurrentClocksThrottleReasons",)),
    ),
    ("utilization", lambda answer: answer.gpu, (("nvmlDeviceGetUtilizationRates",),)),
    ("power_draw", _watts, (("nvmlDeviceGetPowerUsage",),)),
    ("power_limit", _watts, (("nvmlDeviceGetPowerManagementLimit",), ("nvmlDeviceGetEnforcedPowerLimit",))),
    ("power_limit_default", _watts, (("nvmlDeviceGetPowerManagementDefaultLimit",),)),
    (
        "power_limit_min power_limit_max",
        lambda answer: tuple(map(_watts, answer)),
        (("nvmlDeviceGetPowerManagementLimitConstraints",),),
    ),
    (
        "temperature",
        _plain,
        (("nvmlDeviceGetTemperatureV", SENSOR_GPU), ("nvmlDeviceGetTemperature", SENSOR_GPU)),
    ),
    ("temperature_slowdown", _plain, (("nvmlDeviceGetTemperatureThreshold", SLOWDOWN),)),
    ("temperature_shutdown", _plain, (("nvmlDeviceGetTemperatureThreshold", SHUTDOWN),)),
    ("fan_percent", _plain, (("nvmlDeviceGetFanSpeed",),)),
    ("ecc_enabled ecc_pending", _flags, (("nvmlDeviceGetEccMode",),)),
    ("ecc_uncorrected_volatile", _plain, (("nvmlDeviceGetTotalEccErrors", UNCORRECTED, VOLATILE),)),
    ("ecc_uncorrected_aggregate", _plain, (("nvmlDeviceGetTotalEccErrors", UNCORRECTED, AGGREGATE),)),
    ("ecc_corrected_volatile", _plain, (("nvmlDeviceGetTotalEccErrors", CORRECTED, VOLATILE),)),
    (
        "rows_remapped_correctable rows_remapped_uncorrectable row_remap_pending row_remap_failed",
        lambda answer: (answer[0], answer[1], bool(answer[2]), bool(answer[3])),
        (("nvmlDeviceGetRemappedRows",),),
    ),
    ("page_retirement_pending", _flag, (("nvmlDeviceGetRetiredPagesPendingStatus",),)),
    ("pcie_generation", _plain, (("nvmlDeviceGetCurrPcieLinkGeneration",),)),
    ("pcie_generation_max", _plain, (("nvmlDeviceGetMaxPcieLinkGeneration",),)),
    ("pcie_generation_gpu_max", _plain, (("nvmlDeviceGetGpuMaxPcieLinkGeneration",),)),
    ("pcie_width", _plain, (("nvmlDeviceGetCurrPcieLinkWidth",),)),
    ("pcie_width_max", _plain, (("nvmlDeviceGetMaxPcieLinkWidth",),)),
    ("mig_enabled mig_pending", _flags, (("nvmlDeviceGetMigMode",),)),
    ("compute_mode", _named(COMPUTE_MODES), (("nvmlDeviceGetComputeMode",),)),
    ("persistence_mode", _flag, (("nvmlDeviceGetPersistenceMode",),)),
)
