"""Another file, proved in a process of its own and offered: taken, refused or given up; the old one runs on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_policy_node.exchange import Exchange
from learned_policy_node.loading import load_policy
from learned_policy_node.proving import Demands, Prover
from learned_policy_node.selftest import SelfTest
from learned_policy_node.swap import SwappablePolicy

MakeModel = Callable[..., Path]
PATIENCE_S = 60.0


class Owner:
    """Has an exchange and waits for it."""

    def __init__(self, model: Path, demands: Demands | None = None) -> None:
        self.done = threading.Event()
        self.policy = SwappablePolicy(load_policy(model))
        self.exchange = Exchange(self.policy, demands or Demands(), self.done.set)

    def tries(self, path: Path) -> bool | None:
        self.done.clear()
        self.exchange.begin(path)
        assert self.exchange.text == f"loading {path.name}"
        assert self.done.wait(PATIENCE_S)
        return self.exchange.finish()


def test_a_proved_file_is_offered_and_named_by_its_hash(make_model: MakeModel) -> None:
    owner, new = Owner(make_model()), make_model("new.onnx", shift=0.5)
    running, wanted = owner.policy.current, load_policy(new)
    assert owner.exchange.finish() is None
    assert owner.tries(new)
    assert owner.exchange.text == f"swapped to {wanted.hash}"
    assert (owner.policy.current, owner.exchange.loading) == (running, None)
    found = owner.policy.newest
    assert (found.hash, found.path, found.tested) == (wanted.hash, new, True)
    for case in range(wanted.selftest.cases):
        feed = {name: array[case : case + 1] for name, array in wanted.selftest.inputs.items()}
        np.testing.assert_array_equal(found.run(feed)["action"], wanted.run(feed)["action"])


def test_what_runs_are_the_bytes_that_were_proved(make_model: MakeModel) -> None:
    """The file may change on the disk as soon as it has been read: its name is that of what was loaded."""
    owner, new = Owner(make_model()), make_model("new.onnx", shift=0.5)
    wanted = load_policy(new)
    assert owner.tries(new)
    new.write_bytes(b"")
    feed = {name: array[:1] for name, array in wanted.selftest.inputs.items()}
    np.testing.assert_array_equal(owner.policy.newest.run(feed)["action"], wanted.run(feed)["action"])
    assert owner.policy.newest.hash == wanted.hash


def test_what_is_refused_leaves_the_old_one_running(make_model: MakeModel, contract: Contract, tmp_path: Path) -> None:
    owner = Owner(make_model())
    running, good = owner.policy.current, owner.policy.current.selftest
    altered = {"action": good.outputs["action"] + np.float32(1e-3)}
    (tmp_path / "text.onnx").write_text("no model")
    refused = {
        tmp_path / "text.onnx": "corrupt model",
        make_model("altered.onnx", selftest=SelfTest(good.inputs, altered)): "self-test failed",
        make_model("slower.onnx", of=replace(contract, rate_hz=10)): "belongs to another robot or task",
    }
    for path, words in refused.items():
        assert owner.tries(path) is False
        assert owner.exchange.text.startswith("refused: ")
        assert words in owner.exchange.text
        assert owner.policy.newest is running
    with pytest.raises(LearnedArmError, match="no such file"):
        owner.exchange.begin(tmp_path / "absent.onnx")
    assert owner.policy.newest is running


def test_one_file_at_a_time_and_what_is_given_up_is_never_taken(make_model: MakeModel) -> None:
    owner, new = Owner(make_model()), make_model("new.onnx", shift=0.5)
    running = owner.policy.current
    assert not owner.exchange.cancel("too late")
    owner.exchange.begin(new)
    with pytest.raises(LearnedArmError, match=r"another policy is being loaded; got new.onnx"):
        owner.exchange.begin(new)
    assert owner.exchange.cancel("the arm went to sleep")
    assert owner.exchange.text == "refused: the arm went to sleep"
    assert owner.exchange.finish() is None
    assert owner.policy.newest is running
    assert owner.tries(new)


def test_a_model_slower_than_its_time_is_refused_before_it_runs(make_model: MakeModel) -> None:
    with pytest.raises(LearnedArmError, match="the policy hung"):
        Prover(make_model(), Demands(limit_s=1e-9)).prove()


def test_a_crash_of_the_prover_is_a_refusal_and_hurts_nothing_here(make_model: MakeModel) -> None:
    owner, new = Owner(make_model()), make_model("new.onnx", shift=0.5)
    running = owner.policy.current
    owner.exchange.begin(new)
    prover = owner.exchange._prover
    assert prover is not None
    while prover._process is None:
        time.sleep(0.001)
    prover._process.send_signal(signal.SIGSEGV)
    assert owner.done.wait(PATIENCE_S)
    assert owner.exchange.finish() is False
    assert owner.exchange.text == f"refused: {new}: proving it ended the process; got signal 11"
    assert owner.policy.newest is running
