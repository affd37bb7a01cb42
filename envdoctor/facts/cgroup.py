"""Limits that control groups put on this process, of both versions.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/
"""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.facts.host import Machine

# Version 1 writes "no limit" as the largest multiple of the page size in 63 bits.
_UNLIMITED = 1 << 62


def _values(machine: Machine, controller: str, old: str, new: str) -> Iterator[str]:
    """The contents of a limit's file in this process's group and in all groups above it."""
    for line in (machine.read("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0":
            mounts, file = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), new
        elif controller in names.split(","):
            mounts, file = (f"/sys/fs/cgroup/{names}", f"/sys/fs/cgroup/{controller}"), old
        else:
            continue
        for mount in mounts:
            # Inside a container the path may be the host's, which the mount does not show: then its root is our group.
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts), -1, -1):
                value = machine.read("/".join([mount, *parts[:depth], file]))
                if value:
                    yield value


def memory_limit(machine: Machine) -> int | None:
    """The smallest memory limit in bytes; None where there is none."""
    values = _values(machine, "memory", "memory.limit_in_bytes", "memory.max")
    limits = [int(value) for value in values if value.isdecimal()]
    return min((limit for limit in limits if limit < _UNLIMITED), default=None)


def processors(machine: Machine) -> float | None:
    """How many processors' time this process may use; None where no quota is set."""
    quotas = []
    for value in _values(machine, "cpu", "cpu.cfs_quota_us", "cpu.max"):
        quota, _, period = value.partition(" ")
        # Version 1 keeps the period in another file; 100 ms is its default and what every container engine sets.
        if quota.isdecimal() and int(quota) > 0:
            quotas.append(int(quota) / (int(period) if period.isdecimal() and int(period) else 100_000))
    return min(quotas, default=None)
