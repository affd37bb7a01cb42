"""The networks that the workloads train."""
