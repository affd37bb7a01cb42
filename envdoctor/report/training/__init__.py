"""A training run in words, curves and a model card."""
