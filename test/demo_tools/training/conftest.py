"""The dataset's fixtures serve the trainer's tests too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[1] / "dataset" / "conftest.py"
_spec = importlib.util.spec_from_file_location("dataset_fixtures", _path)
assert _spec is not None and _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

contract, dataset, record, synthetic = _fixtures.contract, _fixtures.dataset, _fixtures.record, _fixtures.synthetic
