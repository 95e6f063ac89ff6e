"""Dataset -> policy: behaviour cloning of action chunks, and its export to one ONNX file. The only user of torch."""

from demo_tools.training.export import ExportedPolicy, export_policy
from demo_tools.training.trainer import Recipe, TrainingResult, train

__all__ = ["ExportedPolicy", "Recipe", "TrainingResult", "export_policy", "train"]
