"""The page of replays, opened in a real browser: everything on it is there, and why an episode failed stands on top."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_recorder.bag_reader import BagReader
from demo_tools.replay.diagnosis import Cause
from demo_tools.replay.evidence import Evidence
from demo_tools.replay.keepsakes import FrameKeeper, load_frames, load_traces, save_traces
from demo_tools.replay.tracking import tracking_report
from demo_tools.replay.verdict import Verdict
from demo_tools.report.replay_page import MOST_SHOWN, Replayed, write_replay_page
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError

COUNT, FAILED_JOINT = 40, "elbow_joint"
# Nothing of the browser's own may ask the network.
BROWSER = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=10000"),
)
# What a page has in the end: pictures that could not be shown have no width.
ASK = """<script>addEventListener("load", () => {
  const images = [...document.images].map(each => [each.alt, each.naturalWidth, each.getBoundingClientRect().width]);
  const first = document.querySelector(".replay .why").getBoundingClientRect();
  const said = {images, first: first.top, outside: performance.getEntriesByType("resource").map(each => each.name),
    wide: document.documentElement.scrollWidth - innerWidth};
  document.body.dataset.said = JSON.stringify(said);
});</script>"""


def evidence(joints: tuple[str, ...], aside_rad: float) -> Evidence:
    time_s = np.arange(COUNT)[:, None] * 0.05
    recorded = np.sin(time_s + np.arange(len(joints)))
    replayed = recorded.copy()
    replayed[COUNT // 2 :, joints.index(FAILED_JOINT)] += aside_rad
    return Evidence(
        joints=joints,
        gripper=(len(joints) - 1,),
        period_s=0.05,
        expected_ticks=COUNT,
        initial_error_rad=np.zeros(len(joints)),
        recorded_sent=recorded,
        recorded_measured=recorded,
        told=replayed,
        played=replayed,
        sent=replayed,
        measured=replayed,
        relative_to_command=False,
    )


@pytest.fixture(scope="module")
def replayed(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Replayed]:
    """Two replays of recorded episodes, one of which failed, with what they left for the eye."""
    contract, root = finished_run.contract, tmp_path_factory.mktemp("replays")
    found = []
    for index, episode in enumerate(finished_run.demonstrations[:2]):
        into = root / f"{index}"
        into.mkdir()
        traces = evidence(contract.robot.joints, 0.3 * index)
        save_traces(traces, into)
        keeper = FrameKeeper(contract)
        topics = {camera.topic: name for name, camera in contract.cameras.items()}
        for message in BagReader(episode).messages(topics):
            keeper.see(topics[message.topic], message.data)
        keeper.save(into)
        cause = {"cause": Cause.JOINT_OFFSET.value, "joint": FAILED_JOINT, "evidence": "by 0.3 rad"}
        verdict = Verdict(
            verdict="failed" if index else "passed",
            reason="recorded success, replayed failure" if index else "the recorded outcome was reproduced",
            contract_hash=contract.hash,
            messages_hash=load_episode(episode).messages_hash,
            recorded_outcome="success",
            tracking=tracking_report(contract.robot.joints, traces.recorded_measured, traces.measured),
            labels={"stream": "labels", "source": "sent"},
            diagnosis=[cause] if index else [],
        )
        found.append(Replayed(episode, into, 0, verdict))
    return found


@pytest.fixture(scope="module")
def page(replayed: list[Replayed], tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_replay_page(replayed, tmp_path_factory.mktemp("page") / "replays.html").read_text()


def test_keepsakes_come_back_as_they_were(replayed: list[Replayed], finished_run: Any) -> None:
    traces = load_traces(replayed[1].into)
    assert traces is not None
    assert (traces.joints, traces.gripper) == (finished_run.contract.robot.joints, (6,))
    assert np.array_equal(traces.measured, evidence(traces.joints, 0.3).measured)
    frames = load_frames(replayed[0].into)
    assert set(frames) == set(finished_run.contract.cameras)
    assert all((np.diff(each.stamps_ns) > 0).all() and len(each.pictures) > 5 for each in frames.values())


def test_a_broken_image_costs_no_other(finished_run: Any, tmp_path: Path) -> None:
    contract = finished_run.contract
    topics = {camera.topic: name for name, camera in contract.cameras.items()}
    seen = [(topics[each.topic], each.data) for each in BagReader(finished_run.demonstrations[0]).messages(topics)]
    keeper, whole = FrameKeeper(contract), FrameKeeper(contract)
    for camera, raw in seen:
        whole.see(camera, raw)
        for broken in (raw[:10], raw[: len(raw) // 2]):
            # Between two kept ones it is not looked at; the last one is, and is passed over.
            with contextlib.suppress(LearnedArmError):
                keeper.see(camera, broken)
        keeper.see(camera, raw)
    for name, each in (("broken", keeper), ("whole", whole)):
        (tmp_path / name).mkdir()
        each.save(tmp_path / name)
    kept, wanted = load_frames(tmp_path / "broken"), load_frames(tmp_path / "whole")
    assert set(kept) == set(wanted) == set(contract.cameras)
    for name, frames in wanted.items():
        assert np.array_equal(kept[name].stamps_ns, frames.stamps_ns)
        assert all(map(np.array_equal, kept[name].pictures, frames.pictures))


def test_a_camera_that_shows_nothing_but_broken_images_leaves_nothing(finished_run: Any, tmp_path: Path) -> None:
    keeper = FrameKeeper(finished_run.contract)
    with pytest.raises(LearnedArmError):
        keeper.see("front", b"no image")
    keeper.save(tmp_path)
    assert keeper.last() is None and load_frames(tmp_path) == {} and list(tmp_path.iterdir()) == []


def test_what_is_no_keepsake_is_an_error_on_the_page_and_not_its_end(replayed: list[Replayed], tmp_path: Path) -> None:
    (tmp_path / "replay_traces.npz").write_bytes(b"no archive")
    with pytest.raises(LearnedArmError, match="cannot be read"):
        load_traces(tmp_path)
    broken = Replayed(replayed[1].episode, tmp_path, 0, replayed[1].verdict)
    assert "Not shown: " in write_replay_page([broken], tmp_path / "page.html").read_text()
    assert load_traces(tmp_path / "nowhere") is None and load_frames(tmp_path / "nowhere") == {}


def test_what_failed_comes_first_with_its_cause(page: str) -> None:
    words = html.unescape(re.sub(r"<[^>]+>", " ", page.split("</style>")[1]))
    assert "1 of 2 replays reproduced the recorded outcome" in words
    assert f"Likeliest cause: {Cause.JOINT_OFFSET.value} ({FAILED_JOINT}): by 0.3 rad." in words
    assert words.index("Likeliest cause") < words.index("All replays")


def test_a_page_of_many_failures_stays_small(replayed: list[Replayed], tmp_path: Path) -> None:
    many = [Replayed(replayed[1].episode, replayed[1].into, repeat, replayed[1].verdict) for repeat in range(30)]
    text = write_replay_page(many, tmp_path / "page.html").read_text()
    assert text.count('class="replay"') == MOST_SHOWN and text.count("<tr><td>2") >= 30
    assert len(text) < 8_000_000


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium: run scripts/install_browser.sh")
def test_a_browser_shows_its_plots_and_films_and_asks_for_nothing_else(page: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", f"{ASK}</body>"))
    argv = ["chromium", *BROWSER, f"--user-data-dir={tmp_path}/browser", "--window-size=1200,900", "--dump-dom"]
    done = subprocess.run([*argv, path.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    found = re.search(r'data-said="([^"]*)"', done.stdout)
    assert found is not None, done.stderr[-2000:]
    said = json.loads(html.unescape(found[1]))
    assert {alt for alt, *_ in said["images"]} == {
        "recorded above, replayed below",
        "joints over time, recorded and replayed",
    }
    assert all(natural > 100 and shown > 100 for _, natural, shown in said["images"]), said["images"]
    assert said["first"] < 900, "why it failed must be seen without scrolling"
    assert all(each.startswith("data:") for each in said["outside"]), said["outside"]
    assert said["wide"] <= 0, "nothing may be cut off at the side"
