"""Whether the container gets at the GPU: Compose's reservations, and NVIDIA's variables in files of both kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.linting.model import DescribedEnvironment, PlacedValue, Service

RESERVATION = "deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}"


def judge_service(service: Service) -> Iterator[Finding]:
    """A service that means to use a GPU and is given none."""
    wants = service.needs_gpu
    if wants is not None and not service.gpu:
        yield Finding(
            rule="service-without-gpu",
            code="container-no-gpu",
            severity=Severity.WARNING if wants.value.startswith("commented out") else Severity.ERROR,
            title="No GPU is given to this service",
            summary=f"Service {service.name} means to use a GPU ({wants.value}) and reserves none: inside, no GPU will be seen.",
            evidence=(fact("service", service.name), fact("says", wants.value)),
            fixes=(Fix(title="Reserve the GPUs", note=f"Add to the service: {RESERVATION}"),),
            file=service.place.file,
            line=service.place.line,
        )
    yield from _variables(service.variables, given=service.gpu)


def judge_environment(environment: DescribedEnvironment) -> Iterator[Finding]:
    """Variables in an image that hide the GPUs or leave CUDA out."""
    yield from _variables(environment.variables, given=True)


def _variables(variables: Mapping[str, PlacedValue], *, given: bool) -> Iterator[Finding]:
    capabilities = variables.get("NVIDIA_DRIVER_CAPABILITIES")
    if capabilities is not None and capabilities.value and "$" not in capabilities.value:
        words = {word.strip() for word in capabilities.value.split(",")}
        if not words & {"all", "compute"}:
            yield Finding(
                rule="driver-capabilities-without-compute",
                code="container-no-gpu",
                severity=Severity.ERROR,
                title="The driver's CUDA part is left out",
                summary=f"NVIDIA_DRIVER_CAPABILITIES={capabilities.value} leaves 'compute' out: no libcuda.so.1 is mounted.",
                evidence=(fact("NVIDIA_DRIVER_CAPABILITIES", capabilities.value),),
                fixes=(Fix(title="Set NVIDIA_DRIVER_CAPABILITIES=compute,utility"),),
                file=capabilities.place.file,
                line=capabilities.place.line,
            )
    for name, nothing in (("NVIDIA_VISIBLE_DEVICES", ("none", "void")), ("CUDA_VISIBLE_DEVICES", ("-1", ""))):
        said = variables.get(name)
        # An empty NVIDIA_VISIBLE_DEVICES is like an unset one; CUDA's hides everything.
        if said is not None and given and said.value.lower() in nothing:
            yield Finding(
                rule="gpus-hidden",
                code="visible-devices-hidden",
                severity=Severity.WARNING,
                title="A variable hides the GPUs",
                summary=f"{name}={said.value!r} hides every GPU from what runs in there.",
                evidence=(fact(name, said.value or "(empty)"),),
                fixes=(Fix(title=f"Remove {name}, or set it to the GPUs that are meant"),),
                file=said.place.file,
                line=said.place.line,
            )
