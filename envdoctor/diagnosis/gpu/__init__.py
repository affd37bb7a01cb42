"""Diagnoses of the gpu layer: one file each, named as its code."""
