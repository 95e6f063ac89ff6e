"""Loads another policy file beside the running policy and puts it in its place, or says why not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from learned_arm.errors import LearnedArmError
from learned_policy_node.loading import AnyPolicy
from learned_policy_node.proving import Demands, Prover
from learned_policy_node.swap import SwappablePolicy

_JOIN_S = 10.0
IDLE = "idle"


class Exchange:
    """One file at a time. All but the loading itself belongs to the owner's thread.

    Attributes:
        text: `idle`, `loading <name>`, `swapped to <hash>` or `refused: <reason>`.

    Args:
        policy: What runs.
        demands: How a new one is to run, and what it must show.
        on_done: Called by the loading thread when there is something to `finish`.
        check_suits: Raises where a policy does not suit how this one is run.
    """

    def __init__(
        self,
        policy: SwappablePolicy,
        demands: Demands,
        on_done: Callable[[], object],
        check_suits: Callable[[AnyPolicy], object] = lambda _: None,
    ) -> None:
        self.text = IDLE
        self._policy, self._demands, self._on_done, self._check_suits = policy, demands, on_done, check_suits
        self._prover: Prover | None = None
        self._thread: threading.Thread | None = None
        self._found: AnyPolicy | Exception | None = None

    @property
    def loading(self) -> Path | None:
        """The file that is being loaded."""
        return self._prover.path if self._prover is not None else None

    def check(self, path: Path) -> None:
        """Refuse at once what need not be loaded to be refused.

        Raises:
            LearnedArmError: There is no such file, or another is being loaded.
        """
        if self.loading is not None:
            raise LearnedArmError("another policy is being loaded", got=path.name, allowed=f"wait for {self.loading}")
        check_present(path)

    def begin(self, path: Path) -> None:
        """Load a file; `on_done` is called when that has ended."""
        self.check(path)
        self._prover, self._found, self.text = Prover(path, self._demands), None, f"loading {path.name}"
        self._thread = threading.Thread(target=self._load, args=(self._prover,), name="loading", daemon=True)
        self._thread.start()

    def finish(self) -> bool | None:
        """Put a policy that was loaded in the place of the running one; the next step is its first.

        Returns:
            Whether it was taken; None while there is nothing to finish.
        """
        found = self._found
        if self._prover is None or found is None:
            return None
        self._forget()
        try:
            if isinstance(found, Exception):
                raise found
            self._check_suits(found)
            self._policy.offer(found)
        except Exception as error:  # whatever went wrong, the running policy goes on
            words = str(error) if isinstance(error, LearnedArmError) else f"{type(error).__name__}: {error}"
            self.text = f"refused: {' '.join(words.split())}"
            return False
        self.text = f"swapped to {found.hash}"
        return True

    def cancel(self, reason: str) -> bool:
        """Give up what is being loaded; whether there was anything."""
        if self._prover is None:
            return False
        self._prover.cancel()
        self._forget()
        self.text = f"refused: {reason}"
        return True

    def _forget(self) -> None:
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._prover = self._thread = self._found = None

    def _load(self, prover: Prover) -> None:
        try:
            found: AnyPolicy | Exception = prover.prove()
        except Exception as error:  # told by `finish`
            found = error
        if self._prover is prover:
            self._found = found
            self._on_done()


def check_present(path: Path) -> None:
    """Refuse a path that is no file.

    Raises:
        LearnedArmError: It is not.
    """
    if not path.is_file():
        raise LearnedArmError("no such file", where=path, allowed="an .onnx file")
