"""The description of a foreign ONNX file: a YAML file of the same name beside it, with the keys of the metadata.

```yaml
# act.yaml, beside act.onnx
contract: pick_cube             # a shipped name, a path that ends in .yaml, or the contract itself
robot: ur5e                     # another robot than the contract names; may be left out
signature:
  inputs:
    image: {role: camera:front, layout: NCHW, dtype: float32, history: false, mean: [...], std: [...]}
    qpos: {role: state, joints: [...], mean: [...], std: [...], history: false}
  outputs:
    actions: {role: labels, joints: [...], mean: [...], std: [...]}
lineage: {origin: "..."}        # free; may be left out
selftest: act.selftest.json     # a file beside it, or the self-test itself; may be left out
```
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from learned_arm import checked
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError

SUFFIXES = (".yaml", ".yml")
_LARGEST_SELFTEST_BYTES = 256_000_000


def sidecar_path(model: Path) -> Path | None:
    """The sidecar beside a model, None where there is none."""
    return next((path for suffix in SUFFIXES if (path := model.with_suffix(suffix)).is_file()), None)


def read_sidecar(path: Path) -> dict[str, Any]:
    """The description as plain data: `contract` whole, `signature`, `lineage`, and `selftest` if there is one.

    Raises:
        LearnedArmError: A file cannot be read, or a key is missing, unknown or of the wrong kind.
    """
    value, where = checked.load_yaml(path, "policies")
    top = checked.Section(value, where)
    contract = top.take("contract", _plain)
    robot = top.take("robot", checked.text, default=None)
    found: dict[str, Any] = {
        "contract": _contract(contract, robot, path).canonical(),
        "signature": top.take("signature", checked.free_mapping),
        "lineage": top.take("lineage", checked.free_mapping, default={}),
    }
    selftest = top.take("selftest", _plain, default=None)
    top.done()
    if isinstance(selftest, str):
        selftest = _read_json(path, selftest)
    if selftest is not None:
        found["selftest"] = selftest
    return found


def _contract(value: Any, robot: str | None, path: Path) -> Contract:
    if isinstance(value, dict):
        return Contract.from_canonical({**value, **({"robot": robot} if robot else {})}, f"{path.name}: contract")
    name = checked.text(value, f"{path.name}: contract")
    return load_contract(path.parent / name if name.endswith(SUFFIXES) else name, robot)


def _plain(value: Any, where: str) -> Any:
    return checked.free_mapping(value, where) if isinstance(value, dict) else checked.text(value, where)


def _read_json(sidecar: Path, name: str) -> Any:
    where = f"{sidecar.name}: selftest"
    if Path(name).name != name:
        raise LearnedArmError("not beside the model", where=where, got=name, allowed="the name of a file, no folder")
    path = sidecar.with_name(name)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_SELFTEST_BYTES + 1)
        if len(data) > _LARGEST_SELFTEST_BYTES:
            raise LearnedArmError("file too large", where=path, allowed=f"{_LARGEST_SELFTEST_BYTES} bytes")
        return json.loads(data)
    except OSError as error:
        raise LearnedArmError("cannot be read", where=path, got=error.strerror, allowed="a JSON file") from error
    except RecursionError as error:
        raise LearnedArmError("no JSON", where=path, got="nested too deep") from error
    except ValueError as error:
        if isinstance(error, LearnedArmError):
            raise
        raise LearnedArmError("no JSON", where=path, got=str(error)) from error
