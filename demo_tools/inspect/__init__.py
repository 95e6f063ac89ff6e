"""Says what a file or folder is: a bag, an episode, a dataset, a policy or a run."""

from demo_tools.inspect.describe import describe, inspect_path

__all__ = ["describe", "inspect_path"]
