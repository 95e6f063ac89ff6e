"""A process that shows hostile bags to everything that reads them, and says how that went.

Arguments: `fuzz` or `bombs`, a folder to work in, and for `fuzz` a seed and a number of bags. `make_bombs` comes before
`bombs`, in a process of its own: to make them takes more memory than to read them. The last line is JSON:
how many cases there were, how many of the calls were refused, and the peak of its memory. Anything but a refusal in
one line, and any file outside of the folder of the bag, ends it with a traceback.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lz4.frame
import zstandard

from data_recorder.bag_reader import BagReader
from data_recorder.compress import compress
from data_recorder.episode_writer import DRAFT_FILE, RECORDING_SUFFIX, Draft, EpisodeWriter, Received, string_message
from data_recorder.recover import recover
from data_recorder.rosbag2_metadata import Topic
from learned_arm.contract import load_contract
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError

NAME = "20260131T120000Z-01234567"
START_NS = 1_770_000_000_000_000_000
MAGIC = b"\x89MCAP0\r\n"
MOST_BYTES = 3_000_000_000
HUGE = (2**63, 2**64 - 1, 2**40, 2**32 - 1, 2**31, 2**16, 0, 1)
Bag = dict[str, bytes]
Lie = Callable[[random.Random, Path], None]


def draft() -> Draft:
    contract = load_contract("pick_cube")
    return Draft(
        id="0123456789abcdef" * 2,
        name=NAME,
        task="pick_cube",
        contract=contract.canonical(),
        contract_hash=contract.hash,
        operator="",
        notes="",
        policy=None,
        start_ns=START_NS,
    )


def good(folder: Path) -> None:
    """Three bags that are in order: an episode, a compressed one, and one that was cut off."""
    for kind in ("raw", "compressed", "cut"):
        writer = EpisodeWriter(folder / kind, draft(), load_contract("pick_cube"), ("string data\n", ""))
        writer.add_provenance("start", {"a": 1})
        rng = random.Random(0)
        for topic in ("/words", "/more/words"):
            writer.add_topic(Topic(topic, "std_msgs/msg/String", "string data\n"))
        for second in range(3):
            # More than a second apart: each part is a chunk of its own.
            stamps = [START_NS + second * 10**9 + index for index in range(20)]
            texts = [string_message(rng.randbytes(10) * rng.randrange(20)) for _ in stamps]
            writer.write(
                Received(at, rng.choice(["/words", "/more/words"]), text, at, None)
                for at, text in zip(stamps, texts, strict=True)
            )
        if kind == "cut":
            writer.abandon()
            continue
        writer.finish("success", "", "", writer.last_ns, {}, {}, {})
        if kind == "compressed":
            compress(writer.target)


# -- lies -----------------------------------------------------------------------------------------------------------


def _chosen(rng: random.Random, folder: Path) -> Path | None:
    """A file of the bag, mostly the messages themselves; links are left for what they are."""
    files = sorted(each for each in folder.iterdir() if each.is_file() and not each.is_symlink())
    if not files:
        return None
    bags = [each for each in files if each.suffix == ".mcap"]
    return bags[0] if bags and rng.random() < 0.7 else rng.choice(files)


def _rewritten(change: Callable[[random.Random, bytearray], object]) -> Lie:
    def lie(rng: random.Random, folder: Path) -> None:
        path = _chosen(rng, folder)
        if path is None:
            return
        data = bytearray(path.read_bytes())
        if data:
            change(rng, data)
        path.write_bytes(data)

    return lie


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def _flip(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.choice([1, 3, 30])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _records(data: bytearray, start: int) -> list[int]:
    """Where records begin."""
    found = []
    while start + 9 <= len(data):
        found.append(start)
        start += 9 + struct.unpack_from("<Q", data, start + 1)[0]
    return found


def _inside(rng: random.Random, data: bytearray) -> None:
    """Spoil records within a chunk that says it has no checksum."""
    chunks = [at for at in _records(data, len(MAGIC)) if data[at] == 0x06 and at + 60 < len(data)]
    if not chunks:
        return
    at = rng.choice(chunks)
    data[at + 33 : at + 37] = bytes(4)
    end = min(at + 9 + struct.unpack_from("<Q", data, at + 1)[0], len(data))
    part = data[at + 49 : end]
    if part:
        rng.choice([_flip, _nest])(rng, part)
        records = _records(part, 0)
        if records and rng.random() < 0.5:
            here = rng.choice(records) + rng.choice([0, 1, 9, 11, 13, 15, 23])
            part[here : here + 2] = rng.choice(HUGE).to_bytes(8, "little")[:2]
        data[at + 49 : end] = part[: end - at - 49].ljust(end - at - 49, b"\0")


def _lengths(rng: random.Random, data: bytearray) -> None:
    """Put a lie where a record or a text states its length."""
    at, value = rng.randrange(len(data)), rng.choice(HUGE)
    if rng.random() < 0.7:
        at = rng.choice(_records(data, len(MAGIC)) or [0]) + rng.choice([1, 9, 13, 25, 33, 37, 41, 45])
    size = rng.choice([2, 4, 8])
    data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")


def _nest(rng: random.Random, data: bytearray) -> None:
    """Put a piece of the file into another place of it, records into records."""
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    at = rng.randrange(len(data))
    data[at:at] = data[start : min(end, start + 5000)]


def _numbers(rng: random.Random, data: bytearray) -> None:
    """Put a huge or odd number, or a path that leads away, into a text."""
    odd = (b"9" * 400, b"-1", b"1e999", b"NaN", b"../../escaped", b"/tmp/escaped", b"null", b"[]", b'"\\ud800"')
    digits = [at for at, byte in enumerate(data) if 48 <= byte <= 57] or [0]
    at = rng.choice(digits)
    data[at : at + 1] = rng.choice(odd)


def _named(rng: random.Random, folder: Path) -> None:
    """Let the description name other files."""
    path = folder / "metadata.yaml"
    if path.is_file() and not path.is_symlink():
        names = ["../outside/victim.mcap", "/etc/passwd", "..", "", "a" * 5000, "\\0", "victim\\nfile"]
        named = f'"{rng.choice(names)}"'
        text = path.read_text(errors="replace")
        path.write_text(text.replace(f"{NAME}_0.mcap", named))


def _linked(rng: random.Random, folder: Path) -> None:
    """Put a link, a pipe or a folder in the place of a file, also of one that is about to be written."""
    new = [folder / each for each in ("compressing.part", "provenance.json", "episode.json", "metadata.yaml")]
    path = rng.choice([*sorted(folder.iterdir()), *new])
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif path.is_symlink() or path.exists():
        path.unlink()
    outside = folder.parents[1] / "outside"
    target = rng.choice(["victim.mcap", "victim.json", "not_there", "pipe", "folder", "device", "loop"])
    if target == "pipe":
        os.mkfifo(path)
    elif target == "folder":
        path.mkdir()
    elif target == "device":
        path.symlink_to("/dev/zero")
    elif target == "loop":
        path.symlink_to(path.name)
    else:
        path.symlink_to(outside / target)


LIES: tuple[Lie, ...] = (
    *(_rewritten(each) for each in (_truncate, _flip, _lengths, _inside, _inside, _nest, _numbers)),
    _named,
    _linked,
)


# -- bombs ----------------------------------------------------------------------------------------------------------


def record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def text(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value


def channel(number: int, topic: bytes, metadata: bytes = b"") -> bytes:
    return record(0x04, struct.pack("<HH", number, 1) + text(topic) + text(b"cdr") + text(metadata))


def chunk(stored: bytes, declared: int, compression: bytes) -> bytes:
    fields = struct.pack("<QQQI", 0, 0, declared, 0) + text(compression) + struct.pack("<Q", len(stored))
    return record(0x06, fields + stored)


def mcap_file(*data: bytes) -> bytes:
    body = MAGIC + record(0x01, text(b"ros2") + text(b"")) + b"".join(data) + record(0x0F, bytes(4))
    counts = struct.pack("<QHIIIIQQ", 1, 1, 1, 0, 0, 1, 0, 0) + struct.pack("<IHQ", 10, 1, 1)
    summary = SCHEMA + CHANNEL + record(0x0B, counts)
    return body + summary + record(0x02, struct.pack("<QQI", len(body), 0, 0)) + MAGIC


SCHEMA = record(0x03, struct.pack("<H", 1) + text(b"std_msgs/msg/String") + text(b"ros2msg") + text(b"string data\n"))
CHANNEL = channel(1, b"/words")
MESSAGE_HEAD = struct.pack("<HIQQ", 1, 0, START_NS, START_NS)
LARGEST = 128 * 1024 * 1024


def bombs() -> dict[str, Bag]:
    """Small files that would be large, by name."""
    most = SCHEMA + CHANNEL
    most += record(0x05, MESSAGE_HEAD + bytes(LARGEST - len(most) - 9 - len(MESSAGE_HEAD)))
    large_message = SCHEMA + CHANNEL + record(0x05, MESSAGE_HEAD + bytes(LARGEST - 2**21))
    pairs = b"".join(text(b"%d" % each) + text(b"") for each in range(3_000_000))
    channels = b"".join(channel(each, b"/t%d" % each, text(b"k") + text(bytes(10_000))) for each in range(2, 12_000))
    pack, squeeze = zstandard.compress, lz4.frame.compress
    large = bytes(200_000_000)
    merged = b"a0: &a0 {x: 1}\n" + b"".join(
        b"a%d: &a%d {<<: [%s]}\n" % (each, each, b",".join([b"*a%d" % (each - 1)] * 10)) for each in range(1, 12)
    )
    aliased = b"a0: &a0 [x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (each, each, b",".join([b"*a%d" % (each - 1)] * 10)) for each in range(1, 12)
    )
    numbers = b"[" + b"1," * 9_000_000 + b"1]"
    named = aliased + b"rosbag2_bagfile_information: {relative_file_paths: [*a11]}"
    return {
        "the largest message, zstd": {"bag": mcap_file(chunk(pack(most), len(most), b"zstd"))},
        "the largest message, lz4": {"bag": mcap_file(chunk(squeeze(most), len(most), b"lz4"))},
        "a chunk that is too large": {"bag": mcap_file(chunk(most, len(most), b""))},
        "the largest message, raw": {"bag": mcap_file(chunk(large_message, len(large_message), b""))},
        "zstd that declares less": {"bag": mcap_file(chunk(pack(large), 1000, b"zstd"))},
        "zstd that declares all": {"bag": mcap_file(chunk(pack(large), len(large), b"zstd"))},
        "lz4 that declares less": {"bag": mcap_file(chunk(squeeze(large), 1000, b"lz4"))},
        "lz4 that declares all": {"bag": mcap_file(chunk(squeeze(large), len(large), b"lz4"))},
        "a channel of many pairs": {"bag": mcap_file(SCHEMA, channel(1, b"/words", pairs))},
        "many channels": {"bag": mcap_file(chunk(pack(SCHEMA + channels), len(SCHEMA + channels), b"zstd"))},
        "a description of many numbers": {"metadata.yaml": numbers[:3_800_001] + b"]"},
        "a description that merges": {"metadata.yaml": merged},
        "a description that repeats itself": {"metadata.yaml": named},
        "a number in base 60": {"metadata.yaml": b"a: 1" + b":1" * 1_900_000},
        "a draft that is huge": {DRAFT_FILE: numbers, "episode.json": numbers},
    }


# -- trial ----------------------------------------------------------------------------------------------------------


def read_all(folder: Path) -> None:
    for _ in BagReader(folder).messages():
        pass


def tried(folder: Path) -> int:
    """Everything that reads bags, on one of them; how many refused it."""
    refused = 0
    for call in (load_episode, read_all, compress, recover):
        try:
            call(folder)
        except LearnedArmError as error:
            if "\n" in str(error):
                raise
            refused += 1
    return refused


def contents(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def case(work: Path, source: Path, spoil: Callable[[Path], object]) -> int:
    """Try a spoilt copy of a bag within a folder whose other parts must not change."""
    place = work / "place"
    shutil.rmtree(place, ignore_errors=True)
    outside = place / "outside"
    outside.mkdir(parents=True)
    (outside / "victim.mcap").write_bytes(b"victim")
    (outside / "victim.json").write_bytes(b"{}")
    folder = place / "task" / source.name
    shutil.copytree(source, folder)
    spoil(folder)
    before = contents(outside)
    refused = tried(folder)
    assert contents(outside) == before
    allowed = {NAME, f"{NAME}{RECORDING_SUFFIX}"}
    assert {each.name for each in (place / "task").iterdir()} <= allowed
    assert {each.name for each in place.iterdir()} == {"outside", "task"}
    return refused


def sources(work: Path) -> list[Path]:
    good(work / "good")
    return [
        work / "good" / "raw" / "pick_cube" / NAME,
        work / "good" / "compressed" / "pick_cube" / NAME,
        work / "good" / "cut" / "pick_cube" / f"{NAME}{RECORDING_SUFFIX}",
    ]


def fuzz(work: Path, seed: int, count: int) -> tuple[int, int]:
    found, refused = sources(work), 0
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")

        def spoil(folder: Path, rng: random.Random = rng) -> None:
            for _ in range(rng.choice([1, 1, 2, 3])):
                rng.choice(LIES)(rng, folder)

        try:
            refused += case(work, found[number % len(found)], spoil)
        except BaseException:
            print(f"case {number} of seed {seed}", file=sys.stderr)
            raise
    return count, refused


def make_bombs(work: Path) -> None:
    for name, files in bombs().items():
        (work / "bombs" / name).mkdir(parents=True)
        for file, content in files.items():
            (work / "bombs" / name / (f"{NAME}_0.mcap" if file == "bag" else file)).write_bytes(content)


def explode(work: Path) -> tuple[int, int]:
    refused, cases = 0, 0
    found = sources(work)
    for bomb in sorted((work / "bombs").iterdir()):
        for source in found:
            began_s, before = time.monotonic(), peak_mb()
            refused += case(work, source, partial(shutil.copytree, bomb, dirs_exist_ok=True))
            cases += 1
            said = f"peak {before:.0f} to {peak_mb():.0f} MB, {time.monotonic() - began_s:.1f} s"
            print(f"{bomb.name}, {source.parents[1].name}: {said}", flush=True)
    return cases, refused


def peak_mb() -> float:
    # Not ru_maxrss: that holds the peak of the process before exec as well, here pytest's.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def main(arguments: list[str]) -> None:
    work = Path(arguments[1])
    if arguments[0] == "make_bombs":
        make_bombs(work)
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    if arguments[0] == "fuzz":
        cases, refused = fuzz(work, int(arguments[2]), int(arguments[3]))
    else:
        cases, refused = explode(work)
    print(json.dumps({"cases": cases, "refused": refused, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main(sys.argv[1:])
