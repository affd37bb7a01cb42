"""Runs benchmarks/ in the target interpreter, watches the machine meanwhile, and keeps and compares what came out."""
