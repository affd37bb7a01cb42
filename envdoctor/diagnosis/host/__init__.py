"""Diagnoses of the host layer: one file each, named as its code."""
