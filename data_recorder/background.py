"""Compresses finished episodes in a process of its own, one after the other, and never while one is recorded."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import deque
from pathlib import Path


class Compressor:
    """Runs `python -m data_recorder.compress` for each folder.

    Attributes:
        failures: By folder what was said when it failed; its raw bag stays as it is.
    """

    def __init__(self) -> None:
        self._waiting: deque[Path] = deque()
        self._process: subprocess.Popen[str] | None = None
        self._folder: Path | None = None
        self._paused = False
        self.failures: dict[str, str] = {}

    @property
    def left(self) -> int:
        """Folders that wait or are being compressed."""
        return len(self._waiting) + (self._process is not None)

    def add(self, folder: Path) -> None:
        """Compress an episode when there is time."""
        self._waiting.append(folder)

    def pause(self) -> None:
        """An episode starts: the disk and the processor are its."""
        self._paused = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It has ended."""
        self._paused = False
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)

    def forget(self, folder: Path) -> None:
        """An episode is taken out: leave it as it is."""
        if folder in self._waiting:
            self._waiting.remove(folder)
        if folder == self._folder:
            self.stop()

    def poll(self) -> None:
        """Take what is done, begin what waits; never blocks."""
        if self._process is not None and self._process.poll() is not None:
            said = self._process.communicate()[1].strip()
            if self._process.returncode:
                self.failures[str(self._folder)] = said.splitlines()[-1] if said else "no reason given"
            self._process = self._folder = None
        if self._process is None and self._waiting and not self._paused:
            self._folder = self._waiting.popleft()
            argv = [sys.executable, "-m", "data_recorder.compress", str(self._folder)]
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )

    def stop(self) -> None:
        """End what runs: the raw bag stays in place until the compressed one has been verified."""
        if self._process is not None:
            # A stopped process dies of SIGKILL at once; SIGTERM would wait until it goes on.
            self._process.kill()
            self._process.communicate()
        self._process = self._folder = None
