"""One module a probe: it observes a Machine and returns a section of the Snapshot. Probes never judge."""
