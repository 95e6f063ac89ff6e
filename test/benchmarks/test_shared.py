"""What processes of the rig read of each other in one file."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.shared import LastWords, SharedNumber


def test_another_process_reads_the_last_words_and_nothing_of_longer_ones_before(tmp_path: Path) -> None:
    said, read = LastWords(tmp_path / "words"), LastWords(tmp_path / "words")
    assert read.raw == b""
    said.put(b"a long message")
    said.put(b"short")
    assert read.raw == b"short"


def test_a_number_is_changed_for_all(tmp_path: Path) -> None:
    one, other = SharedNumber(tmp_path / "number"), SharedNumber(tmp_path / "number")
    one.add(3)
    other.add(-5)
    assert one.value == other.value == -2
