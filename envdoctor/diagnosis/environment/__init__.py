"""Diagnoses of the environment layer: one file each, named as its code."""
