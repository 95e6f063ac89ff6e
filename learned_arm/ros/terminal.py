"""Keys of a terminal as they are pressed, read on a thread of its own; the terminal goes back as it was."""

from __future__ import annotations

import os
import queue
import sys
import termios
import threading
import tty

_ERASE_LINE = "\r\x1b[K"
_WIDTH = 120


class Terminal:
    """The standard input, key by key; where it is no terminal, byte by byte.

    Args:
        end: The key that stands for the end of the input.
    """

    def __init__(self, end: str) -> None:
        self._end = end
        self._pressed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._was = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
        if self._was is not None:
            tty.setcbreak(sys.stdin)
        threading.Thread(target=self._read, name="keys", daemon=True).start()

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._was is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._was)
            print()

    def pressed(self) -> list[str]:
        """The keys since the last call."""
        found: list[str] = []
        while not self._pressed.empty():
            found.append(self._pressed.get())
        return found

    def show(self, line: str) -> None:
        """A line that the next one takes the place of; only for somebody who watches."""
        if self._was is not None:
            width = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else _WIDTH
            print(f"{_ERASE_LINE}{line[: width - 1]}", end="", flush=True)

    def say(self, words: str) -> None:
        """A line that stays."""
        print(f"{_ERASE_LINE if self._was is not None else ''}{words}", flush=True)

    def _read(self) -> None:
        while key := os.read(sys.stdin.fileno(), 1):
            self._pressed.put(key.decode("ascii", "replace"))
        self._pressed.put(self._end)
