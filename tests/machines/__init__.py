"""Whole simulated machines: a file system, a driver built from C, a target interpreter, and the verdict they must get."""
