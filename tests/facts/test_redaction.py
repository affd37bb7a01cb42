"""A shared Snapshot gives nobody away, and is judged like the original."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.engine import diagnose
from envdoctor.facts.anonymizer import Anonymizer
from envdoctor.facts.model import Snapshot
from envdoctor.facts.probes import container, driver, environment, host, libraries, logs, pci, toolkit
from envdoctor.facts.redaction import redact
from envdoctor.facts.sections.driver import DeviceNode, Driver, DriverLibrary, KernelModule, ModuleFile, Package
from envdoctor.facts.sections.gpu import CudaDevice, CudaDriver, Gpu, GpuProcess, MigInstance, Nvml
from envdoctor.facts.sections.host import Host, LogLine, Logs
from envdoctor.facts.sections.interpreter import BrokenPin, Distribution, Interpreter, MappedLibrary, Torch, TorchRun
from envdoctor.facts.sections.software import Compiler, Libraries, LibraryFile, Nvcc, Toolkit
from envdoctor.knowledge import load
from tests import simulated
from tests.sysroot import Sysroot

UUID = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"
OTHER = "GPU-1f2e3d4c-0000-4106-c12f-20bd9faed9f7"
MIG = "MIG-41b3c2d1-5a6b-5c7d-8e9f-0a1b2c3d4e5f"
NAMES = ("mallory", "gpu-rack-17")  # of the machine that redacts; fixed, so that results are


def public(snapshot: Snapshot) -> str:
    return msgspec.json.encode(redact(snapshot, names=NAMES)).decode()


def text_of(text: str) -> str:
    """An error text after redaction."""
    found = redact(Snapshot(nvml=Nvml(message=text)), names=NAMES).nvml
    assert found is not None
    assert found.message is not None
    return found.message


def environment_of(**variables: str) -> dict[str, str]:
    found = redact(Snapshot(environment=variables), names=NAMES).environment
    assert found is not None
    return found


# --- what must go ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/alice/venv/lib/libc10.so: file too short", "/home/user1/venv/lib/libc10.so: file too short"),
        ("in /Users/alice.b, twice: /Users/alice.b/x", "in /Users/user1, twice: /Users/user1/x"),
        (r"C:\Users\Alice B\venv\torch\lib\c10.dll", r"C:\Users\user1\venv\torch\lib\c10.dll"),
        (r"'C:\\Users\\alice\\venv'", r"'C:\\Users\\user1\\venv'"),
        ("file:///nfs/home/alice/x.whl", "file:///nfs/home/user1/x.whl"),
        ("PermissionError: '/home/alice'", "PermissionError: '/home/user1'"),
        ("/root/venv and /home/ubuntu/venv", "/root/venv and /home/ubuntu/venv"),  # every such image has them
        ("/home/alice/x, /scratch/alice/y, owned by alice", "/home/user1/x, /scratch/user1/y, owned by user1"),
        ("reached mallory@gpu-rack-17 as Mallory", "reached host1@host2 as host1"),
        ("mail alice@corp.example.co or git@github.com", "mail someone@example.com or git@github.com"),
        ("https://me:s3cr3t@pypi.org/simple", "https://<credentials>@pypi.org/simple"),
        ("https://t0k3n@mirror.corp/team/whl/cu126?x=1", "https://<credentials>@host1/x/whl/cu126"),
        ("git+https://github.com/org/repo@v1", "git+https://github.com/org/repo@v1"),
        ("connect to 10.12.0.7:29500 failed", "connect to 192.0.2.1:29500 failed"),
        ("connect to 10.12.0.7 and 10.12.0.8, not 10.12.0.7", "connect to 192.0.2.1 and 192.0.2.2, not 192.0.2.1"),
        ("tcp://10.12.0.7:29500", "tcp://192.0.2.1:29500"),
        ("http://127.0.0.1:8080/x, 0.0.0.0", "http://127.0.0.1:8080/x, 0.0.0.0"),
        ("from fe80::1ff:fe23:4567:890a", "from 2001:db8::1"),
        ("eth0 9c:6b:00:1a:2b:3c up", "eth0 00:00:00:00:00:01 up"),
        ("node17:4711:4720 [0] NCCL INFO Bootstrap", "host1:4711:4720 [0] NCCL INFO Bootstrap"),
        ("NCCL INFO Bootstrap : Using eth0:10.0.0.5<0>", "NCCL INFO Bootstrap : Using eth0:192.0.2.1<0>"),
        ("token=abcdef123456 Authorization: Bearer abc.def.ghi", "token=<secret> Authorization: Bearer <secret>"),
        ("hf_abcdefghijklmnopqrstuvwxyz is invalid", "<secret> is invalid"),
        (f"MIG-{UUID}/1/0", "MIG-GPU-00000000-0000-0000-0000-000000000001/1/0"),
    ],
)
def test_private_parts_of_a_text(text: str, expected: str) -> None:
    assert text_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "cuDNN version 9.1.0.70 found, 9.26.0.51 wanted",
        "nvidia-curand-cu12==10.3.9.90; nvidia-cublas-cu12 (>=12.8.4.1,<13.0.0.0)",
        "libcudnn.so.8.9.7.29: cannot open shared object file",
        "/opt/cudnn/9.1.0.70/lib and /opt/curand-10.3.9.90",
        "cublas 12.8.4.1 against 10.2.89.0",
        "loaded runtime CuDNN library: 9.1.0.70 but source was compiled with: 9.3.0.75",
        "Driver 535.183.01 with torch 2.15.0+cu132",
        "undefined symbol: _ZN3c104cuda9SetDeviceEi, version libcudart.so.12",
        "c10::Error: at::native::add(at::Tensor const&)",
        "NVRM: GPU 0000:65:00.0: RmInitAdapter failed! (0x26:0x56:1474)",
        "NVRM: Xid (PCI:0000:65:00): 79, pid=1234, GPU has fallen off the bus.",
        "12:34:56 W: see https://pytorch.org/get-started/locally/ and https://developer.nvidia.com/cuda-downloads",
        "The current PyTorch install supports CUDA capabilities sm_50 sm_60 sm_90.",
        "git commit 1f0c2b4e5d6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1 /usr/local/cuda-12.8/compat /opt/conda/envs/a/lib",
        "torch==2.15.0 @ file:///opt/wheels/torch.whl",
    ],
)
def test_what_is_not_private_stays_as_it_is(text: str) -> None:
    assert text_of(text) == text


def test_environment_values_are_kept_only_of_variables_that_are_known_to_be_harmless() -> None:
    found = environment_of(
        LD_LIBRARY_PATH="/home/alice/lib:/usr/lib",
        CUDA_VISIBLE_DEVICES="0,1",
        CUDNN_VERSION="9.1.0.70",
        NVIDIA_REQUIRE_CUDA="cuda>=12.4 brand=tesla,driver>=470,driver<471",
        PIP_INDEX_URL="https://<credentials>@pypi.corp.net/api/pypi/team/simple",
        SLURM_JOB_ID="123456",
        SLURM_NODELIST="gpu[01-04]",
        MASTER_ADDR="10.0.0.5",
        WORLD_SIZE="8",
        COMPANY_THING="Manhattan",
        PYTHONNOUSERSITE="",
    )
    assert found == {
        "LD_LIBRARY_PATH": "/home/user1/lib:/usr/lib",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "CUDNN_VERSION": "9.1.0.70",
        "NVIDIA_REQUIRE_CUDA": "cuda>=12.4 brand=tesla,driver>=470,driver<471",
        "PIP_INDEX_URL": "https://<credentials>@host1/api/pypi/x/simple",
        "SLURM_JOB_ID": "123456",
        "SLURM_NODELIST": "<redacted>",
        "MASTER_ADDR": "<redacted>",
        "WORLD_SIZE": "8",
        "COMPANY_THING": "<redacted>",
        "PYTHONNOUSERSITE": "",  # empty, set and unset are three things
    }


def test_serials_groups_owners_and_the_machines_own_key() -> None:
    snapshot = Snapshot(
        host=Host(groups=("video", "lab-secret", "1007")),
        driver=Driver(
            device_nodes=(DeviceNode(path="/dev/nvidia0", owner="alice", group="lab-secret"),),
            module_files=(ModuleFile(path="/lib/x.ko", kernel="6.8", signer="box17 Secure Boot Module Signature key"),),
        ),
        nvml=Nvml(gpus=(Gpu(index=0, serial="1324519001234"),), message="GPU with serial 1324519001234"),
    )
    found = redact(snapshot, names=NAMES)
    assert found.host is not None
    assert found.driver is not None
    assert found.nvml is not None
    assert found.host.groups == ("video", "group1", "1007")
    (node,) = found.driver.device_nodes or ()
    assert (node.path, node.owner, node.group) == ("/dev/nvidia0", "user1", "group1")  # still the group that helps
    (module,) = found.driver.module_files or ()
    assert module.signer == "host1 Secure Boot Module Signature key"
    assert found.nvml.message == "GPU with serial serial1"


def test_the_names_of_the_machine_that_redacts_are_taken_out_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "oscar-w")
    monkeypatch.setattr("socket.gethostname", lambda: "node42.lab.corp")
    found = redact(Snapshot(nvml=Nvml(message="oscar-w on node42 alias node42.lab.corp"))).nvml
    assert found is not None
    assert found.message is not None
    assert not re.search("oscar|node42|lab", found.message)


# --- what must agree afterwards ----------------------------------------------------------------------------------------


def visible(value: str) -> tuple[str, tuple[str | None, ...]]:
    """CUDA_VISIBLE_DEVICES after redaction, and the UUIDs of the GPUs and the MIG instance after it."""
    gpus = (
        Gpu(index=0, uuid=UUID),
        Gpu(index=1, uuid=OTHER, mig_instances=(MigInstance(uuid=MIG),)),
    )
    found = redact(Snapshot(nvml=Nvml(gpus=gpus), environment={"CUDA_VISIBLE_DEVICES": value}), names=NAMES)
    assert found.environment is not None
    uuids = [gpu.uuid for gpu in found.gpus or ()] + [i.uuid for g in found.gpus or () for i in g.mig_instances or ()]
    return found.environment["CUDA_VISIBLE_DEVICES"], tuple(uuids)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (UUID, [0]),
        (OTHER.upper().replace("GPU", "GPU"), [1]),
        ("GPU-8932f937", [0]),
        ("GPU-8", [0]),
        ("GPU-", [0, 1]),
        ("GPU-deadbeef", []),
        ("GPU-deadbeef-d72c-4106-c12f-20bd9faed9f6", []),
        (MIG, [2]),
        ("MIG-41b3c2d1", [2]),
    ],
)
def test_an_entry_names_the_same_gpus_as_before(value: str, named: list[int]) -> None:
    entry, uuids = visible(value)
    assert [n for n, uuid in enumerate(uuids) if uuid and uuid.lower().startswith(entry.lower())] == named
    assert "8932f937" not in entry
    assert "8932f937" not in str(uuids)


def test_indices_and_an_empty_list_stay(value: str = "1,0") -> None:
    assert visible(value)[0] == value
    assert visible("")[0] == ""


def test_one_user_is_one_placeholder_in_every_section() -> None:
    home = "/home/alice/venv"
    snapshot = Snapshot(
        environment={"PATH": f"{home}/bin:/home/bob/bin", "VIRTUAL_ENV": home},
        interpreter=Interpreter(
            executable=f"{home}/bin/python",
            prefix=home,
            sys_path=(f"{home}/lib/python3.12/site-packages",),
            torch=Torch(location=f"{home}/lib/python3.12/site-packages/torch"),
            distributions=(Distribution(name="torch", location=f"{home}/lib/python3.12/site-packages"),),
        ),
        nvml=Nvml(gpus=(Gpu(index=0, processes=(GpuProcess(pid=1, name=f"{home}/bin/python"),)),)),
    )
    found = public(snapshot)
    assert "alice" not in found
    assert "bob" not in found
    assert found.count("/home/user1/venv") == 8
    assert found.count("/home/user2/bin") == 1


# --- properties --------------------------------------------------------------------------------------------------------

PRIVATE = ("alice-kovacs", "bob_the_builder", "gpu-rack-17", "mallory", "s3cr3t-pw", "10.77.3.9", "9c:6b:00:1a:2b:3c")
version = st.lists(st.integers(0, 255), min_size=2, max_size=4).map(lambda parts: ".".join(map(str, parts)))
name = st.text(string.ascii_letters + string.digits + " -_.", min_size=1, max_size=30)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Machines whose verdict-relevant facts are anything, with private parts in every free text and path."""
    user, other = PRIVATE[0], PRIVATE[1]
    v = [draw(version) for _ in range(14)]
    text = draw(
        st.sampled_from(
            [
                f"/home/{user}/a: {v[0]} is no cuDNN version",
                f"cannot reach 10.77.3.9:80 from gpu-rack-17 ({v[0]})",
                f"https://{user}:s3cr3t-pw@mirror.corp/simple and C:\\Users\\{other}\\x",
                f"eth1 9c:6b:00:1a:2b:3c of mallory, /Users/{other}",
            ]
        )
    )
    return Snapshot(
        host=Host(system="Linux", architecture="x86_64", kernel=v[1], glibc=v[2], libstdcxx=v[3], cpu_model=draw(name)),
        driver=Driver(
            module=KernelModule(loaded=True, version=v[4], flavour="open"),
            packages=(Package(name=draw(name), version=f"{v[5]}-0ubuntu1"),),
            libraries=(DriverLibrary(name="libcuda.so.1", path=f"/home/{user}/lib/libcuda.so.1", version=v[4]),),
        ),
        nvml=Nvml(
            status="SUCCESS",
            driver_version=v[4],
            cuda_version=v[6],
            message=text,
            gpus=(Gpu(index=0, name=draw(name), compute_capability=v[6], uuid=UUID, vbios="96.00.74.00.01"),),
        ),
        cuda_driver=CudaDriver(init_code=0, version=v[6], devices=(CudaDevice(index=0, name=draw(name), uuid=UUID),)),
        toolkit=Toolkit(
            nvcc=(Nvcc(path=f"/home/{other}/cuda/bin/nvcc", version=v[7]),),
            compilers=(Compiler(name="gcc", version=v[8]),),
        ),
        libraries=Libraries(
            files=(LibraryFile(name="libcudnn", path=f"/home/{user}/x/libcudnn.so.9", version=v[9], via="default"),)
        ),
        logs=Logs(
            readable=True,
            lines=(LogLine(text=f"NVRM: Xid (PCI:0000:65:00): 79, {text}", xid=79, pci="0000:65:00.0"),),
        ),
        environment={
            "CUDA_VISIBLE_DEVICES": "GPU-8932f937",
            "LD_LIBRARY_PATH": f"/home/{user}/lib",
            "SLURM_NODELIST": "gpu-rack-17",
        },
        interpreter=Interpreter(
            executable=f"/home/{user}/venv/bin/python",
            version=v[10],
            distributions=(
                Distribution(
                    name=draw(name),
                    version=v[11],
                    requires=(f"nvidia-cudnn-cu12=={v[12]}", f"triton (>={v[13]})"),
                ),
            ),
            broken_pins=(BrokenPin(distribution="torch", requirement=f"nvidia-nccl-cu12=={v[12]}", installed=v[13]),),
            torch=Torch(
                version=f"{v[0]}+cu132",
                cuda=v[6],
                arch_flags=("sm_90",),
                run=TorchRun(
                    outcome="import-error",
                    error=text,
                    warnings=(text,),
                    nccl_version=v[1],
                    mapped=(MappedLibrary(name="libcudnn", path=f"/Users/{other}/libcudnn.so.9", version=v[9]),),
                ),
            ),
        ),
        messages=(text,),
    )


@given(snapshots())
@settings(max_examples=150, deadline=None)
def test_nothing_private_is_left_and_nothing_that_is_judged_is_lost(snapshot: Snapshot) -> None:
    found = redact(snapshot, names=NAMES)
    shared = msgspec.json.encode(found).decode()
    for secret in (*PRIVATE, "8932f937", "mirror.corp"):
        assert secret not in shared
    assert found.redacted

    def judged(s: Snapshot) -> object:
        assert s.driver is not None
        assert s.nvml is not None
        assert s.cuda_driver is not None
        assert s.toolkit is not None
        assert s.libraries is not None
        assert s.interpreter is not None
        assert s.torch is not None
        assert s.torch.run is not None
        return (
            s.host,
            (s.driver.module, s.driver.packages, s.driver.library_versions("libcuda.so.1"), s.driver_version),
            [(gpu.name, gpu.compute_capability, gpu.vbios) for gpu in s.gpus or ()],
            (s.nvml.cuda_version, s.cuda_driver.version, [device.name for device in s.cuda_driver.devices or ()]),
            [nvcc.version for nvcc in s.toolkit.nvcc or ()],
            s.toolkit.compilers,
            [(file.name, file.version, file.via) for file in s.libraries.files or ()],
            [(line.xid, line.pci) for line in s.logs.lines] if s.logs else None,
            [(d.name, d.version, d.requires) for d in s.interpreter.distributions or ()],
            (s.interpreter.version, s.interpreter.broken_pins),
            (s.torch.version, s.torch.cuda, s.torch.arch_flags, s.torch.run.outcome, s.torch.run.nccl_version),
            [library.version for library in s.torch.run.mapped or ()],
            set(s.environment or ()),
        )

    assert judged(found) == judged(snapshot)


@given(snapshots())
@settings(max_examples=50, deadline=None)
def test_redacting_twice_changes_nothing_more(snapshot: Snapshot) -> None:
    once = redact(snapshot, names=NAMES)
    assert redact(once, names=NAMES) == once


@given(st.text(string.printable, max_size=200))
@settings(max_examples=400, deadline=None)
def test_any_text_survives_and_settles_at_once(text: str) -> None:
    once = redact(Snapshot(nvml=Nvml(message=text), environment={"PIP_INDEX_URL": text}), names=NAMES)
    assert redact(once, names=NAMES) == once


@given(st.lists(st.sampled_from(["alice", "user1", "user2", "bob", "carol"]), min_size=1, max_size=8))
@settings(deadline=None)
def test_two_users_never_share_a_placeholder(users: list[str]) -> None:
    texts = [f"/home/{user}/x" for user in users]
    hidden = Anonymizer()
    for text in texts:
        hidden.reserve(text)
    for text in texts:
        hidden.learn(text)
    shown = {user: hidden.text(f"/home/{user}/x") for user in users}
    assert len(set(shown.values())) == len(shown)


# --- judged alike ------------------------------------------------------------------------------------------------------


def gpu_fell_off(s: Sysroot) -> None:
    s.file(
        "/dev/kmsg", "4,1,2,-;NVRM: Xid (PCI:0000:01:00): 79, pid=1, name=/home/alice/x, GPU has fallen off the bus.\n"
    )


def nodes_closed(s: Sysroot) -> None:
    simulated.device_files(s, 1, mode=0o660)


def untouched(s: Sysroot) -> None:
    pass


@pytest.mark.parametrize("fault", [untouched, gpu_fell_off, nodes_closed])
@pytest.mark.parametrize("build", simulated.ALL.values(), ids=simulated.ALL.keys())
def test_the_diagnoses_of_a_shared_snapshot_are_those_of_the_machine(
    tmp_path: Path, build: Callable[[Path], Sysroot], fault: Callable[[Sysroot], None]
) -> None:
    s = build(tmp_path)
    fault(s)
    variables = {
        "PATH": "/usr/bin:/home/alice/bin",
        "CUDA_VISIBLE_DEVICES": "GPU-deadbeef",
        "LD_LIBRARY_PATH": "/home/alice/cuda/lib64/stubs",
    }
    machine = s.machine(variables)
    home = "/home/alice/venv"
    snapshot = Snapshot(
        source="live",
        host=host.probe(machine),
        pci=pci.probe(machine),
        driver=driver.probe(machine),
        toolkit=toolkit.probe(machine),
        libraries=libraries.probe(machine),
        container=container.probe(machine),
        logs=logs.probe(machine),
        environment=environment.probe(machine),
        nvml=Nvml(status="SUCCESS", driver_version="535.1.0.1", gpus=(Gpu(index=0, name="NVIDIA H100", uuid=UUID),)),
        interpreter=Interpreter(
            executable=f"{home}/bin/python",
            version="3.12.3",
            torch_installed=True,
            distributions=(Distribution(name="torch", version="2.15.0", location=f"{home}/lib/site-packages"),),
            torch=Torch(
                version="2.15.0+cu132",
                build="cuda",
                cuda="13.2",
                run=TorchRun(
                    outcome="import-error", error=f"ImportError: {home}/lib/libc10.so: version `GLIBC_2.38' not found"
                ),
            ),
        ),
    )
    world = load()

    def verdict(of: Snapshot) -> list[tuple[str, str | None]]:
        return [(finding.code, finding.consequence_of) for finding in diagnose(of, world, all_diagnoses()).findings]

    shared = redact(snapshot, names=NAMES)
    assert "alice" not in msgspec.json.encode(shared).decode()
    assert verdict(shared) == verdict(snapshot)
    assert verdict(snapshot) != []  # or nothing would have been compared
