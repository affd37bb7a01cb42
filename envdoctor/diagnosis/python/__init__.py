"""Diagnoses of the python layer: one file each, named as its code."""
