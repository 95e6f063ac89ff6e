"""Proves a policy file in a process of its own, so that a file that is no good cannot hurt the one that runs.

Reading, parsing and testing a large file would hold the interpreter of the node, and with it the ticks; a corrupt one
might even end its process. The prover does all of it and leaves in a folder the very bytes that it has proved, beside
what their description says. Opened from there by path, a session holds the interpreter for a moment only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from learned_arm.errors import LearnedArmError
from learned_policy_node.loading import AnyPolicy, open_policy, prove
from learned_policy_node.policy_file import PolicyFile, read_policy_file

_MODEL, _DESCRIPTION, _REFUSAL = "model.onnx", "description.json", "refusal.txt"
_REFUSED = 2
_PATIENCE_S = 300.0
# Below the ticks of the node beside it.
_NICENESS = 10


@dataclass(frozen=True)
class Demands:
    """How a policy is to run, and what it must show first.

    Attributes:
        threads: Threads inside an operator, 1 or 2.
        provider: Execution provider.
        allow_untested: Let a foreign file pass that has no self-test.
        limit_s: Longest time of a step in the self-test, see `PolicyModel.self_test`; None: no limit.
    """

    threads: int = 1
    provider: str = "cpu"
    allow_untested: bool = False
    limit_s: float | None = None


class Prover:
    """Proves one file and opens it; `prove` blocks and belongs to a thread of its own.

    Args:
        path: The policy file.
        demands: See `Demands`.
    """

    def __init__(self, path: Path, demands: Demands) -> None:
        self.path, self._demands = path, demands
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """End the process; `prove` raises soon."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()

    def prove(self) -> AnyPolicy:
        """Have the file proved beside this process, then open and prove those bytes here.

        Raises:
            LearnedArmError: It cannot be used, or it was cancelled.
        """
        with TemporaryDirectory(prefix="learned_arm_policy_") as name:
            folder = Path(name)
            status = self._run(folder)
            if status == _REFUSED:
                raise LearnedArmError((folder / _REFUSAL).read_text())
            if status != 0:
                how = f"signal {-status}" if status < 0 else f"status {status}"
                raise LearnedArmError("proving it ended the process", where=self.path, got=how)
            described = json.loads((folder / _DESCRIPTION).read_text())
            file = PolicyFile(folder / _MODEL, **described)
            policy = open_policy(self.path, self._demands.threads, self._demands.provider, file)
            prove(policy, self._demands.allow_untested, self._demands.limit_s)
        return policy

    def _run(self, folder: Path) -> int:
        arguments = json.dumps({"path": str(self.path), "folder": str(folder), "demands": asdict(self._demands)})
        # The same modules as here, however this process found them.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each or os.getcwd() for each in sys.path)}
        with self._lock:
            if self._cancelled:
                raise LearnedArmError("cancelled", where=self.path)
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        try:
            status = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise LearnedArmError("not proved in time", where=self.path, allowed=f"{_PATIENCE_S:g} s") from error
        finally:
            self._process.kill()
            self._process.wait()
        if self._cancelled:
            raise LearnedArmError("cancelled", where=self.path)
        return status


def main(argv: Sequence[str] | None = None) -> int:
    """Prove one file; status 0 with model and description in the folder, 2 with the reason."""
    (text,) = argv if argv is not None else sys.argv[1:]
    given = json.loads(text)
    path, folder, demands = Path(given["path"]), Path(given["folder"]), Demands(**given["demands"])
    os.nice(_NICENESS)
    try:
        file = read_policy_file(path)
        policy = open_policy(path, demands.threads, demands.provider, file)
        prove(policy, demands.allow_untested, demands.limit_s)
        assert isinstance(file.data, bytes)
        (folder / _MODEL).write_bytes(file.data)
    except LearnedArmError as error:
        (folder / _REFUSAL).write_text(str(error))
        return _REFUSED
    except OSError as error:
        (folder / _REFUSAL).write_text(f"{folder}: cannot be written: {error.strerror}")
        return _REFUSED
    described = {key: value for key, value in vars(file).items() if key != "data"}
    (folder / _DESCRIPTION).write_text(json.dumps(described))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
