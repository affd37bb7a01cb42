"""Which build is chosen: nothing that was asked is broken, and what goes first among equals."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.knowledge import load
from envdoctor.knowledge.versions import at_least, python_tag, specifier, version
from envdoctor.planning.model import Wishes
from envdoctor.planning.question import newest_with_code
from envdoctor.planning.unlock import driver_ladder
from tests.planning.choosing import bare_target, newest

WORLD = load()
CAPABILITIES = sorted({record.capability for record in WORLD.architectures()} | {"13.0", "9.9"})
DRIVERS = st.builds(
    lambda branch, minor: f"{branch}.{minor:02d}.01", st.integers(380, 660), st.integers(0, 180)
) | st.sampled_from([branch.branch for branch in WORLD.driver_branches()])
PYTHONS = st.sampled_from(["3.7", "3.8", "3.9", "3.10.12", "3.11", "3.12", "3.13", "3.13t", "3.14", "3.15", "3.16"])
PLATFORMS = st.sampled_from(["linux_x86_64", "linux_aarch64", "windows_amd64", "macos_arm64", "macos_x86_64"])
GLIBCS = st.sampled_from(["2.12", "2.17", "2.27", "2.28", "2.31", "2.39"])
TORCHES = st.sampled_from(["2.6", "==2.7.*", ">=2.4,<2.8", "<2", "2.15.0", ">=2.16", "1.13", "~=2.10"])


@settings(max_examples=400, deadline=None)
@given(
    capabilities=st.lists(st.sampled_from(CAPABILITIES), max_size=3),
    driver=st.none() | DRIVERS,
    python=st.none() | PYTHONS,
    platform=PLATFORMS,
    glibc=st.none() | GLIBCS,
    torch=st.none() | TORCHES,
)
def test_the_newest_torch_breaks_no_constraint_and_is_published(
    capabilities: list[str],
    driver: str | None,
    python: str | None,
    platform: str,
    glibc: str | None,
    torch: str | None,
) -> None:
    build = newest(capabilities, driver=driver, python=python, platform=platform, glibc=glibc, torch=torch)
    if build is None or (build.cuda is None and platform.startswith("macos")):
        return
    assert build.evidence
    assert build.platform == platform
    assert build.cuda is not None
    for capability in capabilities:
        assert WORLD.runs_on(build.arch_flags, capability, build.cuda)
        assert build.cudnn is None or WORLD.cudnn_supports(build.cudnn, build.cuda, capability) is not False
        record = WORLD.architecture(capability)
        if driver is not None and record is not None and not record.jetson:
            number = version(driver).major
            assert record.first_driver_branch is None or number >= int(record.first_driver_branch)
            assert record.last_driver_branch is None or number < int(record.last_driver_branch) + 5
    if driver is not None:
        assert build.min_driver is not None
        assert at_least(driver, build.min_driver)
    assert python is None or python_tag(python) in build.python_tags
    assert glibc is None or build.glibc is None or at_least(glibc, build.glibc)
    assert torch is None or specifier(torch).contains(build.torch)


@settings(max_examples=200, deadline=None)
@given(capability=st.sampled_from(CAPABILITIES), older=DRIVERS, newer=DRIVERS, platform=PLATFORMS)
def test_a_newer_driver_never_gives_an_older_torch_while_it_drives_the_gpu(
    capability: str, older: str, newer: str, platform: str
) -> None:
    if version(older) > version(newer):
        older, newer = newer, older
    if not WORLD.drives(newer, capability):
        return
    before = newest([capability], driver=older, platform=platform)
    after = newest([capability], driver=newer, platform=platform)
    if before is not None:
        assert after is not None
        assert version(after.torch) >= version(before.torch)


@settings(max_examples=100, deadline=None)
@given(capability=st.sampled_from(CAPABILITIES), platform=PLATFORMS)
def test_what_a_driver_buys_is_what_that_driver_then_gets(capability: str, platform: str) -> None:
    target = bare_target([capability], platform=platform)
    for driver, build in driver_ladder(target, Wishes(), WORLD):
        assert newest([capability], driver=driver, platform=platform) == build


def test_the_last_torch_of_a_gpu_needs_kernels_in_cudnn_too() -> None:
    whole, bare = newest(["3.7"]), newest_with_code("3.7", "linux_x86_64", WORLD)
    assert whole is not None
    assert bare is not None
    assert (whole.name, bare.name) == ("2.3.1+cu118", "2.7.1+cu118")


def test_each_driver_buys_a_newer_torch_and_none_would_drop_the_gpu() -> None:
    ladder = driver_ladder(bare_target(["8.6"]), Wishes(), WORLD)
    assert {"525.60.13": "2.14.1+cu126"}.items() <= {driver: build.name for driver, build in ladder}.items()
    releases = [version(build.torch) for _, build in ladder]
    assert releases == sorted(releases)
    last = WORLD.architecture("7.0")
    assert last is not None
    assert last.last_driver_branch is not None
    drivers = [driver for driver, _ in driver_ladder(bare_target(["7.0"]), Wishes(), WORLD)]
    assert all(version(driver).major < int(last.last_driver_branch) + 5 for driver in drivers)


def test_two_gpus_get_one_build_for_both() -> None:
    build, alone = newest(["7.0", "9.0"]), newest(["9.0"])
    assert build is not None
    assert alone is not None
    assert build.name == "2.14.1+cu126"
    assert version(alone.torch) > version(build.torch)


def test_pip_arguments_name_the_index_only_where_pypi_does_not_serve_the_build() -> None:
    pypi, index = newest(["8.0"]), newest(["7.0"])
    assert pypi is not None
    assert index is not None
    assert pypi.pip_arguments() == (f"torch=={pypi.torch}", f"torchvision=={pypi.torchvision}")
    assert index.pip_arguments("torch", "torchaudio") == (
        f"torch=={index.torch}",
        f"torchaudio=={index.torchaudio}",
        "--index-url",
        "https://download.pytorch.org/whl/cu126",
    )


def test_windows_gets_the_release_s_main_cuda_because_pypi_has_only_the_cpu_build_there() -> None:
    build = newest(["8.9"], platform="windows_amd64")
    assert build is not None
    linux = [b for b in WORLD.torch_builds(build.torch) if b.platform == "linux_x86_64" and b.index_url is None]
    assert build.index_url == f"https://download.pytorch.org/whl/{build.variant}"
    assert build.variant in {b.variant for b in linux}
    assert newest(["8.9"], platform="macos_arm64") is None
    cpu = newest(platform="macos_arm64")
    assert cpu is not None
    assert cpu.cuda is None
