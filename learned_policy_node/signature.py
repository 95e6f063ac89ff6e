"""What the tensors of a policy mean: roles, layouts, memory, noise and the search of a critic."""

from __future__ import annotations

from dataclasses import dataclass

from learned_arm.contract import Contract
from learned_policy_node.policy import ENGAGE, REQUEST

STATE = "observation.state"
ACTION = "action"
IMAGES = "observation.images."
LAYOUTS = ("NHWC", "NCHW")
COLOURS = ("rgb", "bgr")
DTYPES = ("uint8", "float32")
RESETS = (ENGAGE, REQUEST)


@dataclass(frozen=True)
class ImageInput:
    """An input that shows a camera: uint8 pixels, or float32 `(pixel * scale - mean) / std` by channel.

    Attributes:
        name: Of the tensor.
        camera: Of the contract.
        layout: `NHWC` or `NCHW`; N stands for the history.
        dtype: `uint8` or `float32`.
        colour: Order of the channels, `rgb` or `bgr`; `mean` and `std` follow it.
        history: Whether the tensor has the axis of the history.
        scale, mean, std: Of a float32 input.
    """

    name: str
    camera: str
    layout: str = "NHWC"
    dtype: str = "uint8"
    colour: str = "rgb"
    history: bool = True
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class JointTensor:
    """A float32 tensor with a number a joint: `(physical - mean) / std` as an input, `x * std + mean` as an output.

    Attributes:
        name: Of the tensor.
        joints: Its own order of the joints; of a state it is one of `Contract.state_names`, of labels of
            `Contract.label_names`.
        mean, std: A number each, in that order and in physical units.
        axis: Whether it has the axis before the joints: the history of a state, the horizon of labels.
    """

    name: str
    joints: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    axis: bool = True


@dataclass(frozen=True)
class NoiseInput:
    """An input of standard normal numbers, float32 of `shape` behind the batch axis; a reset begins its seed anew."""

    name: str
    shape: tuple[int, ...]
    seed: int = 0


@dataclass(frozen=True)
class Recurrent:
    """A part of the policy's memory: an output that is the next step's input, float32.

    Attributes:
        input, output: Names of the two tensors.
        shape: Of the input with every axis: the batch axis lies where the framework puts it (second in an LSTM).
        initial: One number for all, or all of them in C order.
    """

    input: str
    output: str
    shape: tuple[int, ...]
    initial: tuple[float, ...] = (0.0,)


@dataclass(frozen=True)
class ResetRule:
    """When memory goes back to its initial values.

    Attributes:
        on: `engage`, `request`, or both.
        every_steps: Also after so many steps, as policies trained on windows of that length need; None: never.
    """

    on: tuple[str, ...] = RESETS
    every_steps: int | None = None


@dataclass(frozen=True)
class CriticSettings:
    """The search for the best action by the cross-entropy method.

    Attributes:
        low, high: Bounds of the labels, a number a joint in the robot's order.
        samples, elites, iterations: Kalashnikov et al. 2018, "QT-Opt", use 64, 6 and 2.
        seed: Of the sampling; a reset begins it anew.
        broadcast: The graph spreads one observation over all actions, so that it embeds the images once; false:
            it is given a copy for every action.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    samples: int = 64
    elites: int = 6
    iterations: int = 2
    seed: int = 0
    broadcast: bool = True


@dataclass(frozen=True)
class Signature:
    """The whole signature of a policy; exactly one of `labels` and `critic` is there.

    Attributes:
        step_ticks: Ticks from one step of the memory to the next, as it was trained; None: any.
    """

    images: tuple[ImageInput, ...]
    state: JointTensor | None
    noise: tuple[NoiseInput, ...] = ()
    recurrent: tuple[Recurrent, ...] = ()
    reset: ResetRule = ResetRule()
    labels: JointTensor | None = None
    candidate: JointTensor | None = None
    value: str | None = None
    critic: CriticSettings | None = None
    step_ticks: int | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs that are used: labels or value first, then memory."""
        first = self.labels.name if self.labels is not None else self.value
        return (str(first), *(each.output for each in self.recurrent))


def camera_input(name: str) -> str:
    """Name of a camera's input in a file of this project."""
    return IMAGES + name


def input_forms(signature: Signature, contract: Contract) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and whole shape, at batch 1, of every input."""
    numbers, horizon = len(contract.label_names), contract.action.horizon
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for image in signature.images:
        height, width = contract.cameras[image.camera].size
        pixels = (height, width, 3) if image.layout == "NHWC" else (3, height, width)
        found[image.name] = (image.dtype, (1, *([contract.history] if image.history else []), *pixels))
    if signature.state is not None:
        rows = [contract.history] if signature.state.axis else []
        found[signature.state.name] = ("float32", (1, *rows, len(signature.state.joints)))
    found |= {each.name: ("float32", (1, *each.shape)) for each in signature.noise}
    found |= {each.input: ("float32", each.shape) for each in signature.recurrent}
    if signature.candidate is not None:
        rows = [horizon] if signature.candidate.axis else []
        found[signature.candidate.name] = ("float32", (1, *rows, numbers))
    return found


def output_forms(signature: Signature, contract: Contract) -> dict[str, tuple[int, ...]]:
    """Shape, at batch 1, of every float32 output that is used; a value may have an axis of length 1 more."""
    found: dict[str, tuple[int, ...]] = {each.output: each.shape for each in signature.recurrent}
    if signature.labels is not None:
        rows = [contract.action.horizon] if signature.labels.axis else []
        found[signature.labels.name] = (1, *rows, len(contract.label_names))
    if signature.value is not None:
        found[signature.value] = (1,)
    return found
