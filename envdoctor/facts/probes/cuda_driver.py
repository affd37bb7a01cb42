"""Whether the CUDA driver API starts here, with the environment as it is: what every CUDA program does first."""

from __future__ import annotations

from envdoctor.facts.cleaning import fitted
from envdoctor.facts.driver_libraries import CUDA, load_names, not_found_words
from envdoctor.facts.host import Machine
from envdoctor.facts.sections.gpu import CudaDriver

# cuInit takes about two seconds on eight GPUs without persistence mode; beyond this, frameworks look hung as well.
TIMEOUT = 15.0

# CUresult by number, for a libcuda too old to have cuGetErrorName (before CUDA 6.0), or one that does not know its own code.
NAMES = {
    0: "CUDA_SUCCESS",
    1: "CUDA_ERROR_INVALID_VALUE",
    2: "CUDA_ERROR_OUT_OF_MEMORY",
    3: "CUDA_ERROR_NOT_INITIALIZED",
    34: "CUDA_ERROR_STUB_LIBRARY",
    46: "CUDA_ERROR_DEVICE_UNAVAILABLE",
    100: "CUDA_ERROR_NO_DEVICE",
    101: "CUDA_ERROR_INVALID_DEVICE",
    304: "CUDA_ERROR_OPERATING_SYSTEM",
    800: "CUDA_ERROR_NOT_PERMITTED",
    801: "CUDA_ERROR_NOT_SUPPORTED",
    802: "CUDA_ERROR_SYSTEM_NOT_READY",
    803: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    804: "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    999: "CUDA_ERROR_UNKNOWN",
}
NO_DEVICE = 100


def probe(machine: Machine) -> CudaDriver:
    names = load_names(machine, CUDA)
    if not names:
        return CudaDriver(library_missing=True, load_error=not_found_words(CUDA))
    from envdoctor.facts.probes._ask import ask_child

    answer = ask_child(machine, "_cuda_child.py", *names, timeout=TIMEOUT)
    facts = answer.collected("driver")
    library = answer.library(machine)
    if library is not None:
        facts |= {"library": library, "library_missing": False}
        if answer.outcome == "ok":
            facts["outcome"] = "ok"
    elif answer.outcome == "ok":
        words, missing = answer.load_error()
        facts |= {"load_error": words, "library_missing": missing}
    if answer.outcome != "ok":
        # 'failed' is a fault of ours or of this interpreter: nothing is known of the driver then.
        facts |= {"outcome": None if answer.outcome == "failed" else answer.outcome, "message": answer.message}
    code = facts.get("init_code")
    if code is not None and facts.get("init_name") is None:
        facts["init_name"] = NAMES.get(code)
    if code == NO_DEVICE:  # the driver's own words for: it counted, and there are none
        facts |= {"device_count": 0, "devices": ()}
    elif facts.get("device_count") is not None:
        facts["devices"] = [record["device"] for record in answer.records if "device" in record]
    return fitted(CudaDriver, facts)
