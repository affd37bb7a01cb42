"""envdoctor: from a bare NVIDIA machine to proven PyTorch training throughput."""

__version__ = "0.1.0"
