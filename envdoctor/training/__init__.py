"""Runs the training pipeline in the target interpreter and judges what came of it."""
