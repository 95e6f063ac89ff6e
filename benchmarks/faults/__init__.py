"""Faults on real processes: what breaks, what must happen then, and how long it takes."""
