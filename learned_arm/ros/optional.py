"""Messages that not every machine has: loaded only where a robot file asks for them."""

from __future__ import annotations

import importlib
from typing import Any

from learned_arm.errors import LearnedArmError


def load_messages(module: str, where: str, wanted_by: str, install: str) -> Any:
    """A module of messages, services or actions.

    Args:
        module: Such as `control_msgs.action`.
        where: Of the entry that asks for it.
        wanted_by: The entry.
        install: What to do where it is missing.

    Raises:
        LearnedArmError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise LearnedArmError(
            f"{package} is not installed", where=where, got=wanted_by, allowed=f"install {install}"
        ) from error
