"""The report: whole in itself, true to the run's files, and plain about what is missing or does not agree."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from demo_tools.report import write_report
from demo_tools.report.plots import loss_curves
from learned_arm.errors import LearnedArmError

_LARGEST_BYTES = 15_000_000


class _Page(HTMLParser):
    """Collects what a page refers to, its images and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.images: list[str] = []
        self.words: list[str] = []
        self.styles: list[str] = []
        self.tags: set[str] = set()
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in_style = tag == "style"
        for name, value in attrs:
            if name in ("src", "href", "data", "srcset", "action"):
                self.references.append(value or "")
            if tag == "img" and name == "src":
                self.images.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        (self.styles if self._in_style else self.words).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> _Page:
    folder = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(finished_run.folder, folder)
    path = write_report(folder)
    assert path == folder / "report.html"
    assert path.stat().st_size < _LARGEST_BYTES
    return _Page(path.read_text())


@pytest.fixture
def run_copy(finished_run: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(finished_run.folder, folder)
    return folder


def _page(folder: Path) -> _Page:
    return _Page(write_report(folder).read_text())


def test_refers_to_nothing_outside_itself(page: _Page) -> None:
    assert page.references
    assert all(each.startswith("data:") for each in page.references)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"url\(|@import", " ".join(page.styles))


def test_says_the_figures(page: _Page) -> None:
    for words in (
        "5 / 6",
        "0 / 3",
        "4 / 5",
        "43.6 % to 97.0 %",
        "the cube was not lifted",
        "8.3e-07",
        "13.1 min",
    ):
        assert words in page.text, words


def test_nothing_is_missing(page: _Page) -> None:
    assert "Not on this page" not in page.text
    assert "broken" not in page.text
    assert "not checked" not in page.text


def test_pictures_move(page: _Page) -> None:
    films = []
    for uri in page.images:
        head, data = uri.split(",", 1)
        if head == "data:image/webp;base64":
            with Image.open(io.BytesIO(base64.b64decode(data))) as image:
                films.append((getattr(image, "n_frames", 1), image.size))
    moving = [size for frames, size in films if frames > 1]
    # Five of the six rollouts' successes show four; one failure; three blind ones.
    assert len(moving) == 4 + 1 + 3
    assert set(moving) == {(96 + 2 + 96, 96)}
    assert len(films) - len(moving) == 4 * 2 * 3


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("blind.json", "blind evaluation"),
        ("evaluation.json", "evaluation"),
        ("training/loss.json", "loss curve"),
        ("policy.onnx", "policy"),
        ("replays.json", "replays"),
        ("stages.json", "stage times"),
        ("dataset/manifest.json", "dataset manifest"),
        ("summary.json", "summary"),
        ("record.json", "demonstrations"),
    ],
)
def test_missing_parts_are_named(run_copy: Path, file: str, named: str) -> None:
    (run_copy / file).unlink()
    text = _page(run_copy).text
    assert "Not on this page" in text
    assert f"{named} : {Path(file).name}" in text or f"{named} : not in this run; got {file}" in text
    assert "✗ broken" not in text


def test_a_damaged_part_does_not_stop_the_rest(run_copy: Path, finished_run: Any) -> None:
    (run_copy / "training/loss.json").write_text("{")
    bag = next((run_copy / finished_run.demonstrations[0].relative_to(finished_run.folder)).glob("*.mcap"))
    bag.write_bytes(bag.read_bytes()[:1000])
    text = _page(run_copy).text
    assert "loss curve : " in text
    assert f"stills of {bag.parent.name} : " in text
    assert "5 / 6" in text


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (
            lambda run: run["evaluation.json"].update(policy="0" * 64),
            "evaluation: does not hold: was made with this policy",
        ),
        (
            lambda run: run["summary.json"]["hashes"].update(dataset="0" * 64),
            "dataset: does not hold: equals the summary's",
        ),
        (
            lambda run: run["summary.json"]["hashes"].update(policy="0" * 64),
            "policy: does not hold: equals the summary's",
        ),
        (
            lambda run: run["summary.json"]["hashes"].update(episodes="0" * 64),
            "episodes: does not hold: equals the summary's",
        ),
    ],
)
def test_a_broken_chain_shows(run_copy: Path, change: Any, where: str) -> None:
    run = {name: json.loads((run_copy / name).read_text()) for name in ("evaluation.json", "summary.json")}
    change(run)
    for name, value in run.items():
        (run_copy / name).write_text(json.dumps(value))
    text = _page(run_copy).text
    assert "The chain of hashes is broken" in text
    assert where in text


def test_a_path_out_of_the_run_is_refused(run_copy: Path) -> None:
    value = json.loads((run_copy / "record.json").read_text())
    value["episodes"][0]["folder"] = "../../elsewhere"
    (run_copy / "record.json").write_text(json.dumps(value))
    assert "leads out of the run" in _page(run_copy).text


def test_texts_from_files_are_escaped(run_copy: Path) -> None:
    value = json.loads((run_copy / "replays.json").read_text())
    value["replays"][1]["reason"] = "<script>alert(1)</script>"
    (run_copy / "replays.json").write_text(json.dumps(value))
    page = _page(run_copy)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(LearnedArmError, match="no run here"):
        write_report(tmp_path)
    with pytest.raises(LearnedArmError, match="no such folder"):
        write_report(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_loss_curves() -> None:
    value = {
        "recipe": {},
        "curve": [{"iteration": 10.0, "train": 1.0}, {"iteration": 20.0, "train": 0.5, "validation": 0.7}],
    }
    assert loss_curves(value) == {"train": [(10.0, 1.0), (20.0, 0.5)], "validation": [(20.0, 0.7)]}
    with pytest.raises(KeyError):
        loss_curves({"curve": []})
