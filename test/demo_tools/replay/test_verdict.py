"""A verdict is a signed statement: whole, reloadable, and it shows when it was altered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo_tools.replay.judge import TopicJudge
from demo_tools.replay.verdict import FILE_NAME, Verdict
from learned_arm.errors import LearnedArmError

PASSED = Verdict("passed", "reproduced", "c" * 64, "m" * 64, "success", {"elbow_joint": 0.01})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    PASSED.save(tmp_path)
    assert Verdict.load(tmp_path) == PASSED
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


def test_an_episode_without_a_verdict_has_none(tmp_path: Path) -> None:
    assert Verdict.load(tmp_path) is None


def test_an_altered_verdict_is_an_error(tmp_path: Path) -> None:
    PASSED.save(tmp_path)
    path = tmp_path / FILE_NAME
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "recorded_outcome": "failure"}))
    with pytest.raises(LearnedArmError, match="was altered"):
        Verdict.load(tmp_path)


def test_a_file_that_is_no_verdict_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("[]")
    with pytest.raises(LearnedArmError, match=FILE_NAME):
        Verdict.load(tmp_path)


@pytest.mark.parametrize(
    ("messages", "success"),
    [([], False), ([False, False], False), ([False, True], True), ([True, False], False), ([True, True], True)],
)
def test_the_topic_judge_wants_success_latched_and_at_the_end(messages: list[bool], success: bool) -> None:
    judge = TopicJudge()
    for message in messages:
        judge.observe(message)
    assert judge.judge().success is success
