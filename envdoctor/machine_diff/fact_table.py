"""A Snapshot as a flat table of facts that can be laid beside another machine's: named, and matched by what they are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections import driver, gpu, host, interpreter, software
from envdoctor.facts.sections.base import Facts
from envdoctor.planning.machine_gpus import MachineGpu

Value = str | int | float | bool | tuple[Any, ...]

# Known to be absent. False, () and '' of a Snapshot mean the same for facts that are lists or names.
ABSENT = False

# What a list's entries are about, and the field that says most of each.
_ENTRIES: dict[type, tuple[str, str]] = {
    driver.Package: ("name", "version"),
    driver.ModuleFile: ("kernel", "version"),
    driver.DkmsState: ("kernel", "state"),
    gpu.NvLink: ("link", "active"),
    gpu.CudaDevice: ("index", "name"),
    host.PciDevice: ("address", "device"),
    interpreter.Distribution: ("name", "version"),
    interpreter.CondaPackage: ("name", "version"),
    interpreter.BrokenPin: ("requirement", "installed"),
    interpreter.Duplicate: ("name", "versions"),
    interpreter.ShadowedModule: ("module", "path"),
    interpreter.ExtensionBuild: ("distribution", "torch"),
    interpreter.TorchDevice: ("index", "name"),
    software.Compiler: ("name", "version"),
}


class Comparable(msgspec.Struct):
    """The facts of one machine by their names; what is not in it is unknown."""

    facts: dict[str, Value] = {}
    parents: dict[str, str] = {}
    """Of a fact that belongs to an entry (a package's installer): the entry's own fact, without which it says nothing."""
    groups: dict[str, str] = {}
    """The list that a fact is an entry of."""
    complete: set[str] = set()
    """Lists of which everything is known: an entry that is not there is absent."""

    def put(self, name: str, value: Value | None, *, parent: str | None = None, group: str | None = None) -> None:
        if parent is not None:
            self.parents[name] = parent
        if group is not None:
            self.groups[name] = group
        if value is not None:
            self.facts.setdefault(name, ABSENT if value in ("", ()) else value)

    def entries(self, group: str, values: Iterable[tuple[str, Value | None]], *, parent: str | None = None) -> None:
        """A list, all of it, whose entries say one thing each."""
        self.complete.add(group)
        for key, value in values:
            self.put(f"{group}.{key}", value, parent=parent, group=group)


def comparable(snapshot: Snapshot, gpus: Sequence[tuple[int, MachineGpu, gpu.Gpu | None]] | None) -> Comparable:
    """The facts of a Snapshot, its GPUs under the numbers given."""
    table = Comparable()
    _versions(table, snapshot)
    _torch(table, snapshot)
    _gpus(table, gpus)
    _loader(table, snapshot)
    _lists(table, snapshot)
    for name in Snapshot.__struct_fields__:
        if name not in ("environment", "environment_complete", "probes"):
            _walk(table, name, getattr(snapshot, name))
    return table


def _versions(table: Comparable, snapshot: Snapshot) -> None:
    module = snapshot.driver.module if snapshot.driver else None
    version = snapshot.driver_version
    stopped = version is None and module is not None and module.loaded is False
    table.put("driver.version", ABSENT if stopped else version)
    if module is not None and module.loaded is False:
        table.put("driver.module.flavour", ABSENT)
    cuda = (snapshot.nvml and snapshot.nvml.cuda_version) or (snapshot.cuda_driver and snapshot.cuda_driver.version)
    table.put("driver.cuda", cuda or None)
    bound = snapshot.nvidia_devices
    if bound is not None and all(device.driver is not None for device in bound):
        table.put("pci.driver", tuple(sorted({device.driver or "none" for device in bound})))
    lines = snapshot.logs.lines if snapshot.logs and snapshot.logs.readable is not False else None
    if lines is not None:
        table.put("logs.xid", tuple(sorted({line.xid for line in lines if line.xid is not None})))


def _torch(table: Comparable, snapshot: Snapshot) -> None:
    torch = snapshot.torch
    if torch is None:
        if snapshot.interpreter and snapshot.interpreter.torch_installed is False:
            table.put("torch.version", ABSENT)
        return
    table.put("torch.version", torch.version)
    if torch.build is not None:
        table.put("torch.cuda", torch.cuda if torch.build == "cuda" else ABSENT, parent="torch.version")
        table.put("torch.hip", torch.hip if torch.build == "rocm" else ABSENT, parent="torch.version")
    run = torch.run
    if run is None:
        return
    if run.outcome == "ok":
        for name in ("error", "error_type", "signal", "stage", "exit_code"):
            table.put(f"torch.run.{name}", getattr(run, name) or ABSENT, parent="torch.version")
    if run.cuda_available:
        table.put("torch.run.cuda_error", run.cuda_error or ABSENT, parent="torch.version")
    if run.mapped is not None:
        origin = _Origin(snapshot)
        table.entries("torch.run.mapped", ((lib.name, origin.of(lib)) for lib in run.mapped), parent="torch.version")


class _Origin:
    """Where a mapped library comes from, in words that are the same wherever the environment lies."""

    def __init__(self, snapshot: Snapshot) -> None:
        prefix = snapshot.interpreter.prefix if snapshot.interpreter else None
        self._prefix = prefix.rstrip("/") + "/" if prefix and prefix not in ("/", "/usr") else None

    def of(self, library: interpreter.MappedLibrary) -> str:
        if library.distribution:
            place = f"of {library.distribution}"
        elif self._prefix and library.path.startswith(self._prefix):
            place = "of the environment"
        else:
            # The same system library lies in /usr/lib64 here and in /usr/lib/x86_64-linux-gnu there.
            system = library.path.startswith(("/lib", "/usr/lib"))
            place = "of the system" if system else f"at {library.path}"
        return f"{library.version} {place}" if library.version else place


def _gpus(table: Comparable, gpus: Sequence[tuple[int, MachineGpu, gpu.Gpu | None]] | None) -> None:
    if gpus is None:
        return
    table.complete.add("gpu")
    for number, known, detail in gpus:
        name = f"gpu.{number}"
        table.put(name, known.name, group="gpu")
        table.put(f"{name}.compute_capability", known.capability, parent=name)
        if detail is not None:
            for field in detail.__struct_fields__:
                _walk(table, f"{name}.{field}", getattr(detail, field), parent=name)


def _loader(table: Comparable, snapshot: Snapshot) -> None:
    """The environment; and which libraries would be found, by version: their folders differ from one distribution to another."""
    environment, libraries = snapshot.environment, snapshot.libraries
    if environment is not None:
        if snapshot.environment_complete:
            table.complete.add("environment")
        for name, value in environment.items():
            # A variable that is set and empty is not one that is unset: CUDA_VISIBLE_DEVICES= hides every GPU.
            table.put(f"environment.{name}", value or "(set and empty)", group="environment")
    for variable, paths in (
        ("LD_LIBRARY_PATH", libraries and libraries.ld_library_path),
        ("LD_PRELOAD", libraries and libraries.ld_preload),
    ):
        if paths and (environment is None or not snapshot.environment_complete):
            table.put(f"environment.{variable}", ":".join(paths), group="environment")
    if libraries is not None and libraries.files is not None:
        table.entries("libraries.files", _found((f.name, f.version, f.stub) for f in libraries.files))
    if snapshot.driver is not None and snapshot.driver.libraries is not None:
        table.entries("driver.libraries", _found((lib.name, lib.version, False) for lib in snapshot.driver.libraries))


def _found(files: Iterable[tuple[str, str | None, bool]]) -> Iterator[tuple[str, Value]]:
    """A library's versions in the loader's order, each once; one version alone is no list."""
    versions: dict[str, list[str]] = {}
    for name, version, stub in files:
        text = (version or "version not known") + (" (stub)" if stub else "")
        known = versions.setdefault(name, [])
        if text not in known:
            known.append(text)
    for name, texts in versions.items():
        yield name, texts[0] if len(texts) == 1 else tuple(texts)


def _lists(table: Comparable, snapshot: Snapshot) -> None:
    if snapshot.driver is not None and snapshot.driver.device_nodes is not None:
        nodes = ((n.path, n.exists and (n.error or "opens")) for n in snapshot.driver.device_nodes)
        table.entries("driver.device_nodes", nodes)
    if snapshot.toolkit is not None and snapshot.toolkit.nvcc is not None:
        table.put("toolkit.nvcc", tuple(nvcc.version or "version not known" for nvcc in snapshot.toolkit.nvcc))
    if snapshot.probes:
        table.entries("probes", ((p.name, p.outcome if p.error is None else p.error) for p in snapshot.probes))


# Lists that stand in the table in another form.
_ELSEWHERE = (
    driver.DriverLibrary, driver.DeviceNode, software.LibraryFile, software.Nvcc, interpreter.MappedLibrary, gpu.Gpu,
    host.LogLine,
)  # fmt: skip


def _walk(table: Comparable, name: str, value: object, parent: str | None = None) -> None:
    """Every other fact as it stands; one that has been put already keeps its value."""
    if name.startswith("interpreter.torch."):
        name = name.removeprefix("interpreter.")
        parent = None if name == "torch.version" else "torch.version"
    if isinstance(value, Facts):
        for field in value.__struct_fields__:
            if field != "distributions_complete":
                _walk(table, f"{name}.{field}", getattr(value, field), parent)
        if isinstance(value, interpreter.Interpreter) and not value.distributions_complete:
            table.complete.discard(f"{name}.distributions")
    elif isinstance(value, tuple) and value and isinstance(value[0], Facts):
        _list(table, name, value)
    elif isinstance(value, tuple) and not value:
        table.complete.add(name)
        table.put(name, value, parent=parent)
    elif isinstance(value, dict):
        for key, inner in value.items():
            table.put(f"{name}.{key}", inner, parent=parent)
    elif isinstance(value, (str, int, float, tuple)):
        table.put(name, value, parent=parent)


def _list(table: Comparable, name: str, entries: tuple[Facts, ...]) -> None:
    kind = type(entries[0])
    if kind in _ELSEWHERE:
        return
    key, head = _ENTRIES.get(kind, ("", ""))
    table.complete.add(name)
    for place, entry in enumerate(entries):
        about = f"{name}.{getattr(entry, key) if key else place}"
        if about in table.facts:
            continue  # the first wins, as on sys.path
        said = getattr(entry, head, None) if head else None
        nothing = "not installed" if kind is interpreter.BrokenPin else "there"
        table.put(about, nothing if said is None else said, group=name)
        for field in entry.__struct_fields__:
            if field not in (key, head):
                _walk(table, f"{about}.{field}", getattr(entry, field), parent=about)
