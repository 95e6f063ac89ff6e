"""Dataset -> policy: behaviour cloning of action chunks, and its export to one ONNX file. The only user of torch."""

import os

# Read once, when torch loads its thread pool. Threads that spin while they wait for each other starve as soon as
# anything else runs on their cores: training was seen to slow down tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from demo_tools.training.export import ExportedPolicy, export_policy
from demo_tools.training.recipe import Recipe, known_recipe
from demo_tools.training.trainer import TrainingResult, train

__all__ = ["ExportedPolicy", "Recipe", "TrainingResult", "export_policy", "known_recipe", "train"]
