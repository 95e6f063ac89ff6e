"""Reads and writes a signature as plain data, every key accounted for.

As JSON (in `learned_arm.signature`, or in the sidecar of a foreign file) an entry of `inputs` or `outputs` is a role
or a mapping with the key `role` and what differs from the defaults. Files of the first version wrote free words as
roles; there the tensor's name tells.

| role | of | keys |
|---|---|---|
| `camera:<name>` | input | `layout`, `dtype`, `colour`, `history`, `scale`, `mean`, `std` |
| `state` | input | `joints`, `mean`, `std`, `history` |
| `noise` | input | `shape`, `seed`: standard normal, drawn anew for every step |
| `candidate` | input of a critic | `joints`, `mean`, `std`, `horizon` |
| `recurrent` | input, output | paired by an entry of `recurrent` |
| `labels` | output | `joints`, `mean`, `std`, `horizon` |
| `value` | output of a critic | |
| `ignored` | output | |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from learned_arm import checked
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_policy_node.signature import (
    ACTION,
    COLOURS,
    DTYPES,
    IMAGES,
    LAYOUTS,
    RESETS,
    STATE,
    CriticSettings,
    ImageInput,
    JointTensor,
    NoiseInput,
    Recurrent,
    ResetRule,
    Signature,
)

_INPUT_ROLES = ("state", "noise", "candidate", "recurrent")
_OUTPUT_ROLES = ("labels", "value", "recurrent", "ignored")
_MOST_NUMBERS = 10_000_000
_SEED = checked.integer(0, 2**63 - 1)
_NUMBER = checked.number(-1e9, 1e9)
# A smaller divisor would make an input of a constant joint explode.
_SPREAD = checked.number(1e-6, 1e9)


def parse_signature(value: Any, contract: Contract, where: str) -> Signature:
    """Read a signature and hold it against its contract.

    Raises:
        LearnedArmError: Any entry is wrong, or the roles do not make a policy of that contract.
    """
    top = checked.Section(value, where)
    inputs = _entries(top, "inputs", _INPUT_ROLES)
    outputs = _entries(top, "outputs", _OUTPUT_ROLES)
    recurrent = top.take("recurrent", checked.list_of(_recurrent, shortest=0), default=())
    reset = top.take("reset", _reset, default=ResetRule())
    step_ticks = top.take("step_ticks", checked.integer(1, 1_000_000), default=None)
    critic = top.take("critic", lambda each, at: _critic(each, at, contract), default=None)
    top.done()
    _check_pairs(recurrent, inputs, outputs, where)
    images, noise, joints = [], [], {}
    for name, (role, section) in [*inputs.items(), *outputs.items()]:
        if role.startswith("camera:"):
            images.append(_image(name, role.removeprefix("camera:"), section, contract))
        elif role == "noise":
            noise.append(NoiseInput(name, section.take("shape", _shape), section.take("seed", _SEED, default=0)))
        elif role in ("state", "labels", "candidate"):
            _single(joints, role, name, where)
            joints[role] = _joint_tensor(name, role, section, contract)
        elif role == "value":
            _single(joints, role, name, where)
            joints[role] = name
        section.done()
    seen = [each.camera for each in images]
    checked.unlike(seen, "two inputs for one camera", where)
    if set(seen) != set(contract.cameras):
        raise LearnedArmError(
            "inputs do not match the contract", where=where, got=sorted(seen), allowed=sorted(contract.cameras)
        )
    needed = ("candidate", "value") if critic is not None else ("labels",)
    found = tuple(role for role in ("labels", "candidate", "value") if role in joints)
    if sorted(found) != sorted(needed):
        kind = "a critic" if critic is not None else "a policy without 'critic'"
        raise LearnedArmError(f"wrong roles for {kind}", where=where, got=list(found), allowed=list(needed))
    if critic is not None and recurrent:
        raise LearnedArmError("a critic with memory", where=where, allowed="recurrent: []")
    if step_ticks is not None and not recurrent:
        raise LearnedArmError("a rhythm without memory", where=where, got=step_ticks, allowed="no step_ticks")
    return Signature(
        images=tuple(images), noise=tuple(noise), recurrent=recurrent, reset=reset, critic=critic,
        step_ticks=step_ticks, state=joints.get("state"), labels=joints.get("labels"),
        candidate=joints.get("candidate"), value=joints.get("value"),
    )  # fmt: skip


def signature_json(signature: Signature) -> dict[str, Any]:
    """Plain data that `parse_signature` reads back equal."""
    inputs: dict[str, Any] = {each.name: _image_json(each) for each in signature.images}
    outputs: dict[str, Any] = {}
    if signature.state is not None:
        inputs[signature.state.name] = _joint_json(signature.state, "state")
    for each in signature.noise:
        inputs[each.name] = {"role": "noise", "shape": list(each.shape), "seed": each.seed}
    inputs |= {each.input: "recurrent" for each in signature.recurrent}
    if signature.candidate is not None:
        inputs[signature.candidate.name] = _joint_json(signature.candidate, "candidate")
    if signature.labels is not None:
        outputs[signature.labels.name] = _joint_json(signature.labels, "labels")
    if signature.value is not None:
        outputs[signature.value] = "value"
    outputs |= {each.output: "recurrent" for each in signature.recurrent}
    found: dict[str, Any] = {"inputs": inputs, "outputs": outputs}
    found["recurrent"] = [_plain(vars(each)) for each in signature.recurrent]
    every = signature.reset.every_steps
    found["reset"] = {"on": list(signature.reset.on), **({} if every is None else {"every_steps": every})}
    if signature.step_ticks is not None:
        found["step_ticks"] = signature.step_ticks
    if signature.critic is not None:
        found["critic"] = _plain(vars(signature.critic))
    return found


def _entries(top: checked.Section, key: str, roles: tuple[str, ...]) -> dict[str, tuple[str, checked.Section]]:
    found = {}
    section = top.section(key)
    for name, value in section.items():
        at = f"{section.where}.{name}"
        entry = checked.Section({"role": value} if isinstance(value, str) else value, at)
        found[name] = (_role(name, entry.take("role", checked.text), roles, at), entry)
    return found


def _role(name: str, role: str, roles: tuple[str, ...], where: str) -> str:
    cameras = "camera:<name>" if "state" in roles else None
    if role in roles or (cameras and role.startswith("camera:")):
        return role
    if "state" in roles and name.startswith(IMAGES):
        return f"camera:{name.removeprefix(IMAGES)}"
    by_name = {STATE: "state"} if "state" in roles else {ACTION: "labels"}
    if name in by_name:
        return by_name[name]
    raise LearnedArmError("unknown role", where=where, got=role, allowed=[*([cameras] if cameras else []), *roles])


def _single(found: Mapping[str, Any], role: str, name: str, where: str) -> None:
    if role in found:
        raise LearnedArmError(f"role '{role}' given twice", where=where, got=name, allowed="once")


def _check_pairs(recurrent: tuple[Recurrent, ...], inputs: Any, outputs: Any, where: str) -> None:
    for what, entries, used in (
        ("inputs", inputs, [each.input for each in recurrent]),
        ("outputs", outputs, [each.output for each in recurrent]),
    ):
        checked.unlike(used, f"recurrent {what} named twice", where)
        declared = sorted(name for name, (role, _) in entries.items() if role == "recurrent")
        if declared != sorted(used):
            raise LearnedArmError(
                f"recurrent {what} do not match 'recurrent'", where=where, got=declared, allowed=sorted(used)
            )


def _image(name: str, camera: str, section: checked.Section, contract: Contract) -> ImageInput:
    if camera not in contract.cameras:
        raise LearnedArmError(
            "inputs do not match the contract", where=section.where, got=camera, allowed=sorted(contract.cameras)
        )
    layout = section.take("layout", checked.choice(*LAYOUTS), default="NHWC")
    dtype = section.take("dtype", checked.choice(*DTYPES), default="uint8")
    colour = section.take("colour", checked.choice(*COLOURS), default="rgb")
    history = _axis(section, "history", contract.history)
    if dtype == "uint8":
        return ImageInput(name, camera, layout, dtype, colour, history)
    scale = section.take("scale", checked.number(0.0, 1e3, open_low=True), default=1 / 255)
    mean = section.take("mean", _numbers(3, _NUMBER), default=(0.0,) * 3)
    std = section.take("std", _numbers(3, _SPREAD), default=(1.0,) * 3)
    return ImageInput(name, camera, layout, dtype, colour, history, scale, mean, std)


def _joint_tensor(name: str, role: str, section: checked.Section, contract: Contract) -> JointTensor:
    own = contract.state_names if role == "state" else contract.label_names
    joints = section.take("joints", checked.list_of(checked.choice(*own)), default=own)
    checked.unlike(joints, "duplicate joint", section.where)
    if role != "state" and len(joints) != len(own):
        missing = sorted(set(own) - set(joints))
        raise LearnedArmError("joints missing", where=section.where, got=list(joints), allowed=f"also {missing}")
    mean = section.take("mean", _numbers(len(joints), _NUMBER), default=(0.0,) * len(joints))
    std = section.take("std", _numbers(len(joints), _SPREAD), default=(1.0,) * len(joints))
    axis = ("history", contract.history) if role == "state" else ("horizon", contract.action.horizon)
    return JointTensor(name, joints, mean, std, _axis(section, *axis))


def _axis(section: checked.Section, key: str, length: int) -> bool:
    present = section.take(key, _flag, default=True)
    if not present and length != 1:
        what = f"no axis for the {key}"
        raise LearnedArmError(what, where=f"{section.where}.{key}", got=f"{key} of {length}", allowed="1, or the axis")
    return present


def _recurrent(value: Any, where: str) -> Recurrent:
    section = checked.Section(value, where)
    names = section.take("input", checked.text), section.take("output", checked.text)
    shape = section.take("shape", _shape)
    initial = section.take("initial", _initial, default=(0.0,))
    section.done()
    if len(initial) not in (1, math.prod(shape)):
        raise LearnedArmError(
            "wrong length", where=f"{where}.initial", got=len(initial), allowed=f"1 or {math.prod(shape)} numbers"
        )
    return Recurrent(*names, shape, initial)


def _initial(value: Any, where: str) -> tuple[float, ...]:
    return checked.list_of(_NUMBER)(value if isinstance(value, list | tuple) else [value], where)


def _reset(value: Any, where: str) -> ResetRule:
    section = checked.Section(value, where)
    on = section.take("on", checked.list_of(checked.choice(*RESETS)), default=RESETS)
    checked.unlike(on, "named twice", f"{where}.on")
    every = section.take("every_steps", checked.integer(1, 1_000_000_000), default=None)
    section.done()
    return ResetRule(on, every)


def _critic(value: Any, where: str, contract: Contract) -> CriticSettings:
    section = checked.Section(value, where)
    low, high = (section.take(key, _numbers(len(contract.label_names), _NUMBER)) for key in ("low", "high"))
    samples = section.take("samples", checked.integer(2, 1_000_000), default=64)
    settings = CriticSettings(
        low,
        high,
        samples,
        section.take("elites", checked.integer(1, samples), default=min(6, samples)),
        section.take("iterations", checked.integer(1, 1000), default=2),
        section.take("seed", _SEED, default=0),
        section.take("broadcast", _flag, default=True),
    )
    section.done()
    if any(below >= above for below, above in zip(low, high, strict=True)):
        raise LearnedArmError("bounds reversed", where=where, got=[list(low), list(high)], allowed="low below high")
    return settings


def _numbers(count: int, check: Any) -> Any:
    def check_numbers(value: Any, where: str) -> tuple[float, ...]:
        found = checked.list_of(check)(value, where)
        if len(found) != count:
            raise LearnedArmError("wrong length", where=where, got=len(found), allowed=f"{count} numbers")
        return found

    return check_numbers


def _shape(value: Any, where: str) -> tuple[int, ...]:
    shape = checked.list_of(checked.integer(1, 1_000_000))(value, where)
    if math.prod(shape) > _MOST_NUMBERS:
        raise LearnedArmError("tensor too large", where=where, got=list(shape), allowed=f"{_MOST_NUMBERS} numbers")
    return shape


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise LearnedArmError("neither true nor false", where=where, got=value, allowed="true, false")
    return value


def _image_json(image: ImageInput) -> dict[str, Any]:
    keys = ["layout", "dtype", "colour", "history"]
    if image.dtype != "uint8":
        keys += ["scale", "mean", "std"]
    return {"role": f"camera:{image.camera}", **_plain({key: getattr(image, key) for key in keys})}


def _joint_json(tensor: JointTensor, role: str) -> dict[str, Any]:
    found = _plain({"role": role, "joints": tensor.joints, "mean": tensor.mean, "std": tensor.std})
    return {**found, "history" if role == "state" else "horizon": tensor.axis}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
