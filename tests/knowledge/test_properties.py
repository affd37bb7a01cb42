"""Whatever is asked, what is chosen keeps every constraint."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.compat import answer, parse
from envdoctor.knowledge import load

WORLD = load()
CAPABILITIES = sorted({record.capability for record in WORLD.architectures()} | {"13.0", "9.9"})
DRIVERS = st.builds(
    lambda branch, minor: f"{branch}.{minor:02d}.01", st.integers(380, 660), st.integers(0, 180)
) | st.sampled_from([branch.branch for branch in WORLD.driver_branches()])
PYTHONS = st.sampled_from(["3.7", "3.8", "3.9", "3.10.12", "3.11", "3.12", "3.13", "3.13t", "3.14", "3.15", "3.16"])
PLATFORMS = st.sampled_from(["linux_x86_64", "linux_aarch64", "windows_amd64", "macos_arm64", "macos_x86_64"])
GLIBCS = st.sampled_from(["2.12", "2.17", "2.27", "2.28", "2.31", "2.39"])
TORCHES = st.sampled_from(["2.6", "==2.7.*", ">=2.4,<2.8", "<2", "2.15.0", ">=2.16", "1.13", "~=2.10"])


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
