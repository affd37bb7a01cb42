"""Whatever is asked, what is chosen keeps every constraint."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.compat import answer, parse
from envdoctor.knowledge import load
from envdoctor.knowledge.versions import at_least, python_tag, specifier, version

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
    build = WORLD.newest_torch(
        capabilities=capabilities, driver=driver, python=python, platform=platform, glibc=glibc, torch=torch
    )
    if build is None:
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
    before = WORLD.newest_torch(capabilities=[capability], driver=older, platform=platform)
    after = WORLD.newest_torch(capabilities=[capability], driver=newer, platform=platform)
    if before is not None:
        assert after is not None
        assert version(after.torch) >= version(before.torch)


@settings(max_examples=100, deadline=None)
@given(capability=st.sampled_from(CAPABILITIES), driver=DRIVERS, platform=PLATFORMS)
def test_what_an_update_unlocks_is_what_that_driver_then_gets(capability: str, driver: str, platform: str) -> None:
    for step in WORLD.driver_unlocks(capabilities=[capability], driver=driver, platform=platform):
        assert not at_least(driver, step.min_driver)
        assert WORLD.newest_torch(capabilities=[capability], driver=step.min_driver, platform=platform) == step.build


@settings(max_examples=150, deadline=None)
@given(
    gpu=st.sampled_from([gpu.name for gpu in WORLD.gpus()]),
    torch=st.none() | st.sampled_from(["1.13", "2.0", "2.6", "2.11", "2.15", "2.16", "3.0"]),
    driver=st.none() | DRIVERS,
    cuda=st.none() | st.sampled_from(["10.2", "11.8", "12.6", "13.0", "13.9", "14.0"]),
    python=st.none() | st.sampled_from(["3.8", "3.11", "3.15", "3.17"]),
)
def test_every_question_has_an_answer_with_a_reason(
    gpu: str, torch: str | None, driver: str | None, cuda: str | None, python: str | None
) -> None:
    """No combination of a known GPU and any versions, past or future, is refused."""
    given_ = {"torch": torch, "driver": driver, "cuda": cuda, "python": python}
    words = [f"gpu {gpu}", *(f"{name} {value}" for name, value in given_.items() if value)]
    found = answer(WORLD, parse(words))
    assert found.question.gpus == (gpu,) or len(found.question.gpus) == 1
    if len(words) > 1:
        assert found.answer in ("yes", "no", "unknown")
        assert any(reason.verdict == found.answer for reason in found.reasons)
    else:
        assert found.answer is None
        assert found.facts
