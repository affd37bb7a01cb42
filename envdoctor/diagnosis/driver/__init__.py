"""Diagnoses of the driver layer: one file each, named as its code."""
