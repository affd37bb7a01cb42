"""A Snapshot without what is private: for sharing, so that somebody else can diagnose the machine.

Names of users, groups and hosts, serial numbers, UUIDs, addresses, passwords and the values of environment variables that
are not known to be harmless become placeholders; the same thing becomes the same placeholder everywhere, so that facts that
agreed still agree. No version, name or number that a diagnosis judges is touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from envdoctor.facts.anonymizer import REDACTED, Anonymizer
from envdoctor.facts.model import Snapshot

# Variables whose values are paths, numbers and switches; private parts inside these are taken out as in any text.
_SAFE = re.compile(
    r"(?:CUDA|CUDNN|CUBLAS|CUBLASLT|NVIDIA|NCCL|NVTE|NVCC|NVSHMEM|NVRTC|GPU|TORCH|TORCHINDUCTOR|TORCHDYNAMO|PYTORCH|TRITON"
    r"|OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|XLA|HIP|ROCM|ROCR|HSA|SYCL|ONEAPI|ZE|UCX|FI|PIP|UV|CONDA|MAMBA)_[A-Z0-9_]+"
    r"|LD_(?:LIBRARY_PATH|PRELOAD|AUDIT|BIND_NOW|DEBUG)|DYLD_(?:LIBRARY_PATH|INSERT_LIBRARIES)|PATH|LIBRARY_PATH|CPATH"
    r"|C_INCLUDE_PATH|CPLUS_INCLUDE_PATH|PYTHON(?:PATH|HOME|NOUSERSITE|USERBASE|STARTUP|SAFEPATH|WARNINGS|MALLOC)"
    r"|VIRTUAL_ENV|CC|CXX|CUDAHOSTCXX|CUDACXX|CFLAGS|CXXFLAGS|LDFLAGS|MAX_JOBS|MALLOC_ARENA_MAX|GLIBC_TUNABLES"
    r"|ALLOW_TF32|HF_HOME|XDG_CACHE_HOME|TMPDIR|LANG|LC_ALL|PATHEXT|PROCESSOR_ARCHITECTURE|WSL_DISTRO_NAME"
)
# A family's own exceptions: names of indexes, users, secrets.
_UNSAFE = re.compile(
    r".*(?:TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|USERNAME|AUTH|PROXY|NETRC).*|UV_INDEX_.+_.+|NCCL_COMM_ID|.*_(?:HOSTS?|ADDR|DOMAIN)"
)
# Values that give nobody away, whatever the variable is called.
_HARMLESS = re.compile(r"|\d{1,9}(?:,\d{1,9})*|true|false|yes|no|on|off|none|all|localhost", re.IGNORECASE)
# Ubuntu names the key that it makes for signing modules after the machine.
_MACHINE_OWNER_KEY = re.compile(r"(\S+)( Secure Boot Module Signature key)")


def redact(snapshot: Snapshot, *, names: Iterable[str] | None = None) -> Snapshot:
    """The Snapshot with placeholders for what is private, and `redacted` set. Redacting twice changes nothing more.

    `names` are further names of users and hosts to take out; left out, they are those of the machine that this runs on.
    """
    hidden = Anonymizer(_local_names() if names is None else names)
    facts: dict[str, Any] = msgspec.to_builtins(snapshot)
    texts = tuple(_strings(facts))
    for text in texts:
        hidden.reserve(text)
    for text in texts:
        hidden.learn(text)
    for gpu in (snapshot.nvml.gpus if snapshot.nvml else None) or ():
        for uuid in (gpu.uuid, *(instance.uuid for instance in gpu.mig_instances or ())):
            if uuid:
                hidden.learn_device(uuid)
        if gpu.serial:
            hidden.learn_serial(gpu.serial)
    environment = facts.pop("environment", None)
    redacted = _redact(facts, msgspec.inspect.type_info(Snapshot), hidden)
    if environment is not None:
        redacted["environment"] = _environment(environment, hidden)
    return msgspec.convert({**redacted, "redacted": True}, Snapshot)


def _strings(value: Any) -> Iterator[str]:
    """Every string in the facts, those of the environment included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)


def _redact(value: Any, kind: msgspec.inspect.Type, hidden: Anonymizer) -> Any:
    """The value without what is private, by the type of its field: what that says it holds, else by what is found in it."""
    holds = "text"
    if isinstance(kind, msgspec.inspect.UnionType):  # all of ours are of one type and None
        kind = next(one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType))
    if isinstance(kind, msgspec.inspect.Metadata):
        holds, kind = (kind.extra or {}).get("holds", "text"), kind.type
    if isinstance(value, str):
        return _HOLDING[holds](hidden, value)
    if isinstance(value, dict) and isinstance(kind, msgspec.inspect.StructType):
        known = {field.encode_name: field.type for field in kind.fields}
        # Only the tag is no field.
        return {name: _redact(inner, known[name], hidden) if name in known else inner for name, inner in value.items()}
    if isinstance(value, dict) and isinstance(kind, msgspec.inspect.DictType):
        return {name: _redact(inner, kind.value_type, hidden) for name, inner in value.items()}
    if isinstance(value, (list, tuple)) and isinstance(kind, msgspec.inspect.VarTupleType):
        return [_redact(inner, kind.item_type, hidden) for inner in value]
    return value


def _signer(hidden: Anonymizer, text: str) -> str:
    owner = _MACHINE_OWNER_KEY.fullmatch(text)
    return f"{hidden.host(owner[1])}{owner[2]}" if owner else text


_HOLDING: dict[str, Callable[[Anonymizer, str], str]] = {
    "text": lambda hidden, text: hidden.text(text),
    "exact": lambda _, text: text,
    "serial": Anonymizer.serial,
    "uuid": Anonymizer.uuids,
    "user": Anonymizer.user,
    "group": Anonymizer.group,
    "signer": _signer,
}


def _environment(variables: dict[str, str], hidden: Anonymizer) -> dict[str, str]:
    """Unsafe values are hidden, for that a variable is set is a fact; names that no family knows are left out."""
    kept = {}
    for name, value in variables.items():
        if _HARMLESS.fullmatch(value) or value == REDACTED:
            kept[name] = value
        elif _SAFE.fullmatch(name) and not _UNSAFE.fullmatch(name):
            versioned = re.search(r"VERSION|REQUIRE|ARCH_LIST", name) is not None
            cleaned = value if versioned else hidden.text(value)
            kept[name] = hidden.devices(cleaned) if "VISIBLE_DEVICES" in name else cleaned
        else:
            kept[name] = REDACTED
    return kept


def _local_names() -> tuple[str, ...]:
    """The names of this machine and of its user."""
    import getpass
    import socket

    host = socket.gethostname()
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user id without a name, as containers have
        user = ""
    return tuple(name for name in (user, host, host.partition(".")[0]) if name)
