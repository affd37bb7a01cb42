"""Diagnoses of several GPUs working together: one file each, named as its code."""
