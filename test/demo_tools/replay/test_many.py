"""Many replays: each once, in a random order, none twice; together they say what no single one can."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo_tools.direct.arm import DirectArm
from demo_tools.direct.demonstrate import demonstrate
from demo_tools.replay.diagnosis import Cause
from demo_tools.replay.many import ManyReplays, lines, summary, together
from demo_tools.replay.verdict import Verdict
from learned_arm.contract import load_contract
from learned_arm.episode import load_episode, save_episode
from learned_arm.errors import LearnedArmError


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    arm, root = DirectArm(load_contract("reach_cube")), tmp_path_factory.mktemp("episodes")
    episodes = [demonstrate(arm, seed).episode for seed in range(4)]
    for each in episodes:
        (root / each.name).mkdir()
        save_episode(each, root / each.name)
    return [root / each.name for each in episodes]


def verdict(word: str, messages: str = "", cause: Cause | None = None) -> Verdict:
    diagnosis = [{"cause": cause.value, "joint": "", "evidence": ""}] if cause else []
    return Verdict(word, f"it {word}", "c", messages, "success", labels={"stream": "labels"}, diagnosis=diagnosis)


def identity(folder: Path) -> str:
    return load_episode(folder).messages_hash


def test_each_is_replayed_as_often_as_asked_in_an_order_of_the_seed(folders: list[Path], tmp_path: Path) -> None:
    first, again, other = (ManyReplays(folders, tmp_path, 3, seed).left() for seed in (1, 1, 2))
    assert first == again and first != other
    assert sorted((job.episode, job.repeat) for job in first) == [
        (folder, repeat) for folder in sorted(folders) for repeat in range(3)
    ]
    assert len({job.into for job in first}) == len(first)


def test_a_run_that_was_cut_off_goes_on_where_it_was(folders: list[Path], tmp_path: Path) -> None:
    many = ManyReplays(folders, tmp_path, 2)
    done, *left = many.left()
    done.into.mkdir(parents=True)
    verdict("passed", identity(done.episode)).save(done.into)
    assert ManyReplays(folders, tmp_path, 2).left() == left
    left[0].into.mkdir(parents=True)
    verdict("passed", "of something else").save(left[0].into)
    with pytest.raises(LearnedArmError, match="another episode"):
        many.left()


def test_what_was_refused_or_aborted_is_done_again(folders: list[Path], tmp_path: Path) -> None:
    words = dict(zip(ManyReplays(folders, tmp_path).left(), ("passed", "failed", "refused", "aborted"), strict=True))
    for job, word in words.items():
        verdict(word, identity(job.episode)).save(job.into)
    assert {words[job] for job in ManyReplays(folders, tmp_path).left()} == {"refused", "aborted"}


def test_a_summary_has_intervals_and_groups_what_failed_by_its_cause(folders: list[Path]) -> None:
    late = verdict("failed", cause=Cause.LATENCY)
    found = summary(
        {folders[0]: [verdict("passed")] * 2, folders[1]: [late] * 2, folders[2]: [verdict("passed"), late]}
    )
    assert (found["passed"], found["count"], found["episodes"]) == (3, 6, 3)
    low, high = found["clopper_pearson"]
    wilson_low, wilson_high = found["wilson"]
    assert low < wilson_low < 0.5 < wilson_high < high
    assert found["causes"] == {Cause.LATENCY: {"replays": 3, "episodes": sorted(each.name for each in folders[1:3])}}
    assert found["unsteady"] == [folders[2].name]
    assert any(Cause.LATENCY in line for line in lines(found))


def test_an_episode_passed_if_all_of_its_replays_did(folders: list[Path], tmp_path: Path) -> None:
    many = ManyReplays(folders[:2], tmp_path, 2)
    for job in many.left():
        job.into.mkdir(parents=True)
        word = "failed" if job.episode == folders[0].resolve() and job.repeat == 1 else "passed"
        verdict(word, identity(job.episode), Cause.WORLD if word == "failed" else None).save(job.into)
    many.conclude()
    unsteady, steady = (Verdict.load(folder) for folder in folders[:2])
    assert steady is not None and (steady.verdict, steady.repeats) == ("passed", {"passed": 2, "count": 2})
    assert unsteady is not None and (unsteady.verdict, unsteady.repeats) == ("failed", {"passed": 1, "count": 2})
    assert [each["cause"] for each in unsteady.diagnosis] == [Cause.UNSTEADY, Cause.WORLD]


def test_what_fails_every_time_is_steady_and_keeps_its_cause() -> None:
    found = together([verdict("failed", cause=Cause.SIGN)] * 3, 3)
    assert [each["cause"] for each in found.diagnosis] == [Cause.SIGN]
    assert together([verdict("passed"), verdict("refused")], 2).verdict == "refused"


def test_a_replay_that_left_no_verdict_is_no_pass() -> None:
    found = together([verdict("passed")], 3)
    assert (found.verdict, found.reason, found.repeats) == (
        "aborted",
        "2 of 3 replays left no verdict",
        {"passed": 1, "count": 3},
    )


def test_nothing_to_replay_is_an_error(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(LearnedArmError, match="no episode"):
        ManyReplays([], tmp_path)
    with pytest.raises(LearnedArmError, match="1 or more"):
        ManyReplays(folders, tmp_path, times=0)
    with pytest.raises(LearnedArmError, match="two episodes of one name"):
        ManyReplays([folders[0], folders[0]], tmp_path)
