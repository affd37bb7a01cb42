"""What well-known GPUs say of themselves when idle and healthy: plausible defaults for a `FakeGpu`.

Names, device ids, capabilities and board power are those of NVIDIA's driver README and specifications; memory is what
NVML reports in total. Nothing is tested against these numbers: they only keep a simulated machine believable.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """A board: memory in MiB (None where NVML cannot say), power in watts, clocks in MHz."""

    capability: tuple[int, int]
    memory: int | None
    power: int | None
    sm_clock: int
    memory_clock: int | None
    pcie: int
    device: str
    ecc: bool = True
    fan: bool = False
    mig: int = 0
    """How many MIG instances it can be cut into; 0 where it has no MIG."""
    nvlinks: int = 0
    nvlink_version: int = 0
    """NVML's number for the link's version: 6 means NVLink 4.0."""
    fabric: bool = False


BOARDS = {
    "NVIDIA B300 SXM6 AC": Board(
        (10, 3), 275040, 1400, 1920, 3996, 6, "3182", mig=7, nvlinks=18, nvlink_version=7, fabric=True
    ),
    "NVIDIA B200": Board(
        (10, 0), 183359, 1000, 1965, 3996, 6, "2901", mig=7, nvlinks=18, nvlink_version=7, fabric=True
    ),
    "NVIDIA H200": Board((9, 0), 143771, 700, 1980, 3201, 5, "2335", mig=7, nvlinks=18, nvlink_version=6, fabric=True),
    "NVIDIA H100 80GB HBM3": Board(
        (9, 0), 81559, 700, 1980, 2619, 5, "2330", mig=7, nvlinks=18, nvlink_version=6, fabric=True
    ),
    "NVIDIA H100 PCIe": Board((9, 0), 81559, 350, 1755, 1593, 5, "2331", mig=7),
    "NVIDIA A100-SXM4-80GB": Board((8, 0), 81920, 400, 1410, 1593, 4, "20B2", mig=7, nvlinks=12, nvlink_version=5),
    "NVIDIA A100-SXM4-40GB": Board((8, 0), 40960, 400, 1410, 1215, 4, "20B0", mig=7, nvlinks=12, nvlink_version=5),
    "NVIDIA A10G": Board((8, 6), 23028, 300, 1710, 6251, 4, "2237"),
    "NVIDIA L4": Board((8, 9), 23034, 72, 2040, 6251, 4, "27B8"),
    "NVIDIA L40S": Board((8, 9), 46068, 350, 2520, 9001, 4, "26B9"),
    "NVIDIA RTX A6000": Board((8, 6), 49140, 300, 2100, 8001, 4, "2230", fan=True),
    "NVIDIA GeForce RTX 5090": Board((12, 0), 32607, 575, 3090, 14001, 5, "2B85", ecc=False, fan=True),
    "NVIDIA GeForce RTX 4090": Board((8, 9), 24564, 450, 3105, 10501, 4, "2684", ecc=False, fan=True),
    "NVIDIA GeForce RTX 3090": Board((8, 6), 24576, 350, 2100, 9751, 4, "2204", ecc=False, fan=True),
    "NVIDIA GeForce RTX 2080 Ti": Board((7, 5), 11264, 250, 2100, 7000, 3, "1E04", ecc=False, fan=True),
    "NVIDIA GeForce GTX 1080 Ti": Board((6, 1), 11264, 250, 2025, 5505, 3, "1B06", ecc=False, fan=True),
    "NVIDIA GB10": Board((12, 1), None, None, 3003, None, 5, "2E12", ecc=False),
    "Tesla T4": Board((7, 5), 15360, 70, 1590, 5001, 3, "1EB8"),
    "Tesla V100-SXM2-16GB": Board((7, 0), 16384, 300, 1530, 877, 3, "1DB1", nvlinks=6, nvlink_version=2),
    "Tesla P100-PCIE-16GB": Board((6, 0), 16384, 250, 1328, 715, 3, "15F8"),
    "Tesla K80": Board((3, 7), 11441, 149, 875, 2505, 3, "102D"),
}
