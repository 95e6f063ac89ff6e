"""ROS messages and parameter values -> plain data that canonical JSON can hold."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
from rcl_interfaces.msg import ParameterValue
from rclpy.parameter import parameter_value_to_python

from learned_arm.canonical import hash_of

LONGEST = 256


def plain(value: Any) -> Any:
    """A value as plain data.

    Messages become mappings of their fields, bytes hexadecimal text, numbers that JSON has not their names. A sequence
    of more than `LONGEST` entries is told by its length and hash.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, np.ndarray | array):
        value = value.tolist()
    if isinstance(value, list | tuple):
        entries = [plain(each) for each in value]
        return entries if len(entries) <= LONGEST else {"length": len(entries), "sha256": hash_of(entries)}
    return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}


def parameter_value(value: ParameterValue) -> Any:
    """A parameter's value as plain data, None where it is not set."""
    return plain(parameter_value_to_python(value))
