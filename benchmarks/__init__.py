"""Benchmarks: each compares a part with the bare minimum for its job, measured in the same run."""
