"""Workloads that measure a machine's training throughput: torch only, Python 3.8 or newer; see README.md."""

# Part of every work_hash: raise it when the meaning of the whole suite changes, so that old results are not compared.
SUITE_VERSION = 1
