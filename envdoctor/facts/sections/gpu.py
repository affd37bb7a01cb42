"""What the driver's own interfaces say: NVML for every GPU, and the CUDA driver API's start."""

from __future__ import annotations

import msgspec

from envdoctor.facts.sections.base import Exact, Facts, Serial, Uuid


class GpuProcess(Facts, frozen=True, kw_only=True):
    """A process that holds memory on a GPU."""

    pid: int
    name: str | None = None
    memory: int | None = None
    kind: Exact | None = None
    """'compute' or 'graphics'."""


class NvLink(Facts, frozen=True, kw_only=True):
    """One NVLink of a GPU."""

    link: int
    active: bool | None = None
    version: int | None = None
    errors: int | None = None
    """Sum of the replay, recovery and CRC error counters."""


class MigInstance(Facts, frozen=True, kw_only=True):
    """A MIG compute instance."""

    uuid: Uuid | None = None
    name: Exact | None = None
    memory_total: int | None = None


class Gpu(Facts, frozen=True, kw_only=True):
    """One GPU as NVML sees it. Sizes in bytes, clocks in MHz, power in watts, temperatures in degrees Celsius."""

    index: int
    name: Exact | None = None
    uuid: Uuid | None = None
    serial: Serial | None = None
    vbios: Exact | None = None
    architecture: Exact | None = None
    pci_address: Exact | None = None
    """'0000:65:00.0', as in PciDevice.address."""
    pci_device: Exact | None = None
    """PCI device id, four lower-case hexadecimal digits."""
    compute_capability: Exact | None = None
    """'9.0'."""
    lost: bool | None = None
    """NVML answered GPU_IS_LOST for it."""

    memory_total: int | None = None
    memory_used: int | None = None
    memory_free: int | None = None
    bar1_total: int | None = None

    sm_clock: int | None = None
    sm_clock_max: int | None = None
    memory_clock: int | None = None
    memory_clock_max: int | None = None
    application_sm_clock: int | None = None
    performance_state: int | None = None
    """P-state: 0 (full speed) to 15."""
    throttle_reasons: tuple[Exact, ...] | None = None
    """NVML's names in lower case: gpu_idle, sw_power_cap, hw_slowdown, hw_thermal_slowdown, hw_power_brake_slowdown,
    sw_thermal_slowdown, applications_clocks_setting, sync_boost, display_clock_setting."""
    utilization: int | None = None
    """Percent of the last sample period in which a kernel ran."""

    power_draw: float | None = None
    power_limit: float | None = None
    power_limit_default: float | None = None
    power_limit_min: float | None = None
    power_limit_max: float | None = None
    temperature: int | None = None
    temperature_slowdown: int | None = None
    temperature_shutdown: int | None = None
    fan_percent: int | None = None

    ecc_enabled: bool | None = None
    ecc_pending: bool | None = None
    ecc_uncorrected_volatile: int | None = None
    ecc_uncorrected_aggregate: int | None = None
    ecc_corrected_volatile: int | None = None
    rows_remapped_correctable: int | None = None
    rows_remapped_uncorrectable: int | None = None
    row_remap_pending: bool | None = None
    row_remap_failed: bool | None = None
    pages_retired: int | None = None
    page_retirement_pending: bool | None = None

    pcie_generation: int | None = None
    pcie_generation_max: int | None = None
    """What GPU and slot can do together."""
    pcie_generation_gpu_max: int | None = None
    """What the GPU alone can do."""
    pcie_width: int | None = None
    pcie_width_max: int | None = None

    mig_enabled: bool | None = None
    mig_pending: bool | None = None
    mig_instances: tuple[MigInstance, ...] | None = None
    compute_mode: Exact | None = None
    """default, exclusive_process, exclusive_thread or prohibited."""
    persistence_mode: bool | None = None
    processes: tuple[GpuProcess, ...] | None = None
    nvlinks: tuple[NvLink, ...] | None = None
    fabric_state: Exact | None = None
    """NVSwitch fabric registration: not_supported, not_started, in_progress, completed."""
    fabric_status: Exact | None = None
    """'success', or NVML's error name once the registration has completed."""

    unavailable: dict[str, Exact] = msgspec.field(default_factory=dict)
    """Fields that NVML could not give, with its error's name: {'memory_total': 'NOT_SUPPORTED'}."""


class Nvml(Facts, frozen=True, kw_only=True):
    """How NVML (or, failing it, nvidia-smi) answered."""

    source: Exact | None = None
    """'nvml' or 'nvidia-smi'."""
    library: str | None = None
    """The file that was loaded."""
    status: Exact | None = None
    """'SUCCESS', or the name of the error: LIBRARY_NOT_FOUND (the loader found none), LIB_RM_VERSION_MISMATCH, DRIVER_NOT_LOADED,
    NO_PERMISSION, GPU_IS_LOST, UNKNOWN, ... ; 'TIMEOUT' and 'CRASH' when the child process hung or died."""
    status_code: int | None = None
    """NVML's error number (nvmlReturn_t)."""
    message: str | None = None
    driver_version: Exact | None = None
    cuda_version: Exact | None = None
    """The newest CUDA that the driver knows: '13.0'."""
    nvml_version: Exact | None = None
    gpus: tuple[Gpu, ...] | None = None

    @property
    def working(self) -> bool | None:
        return None if self.status is None else self.status == "SUCCESS"


class CudaDevice(Facts, frozen=True, kw_only=True):
    """One device as the CUDA driver API lists it (after CUDA_VISIBLE_DEVICES)."""

    index: int
    name: Exact | None = None
    compute_capability: Exact | None = None
    memory_total: int | None = None
    uuid: Uuid | None = None


class CudaDriver(Facts, frozen=True, kw_only=True):
    """What `cuInit` and `cuDriverGetVersion` answered in a child process, with the environment as it is."""

    library: str | None = None
    """The libcuda.so.1 that the loader picked, from /proc/self/maps."""
    load_error: str | None = None
    """The loader's words when it picked none."""
    library_missing: bool | None = None
    init_code: int | None = None
    """CUresult of cuInit: 0 success, 100 no device, 802 system not ready, 803 driver mismatch, 804 compat not supported,
    999 unknown."""
    init_name: Exact | None = None
    """CUDA_SUCCESS, CUDA_ERROR_NO_DEVICE, ..."""
    version: Exact | None = None
    """The newest CUDA that this libcuda knows: '13.0'."""
    device_count: int | None = None
    devices: tuple[CudaDevice, ...] | None = None
    outcome: Exact | None = None
    """'ok' (it answered, whatever it said), 'timeout' or 'crash'."""
    message: str | None = None
