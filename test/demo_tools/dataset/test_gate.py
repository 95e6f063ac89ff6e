"""What may be learned from: proved labels, and what may stand in for a proof only when it is asked for."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_tools.dataset.gate import CONFIDENCE, Gate, admit
from demo_tools.direct.arm import DirectArm
from demo_tools.direct.demonstrate import demonstrate
from demo_tools.replay.golden import Waiver
from demo_tools.replay.many import drawn
from demo_tools.replay.verdict import FILE_NAME, Verdict
from demo_tools.statistics import clopper_pearson_interval
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import Episode, save_episode
from learned_arm.errors import LearnedArmError
from learned_arm.sealed import write_sealed

OLD = "0" * 64


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract("reach_cube")


@pytest.fixture(scope="module")
def episode(contract: Contract) -> Episode:
    return demonstrate(DirectArm(contract), 1).episode


def session(root: Path, episode: Episode, *words: str, contract_hash: str | None = None) -> list[Path]:
    """Episodes with these verdicts, in their order; an empty word: never replayed."""
    folders = []
    for index, word in enumerate(words):
        each = replace(episode, id=f"{index:032x}", name=f"e{index:03d}", messages_hash=f"{index:064x}")
        folder = root / each.name
        folder.mkdir(parents=True)
        save_episode(each, folder)
        if word:
            found = contract_hash or episode.contract_hash
            Verdict(word, f"it {word}", found, each.messages_hash, "success").save(folder)
        folders.append(folder)
    return folders


def test_only_what_passed_goes_in_and_every_other_says_why(
    tmp_path: Path, episode: Episode, contract: Contract
) -> None:
    found = admit(session(tmp_path, episode, "passed", "failed", "", "refused"), contract, Gate())
    assert [(each.folder.name, each.verdict) for each in found.accepted] == [("e000", "passed")]
    assert [each.reason for each in found.refused] == [
        "replay failed: it failed",
        "never replayed",
        "replay refused: it refused",
    ]
    assert found.sampling == {}


def test_a_sample_speaks_for_the_rest_only_as_far_as_it_proves(
    tmp_path: Path, episode: Episode, contract: Contract
) -> None:
    folders = session(tmp_path, episode, *["passed"] * 30, *[""] * 70)
    found = admit(folders, contract, Gate(accept_sampled=0.9))
    # 0.05 ** (1 / 30): thirty of thirty prove nine in ten, and no more.
    assert found.sampling == {
        "least": 0.9,
        "confidence": 0.95,
        "replayed": 30,
        "passed": 30,
        "bound": 0.905,
        "accepted": 70,
    }
    assert len(found.accepted) == 100 and found.refused == []
    strict = admit(folders, contract, Gate(accept_sampled=0.95))
    assert len(strict.accepted) == 30 and strict.sampling["accepted"] == 0
    assert "30 of 30 replays prove a pass rate of 0.905, wanted 0.95" in strict.refused[0].reason


def test_what_failed_stays_out_and_lowers_what_the_sample_proves(
    tmp_path: Path, episode: Episode, contract: Contract
) -> None:
    folders = session(tmp_path, episode, *["passed"] * 59, "failed", "refused", *[""] * 40)
    found = admit(folders, contract, Gate(accept_sampled=0.9))
    # What was refused might have failed: left out, it would make the sample better than it is.
    assert (found.sampling["replayed"], found.sampling["passed"]) == (61, 59)
    assert len(found.accepted) == 99 and len(found.refused) == 2
    assert all(each.reason.startswith("replay ") for each in found.refused)


def test_a_copy_is_no_second_witness(tmp_path: Path, episode: Episode, contract: Contract) -> None:
    (first, _) = session(tmp_path / "made", episode, "passed", "")
    copies = [Path(shutil.copytree(first, tmp_path / f"copy{number}")) for number in range(30)]
    unseen = session(tmp_path / "unseen", replace(episode, notes="another"), "", "")[1:]
    found = admit([first, *copies, *unseen], contract, Gate(accept_sampled=0.5))
    assert (found.sampling["replayed"], found.sampling["accepted"]) == (1, 0)
    assert len(found.accepted) == 1


@pytest.mark.parametrize("how", [{"dtype": "float16"}, {"hold": True}, {"shift_ticks": -1}, {"stream": "sent"}])
def test_labels_played_otherwise_than_they_are_learned_prove_nothing(
    tmp_path: Path, episode: Episode, contract: Contract, how: dict[str, Any]
) -> None:
    learned = {"stream": "labels", "dtype": "float32", "hold": False, "shift_ticks": 0}
    folder, unseen = session(tmp_path, episode, "passed", "")
    said = Verdict.load(folder)
    assert said is not None
    for labels, accepted in ((learned, 1), ({**learned, **how}, 0)):
        # A file of that name is what the gate reads, whatever is in it.
        write_sealed(folder / FILE_NAME, "replay", asdict(replace(said, labels=labels)))
        assert len(admit([folder], contract, Gate()).accepted) == accepted
        assert admit([folder, unseen], contract, Gate(accept_sampled=0.04)).sampling["replayed"] == accepted


def test_a_verdict_under_another_contract_is_no_part_of_the_sample(
    tmp_path: Path, episode: Episode, contract: Contract
) -> None:
    folders = session(tmp_path, episode, *["passed"] * 40, "", contract_hash=OLD)
    found = admit(folders, contract, Gate(accept_sampled=0.5))
    assert found.accepted == [] and found.sampling["replayed"] == 0


@given(passed=st.integers(0, 200), failed=st.integers(0, 50), truth=st.floats(0.5, 0.99))
def test_the_bound_is_one_sided_and_exact(passed: int, failed: int, truth: float) -> None:
    """If the rate were the bound, as many passes would come once in twenty sessions: by definition of the bound."""
    from scipy.stats import binom

    count = passed + failed
    bound = clopper_pearson_interval(passed, count, 2 * CONFIDENCE - 1)[0]
    if count and passed:
        assert binom.sf(passed - 1, count, bound) == pytest.approx(1 - CONFIDENCE, abs=1e-6)
        if truth < bound:
            assert binom.sf(passed - 1, count, truth) < 1 - CONFIDENCE


def test_waivers_lead_from_contract_to_contract(tmp_path: Path, episode: Episode, contract: Contract) -> None:
    folders = session(tmp_path, episode, "passed", "failed", contract_hash=OLD)
    states = [{"contract_hash": each, "software": {}, "snapshot_hash": ""} for each in (OLD, "1" * 64, contract.hash)]
    first, second = (Waiver(before, after, "g", ()) for before, after in pairwise(states))
    assert admit(folders, contract, Gate()).accepted == []
    assert admit(folders, contract, Gate(waivers=(second,))).accepted == []
    found = admit(folders, contract, Gate(waivers=(second, first)))
    assert [(each.folder.name, each.verdict) for each in found.accepted] == [("e000", "waived")]


def test_a_sample_is_drawn_at_random_from_its_seed(tmp_path: Path) -> None:
    folders = [tmp_path / f"{index:02d}" for index in range(20)]
    once, again, other = (drawn(folders, 5, seed) for seed in (1, 1, 2))
    assert once == again == drawn(folders[::-1], 5, 1) != other
    assert len(set(once)) == 5 and drawn(folders, 0, 1) == folders
    with pytest.raises(LearnedArmError, match="sample does not fit"):
        drawn(folders, 21, 0)
    with pytest.raises(LearnedArmError, match="share not in range"):
        Gate(accept_sampled=1.0)
