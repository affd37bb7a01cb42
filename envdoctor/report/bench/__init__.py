"""Results of benchmarks in words, tables and pictures."""
