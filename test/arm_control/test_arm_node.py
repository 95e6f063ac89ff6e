"""arm_node as a process, seen from a driver and from a source: joint states and targets in, commands out."""

from __future__ import annotations

import copy
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from learned_arm import cdr
from learned_arm.contract import Contract, load_contract
from learned_arm.timeline import Timeline, at_point
from test import patience

pytestmark = pytest.mark.ros
CONTRACT = load_contract("pick_cube")
JOINTS, DOF = CONTRACT.robot.joints, CONTRACT.robot.dof
HOME = np.array(CONTRACT.robot.home_rad)
GOAL = HOME + 0.1
FAR = HOME + np.array([0.8] * 6 + [0.6])
SECOND_NS, CONTROL_NS, TICK_NS = 1_000_000_000, CONTRACT.robot.control_period_ns, CONTRACT.period_ns
REVERSED = tuple(range(DOF))[::-1]


class Bench:
    """A driver that reports where it was commanded to, and sources that ask for the lease."""

    def __init__(self, domain_id: int, contract: Contract) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import JointState
        from std_msgs.msg import Float64MultiArray
        from trajectory_msgs.msg import JointTrajectory

        from learned_arm.ros import messages, qos
        from learned_arm.ros.door import DoorClient
        from learned_arm.ros.remote import RemoteNode

        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("bench", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._messages = messages
        self.sources = {name: DoorClient(self.node, contract.robot, name) for name in ("policy", "teleop")}
        self._targets = self.node.create_publisher(JointTrajectory, "/arm/policy/targets", qos.small())
        self.door = RemoteNode(self.node, "/arm_node")
        self._joints = self.node.create_publisher(JointState, "/joint_states", qos.small())
        self.position, self.order = HOME.copy(), tuple(range(DOF))
        self._added: dict[str, Any] = {}
        self.commands: dict[str, list[Any]] = {group.name: [] for group in contract.robot.groups}
        self.sent, self.requested, self.states = [], [], list[tuple[str, dict[str, str]]]()
        kinds = {"forward_position": Float64MultiArray, "joint_trajectory": JointTrajectory}
        for group in contract.robot.groups:
            place, kept = contract.robot.slices[group.name], self.commands[group.name]

            def on_command(message: Any, place: slice = place, kept: list[Any] = kept) -> None:
                kept.append(message)
                data = message.data if hasattr(message, "data") else message.points[0].positions
                self.position[place] = data

            self.node.create_subscription(kinds[group.command.adapter], group.command.topic, on_command, qos.small())
        for topic, kept in {"/arm/sent": self.sent, "/arm/requested": self.requested}.items():

            def on_raw(raw: Any, kept: list[Any] = kept) -> None:
                kept.append(cdr.read_joint_state(raw))

            self.node.create_subscription(JointState, topic, on_raw, qos.small(), raw=True)

        def on_status(message: DiagnosticStatus) -> None:
            self.states.append((message.message, messages.status_values(message)))

        self.node.create_subscription(DiagnosticStatus, "/arm_node/status", on_status, qos.small())
        self.wait(lambda: all(source.ready for source in self.sources.values()) and bool(self.states))
        self.wait(lambda: self._joints.get_subscription_count() > 0 and self._targets.get_subscription_count() > 0)

    @property
    def now_ns(self) -> int:
        return self.node.get_clock().now().nanoseconds

    @property
    def values(self) -> dict[str, str]:
        """The newest status."""
        return self.states[-1][1]

    def wait(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline_s = time.monotonic() + seconds
        while not done():
            self._executor.spin_once(timeout_sec=0.02)
            assert time.monotonic() < deadline_s, f"waited in vain: {self.states[-1:]}"

    def spin(self, seconds: float) -> None:
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            self._executor.spin_once(timeout_sec=0.02)

    def publish(self, stamp_ns: int, order: Sequence[int] | None = None, position: np.ndarray | None = None) -> None:
        """Joint states in an order of the robot's joints; a shorter order leaves joints out."""
        order = list(self.order if order is None else order)
        values = (self.position if position is None else position)[order]
        names = [JOINTS[index] for index in order]
        self._joints.publish(self._messages.joint_state(stamp_ns, names, values))

    def publish_odd(self, stamp_ns: int) -> None:
        """Joint states with a position too few."""
        self._joints.publish(self._messages.joint_state(stamp_ns, JOINTS, self.position[1:]))

    def publish_targets(self, stamp_ns: int, joints: Sequence[str], timeline: Timeline) -> None:
        """Targets of the policy for joints of one's own choice."""
        self._targets.publish(self._messages.targets(stamp_ns, joints, timeline))

    def drive(self) -> Callable[[], object]:
        """Publish joint states at the control rate until the returned function is called."""
        timer = self.node.create_timer(CONTROL_NS / 1e9, lambda: self.publish(self.now_ns))
        return lambda: self.node.destroy_timer(timer)

    def add_joints(self, topic: str, order: Sequence[int]) -> None:
        """Publish some joints on a topic of their own, at the control rate."""
        from sensor_msgs.msg import JointState

        from learned_arm.ros import qos

        out, names = self.node.create_publisher(JointState, topic, qos.small()), [JOINTS[index] for index in order]

        def publish() -> None:
            out.publish(self._messages.joint_state(self.now_ns, names, self.position[list(order)]))

        self._added[topic] = self.node.create_timer(CONTROL_NS / 1e9, publish)

    def silence(self, topic: str) -> None:
        """Stop what `add_joints` began."""
        self.node.destroy_timer(self._added.pop(topic))

    def ask(self, call: Callable[[Callable[[bool, str], None]], None]) -> tuple[bool, str]:
        """Call a service and wait for its answer."""
        answers: list[tuple[bool, str]] = []
        call(lambda accepted, words: answers.append((accepted, words)))
        self.wait(lambda: bool(answers))
        return answers[0]

    def trigger(self, service: str) -> tuple[bool, str]:
        from std_srvs.srv import Trigger

        self.door.prepare(**{service: Trigger})
        self.wait(lambda: self.door.ready)
        return self.ask(lambda answer: self.door.trigger(service, answer))

    def tick(self, stamp_ns: int) -> Any:
        """Lock-step: publish joint states and wait for the one answer."""
        self.publish(stamp_ns)
        return self.answered(stamp_ns)

    def answered(self, stamp_ns: int) -> Any:
        """Wait for the answer to a stamp and, where joints were commanded, for the commands."""
        self.wait(lambda: bool(self.sent) and self.sent[-1].stamp_ns == stamp_ns)
        commanded = sum(bool(view.names) for view in self.sent)
        self.wait(lambda: all(len(kept) == commanded for kept in self.commands.values()))
        return self.sent[-1]

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture
def bench(spawn: Any, ros_domain_id: int) -> Iterator[Callable[..., Bench]]:
    """Starts arm_node with parameters, and a bench around it."""
    made: list[Bench] = []

    def start(contract: str | Path = "pick_cube", **parameters: object) -> Bench:
        # A busy machine keeps a source silent for longer than a lab would let it.
        parameters = {"source_timeout_s": 30.0, **parameters}
        spawn.node("arm_control.arm_node", contract=contract, **parameters)
        made.append(Bench(ros_domain_id, load_contract(contract)))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """A contract whose joint states may be a second old: this process shares its cores with every other test."""
    path = tmp_path / "patient.yaml"
    path.write_text(yaml.safe_dump(patience.patient(CONTRACT)))
    return path


def ramp(start_ns: int, seconds: float = 0.5) -> Timeline:
    """From home to the goal, staying there for two seconds."""
    stamps = start_ns + np.array([0, round(seconds * SECOND_NS), round((seconds + 2) * SECOND_NS)])
    return Timeline(stamps, np.array([HOME, GOAL, GOAL]))


def commanders(each: Bench) -> list[str]:
    """Who commanded, in turn: one entry for every stretch of commands."""
    found: list[str] = []
    for view in each.sent:
        if not found or view.frame_id != found[-1]:
            found.append(view.frame_id)
    return found


def test_in_real_time_a_source_moves_the_arm_and_joints_go_by_name(bench: Callable[..., Bench], patient: Path) -> None:
    each = bench(patient)
    each.order = REVERSED
    each.drive()
    each.spin(0.3)
    assert each.sent == [] and each.commands["arm"] == []
    assert each.ask(each.sources["policy"].engage) == (True, "policy engaged")
    each.spin(0.2)
    start_ns = each.now_ns
    each.sources["policy"].send(start_ns, ramp(start_ns))
    each.wait(lambda: bool(np.allclose(each.sent[-1].position, GOAL, atol=0, rtol=1e-12)))
    assert each.values["state"] == "engaged" and each.values["holder"] == "policy"
    stamps = [view.stamp_ns for view in each.sent]
    assert (np.diff(stamps) > 0).all() and all(view.names == JOINTS for view in each.sent + each.requested)
    path = np.array([view.position for view in each.sent])
    np.testing.assert_array_equal(path[0], HOME)
    # The ramp ends at once; the arm needs its braking distance.
    assert (path >= HOME).all() and (path <= GOAL + 0.01).all()
    assert {view.stamp_ns for view in each.requested[:-1]} <= set(stamps)
    for group, messages in each.commands.items():
        data = np.array([message.data for message in messages])
        place = CONTRACT.robot.slices[group]
        np.testing.assert_array_equal(data[: len(path)], path[: len(data), place])
    assert each.ask(each.sources["policy"].release) == (True, "released by policy")
    each.spin(0.2)
    count = len(each.sent)
    each.spin(0.3)
    assert len(each.sent) == count
    # Every command says who gave it; one last message without a name says that nobody does any more.
    assert commanders(each) == ["policy", ""] and {view.frame_id for view in each.requested} == {"policy"}
    assert [view.names for view in each.sent].index(()) == len(each.sent) - 1


def test_in_real_time_bad_messages_are_refused_and_silence_is_a_fault(
    bench: Callable[..., Bench], patient: Path
) -> None:
    each = bench(patient)
    assert each.ask(each.sources["policy"].engage)[1].startswith("no measured joint state yet")
    stop = each.drive()
    each.spin(0.2)
    assert each.ask(each.sources["policy"].engage)[0]
    assert each.ask(each.sources["teleop"].engage) == (True, "teleop engaged, taken from policy")
    assert each.ask(each.sources["policy"].engage)[0] is False
    assert each.ask(each.sources["teleop"].release)[0] and each.ask(each.sources["policy"].engage)[0]
    for _ in range(5):
        each.publish_odd(each.now_ns)
        each.publish(each.now_ns, [0, 0, 1])
    stamp_ns = each.now_ns
    past_ns = stamp_ns - 10 * SECOND_NS
    each.sources["policy"].send(past_ns, ramp(past_ns))
    each.publish_targets(stamp_ns, ("tail",), at_point(stamp_ns + TICK_NS, np.zeros(1)))
    each.wait(lambda: each.values["refused_targets"] == "2")
    assert each.values["state"] == "holding"
    assert all((view.position == HOME).all() for view in each.sent if view.names) and each.requested == []
    stop()
    each.wait(lambda: each.values["state"] == "fault")
    assert "silent" in each.states[-1][0]
    assert "clear_fault first" in each.ask(each.sources["policy"].engage)[1]
    assert each.trigger("clear_fault") == (True, "ready")
    assert "silent" in each.ask(each.sources["policy"].engage)[1]
    each.drive()
    each.spin(0.2)
    assert each.ask(each.sources["policy"].engage)[0]
    assert each.trigger("stop")[0]
    each.wait(lambda: each.values["state"] == "stopped")
    assert each.ask(each.sources["policy"].engage)[0] is False


def test_in_real_time_a_person_takes_over_in_mid_motion_and_the_policy_is_not_heard(
    bench: Callable[..., Bench], patient: Path
) -> None:
    each = bench(patient)
    each.drive()
    each.wait(lambda: each.values["state"] == "ready")
    policy, teleop = each.sources["policy"], each.sources["teleop"]
    assert each.ask(policy.engage)[0]

    far = Timeline(each.now_ns + np.array([0, 2 * SECOND_NS, 20 * SECOND_NS]), np.array([HOME, FAR, FAR]))

    def insist() -> None:
        policy.send(each.now_ns, far)

    insist()
    each.wait(lambda: bool(each.sent) and bool((each.sent[-1].position > HOME + 0.05).all()))
    # The policy goes on sending: it is neither heard nor counted as wrong.
    stubborn = each.node.create_timer(0.05, insist)
    assert each.ask(teleop.engage) == (True, "teleop engaged, taken from policy")
    each.spin(0.3)
    assert (each.values["holder"], each.values["state"]) == ("teleop", "holding")
    first = next(index for index, view in enumerate(each.sent) if view.frame_id == "teleop")
    path = np.array([view.position for view in each.sent])
    steps = np.diff(path, axis=0)[first - 1 :]
    speed = np.diff(path, axis=0)[first - 2]
    # It brakes from the speed that it had, and stays: no step back, none further than the last.
    assert (steps[0, :6] > 0).all() and (steps >= 0).all() and (steps[-1] == 0).all()
    assert (steps <= 2.5 * speed).all() and (path[-1] < FAR).all()
    now_ns = each.now_ns
    teleop.send(now_ns, Timeline(now_ns + np.array([0, SECOND_NS]), np.array([path[-1], HOME])))
    each.wait(lambda: each.values["state"] == "engaged")
    each.spin(0.3)
    assert each.ask(teleop.release) == (True, "released by teleop")
    each.wait(lambda: not each.sent[-1].names)
    # Nobody moves it now, whatever the policy sends, until the policy asks for the lease.
    count = len(each.sent)
    each.spin(0.3)
    assert len(each.sent) == count and commanders(each) == ["policy", "teleop", ""]
    assert (each.values["holder"], each.values["state"]) == ("", "ready")
    assert each.values["refused_targets"] == "0"
    assert each.ask(policy.engage) == (True, "policy engaged")
    each.wait(lambda: commanders(each) == ["policy", "teleop", "", "policy"])
    each.node.destroy_timer(stubborn)


def test_in_lock_step_a_takeover_is_told_at_once_and_waits_for_the_new_holder(bench: Callable[..., Bench]) -> None:
    each = bench(use_sim_time=True)
    ticks = iter(SECOND_NS + k * CONTROL_NS for k in range(1000))
    policy, teleop = each.sources["policy"], each.sources["teleop"]
    each.tick(next(ticks))
    assert each.ask(policy.engage)[0]

    def run(count: int, source: str, timeline: Timeline) -> int:
        """Control ticks in which a source answers, up to and without the answer to a tick of the contract."""
        while True:
            stamp_ns = next(ticks)
            each.publish(stamp_ns)
            if stamp_ns % TICK_NS == 0:
                count -= 1
                if count < 0:
                    return stamp_ns
                each.sources[source].send(stamp_ns, timeline)
            each.answered(stamp_ns)

    far = Timeline(SECOND_NS + np.array([0, 2 * SECOND_NS, 20 * SECOND_NS]), np.array([HOME, FAR, FAR]))
    awaited_ns = run(6, "policy", far)
    moved = each.sent[-1].position - each.sent[-2].position
    assert (moved > 0).all()
    # The door waits for the policy's answer, and says who holds the lease without waiting for the next step.
    heard = len(each.states)
    assert each.ask(teleop.engage)[0] and teleop.first_tick_ns == awaited_ns
    each.wait(lambda: len(each.states) > heard and each.values["holder"] == "teleop", 0.15)
    policy.send(awaited_ns, far)
    each.spin(0.2)
    assert each.sent[-1].stamp_ns < awaited_ns and each.values["refused_targets"] == "0"
    back = Timeline(awaited_ns + np.array([0, SECOND_NS]), np.array([each.sent[-1].position, HOME]))
    teleop.send(awaited_ns, back)
    each.answered(awaited_ns)
    awaited_ns = run(4, "teleop", back)
    assert each.ask(teleop.release) == (True, "released by teleop")
    # It was waiting for the person: nobody needs to answer now.
    each.answered(awaited_ns)
    policy.send(awaited_ns, far)
    for _ in range(60):
        each.tick(next(ticks))
    assert each.sent[-1].names == () and commanders(each) == ["", "policy", "teleop", ""]
    path = np.array([view.position for view in each.sent if view.names])
    speed = np.diff(path, axis=0, prepend=path[:1]) / (CONTROL_NS / 1e9)
    change = np.abs(np.diff(speed, axis=0)) / (CONTROL_NS / 1e9)
    assert (change <= CONTRACT.robot.limit("acceleration_rad_s2") * (1 + 1e-6)).all()
    assert each.values["holder"] == "" and each.values["state"] == "ready"
    assert each.ask(policy.engage)[0]
    run(2, "policy", far)
    assert commanders(each)[-1] == "policy"


class Switch:
    """A deadman on a topic: repeats itself until it is unplugged."""

    def __init__(self, each: Bench, kind: str) -> None:
        from sensor_msgs.msg import Joy
        from std_msgs.msg import Bool

        from learned_arm.ros import qos

        self.pressed, self._kind, self._make = True, kind, {"joy": Joy, "bool": Bool}[kind]
        self._each, self._out = each, each.node.create_publisher(self._make, "/deadman", qos.small())
        self._timer = each.node.create_timer(0.05, self._repeat)

    def unplug(self) -> None:
        self._each.node.destroy_timer(self._timer)

    def _repeat(self) -> None:
        if self._kind == "joy":
            self._out.publish(self._make(buttons=[0, 1, int(self.pressed)]))
        else:
            self._out.publish(self._make(data=self.pressed))


@pytest.mark.parametrize(("kind", "end"), [("joy", "released"), ("bool", "silent")])
def test_without_the_deadman_the_lease_is_taken_and_the_arm_brakes(
    bench: Callable[..., Bench], patient: Path, kind: str, end: str
) -> None:
    each = bench(patient, deadman_topic="/deadman", deadman_type=kind, deadman_button=2, deadman_timeout_s=1.0)
    each.drive()
    each.wait(lambda: each.values["state"] == "ready")
    assert "deadman never heard" in each.ask(each.sources["policy"].engage)[1]
    switch = Switch(each, kind)
    each.wait(lambda: each.ask(each.sources["policy"].engage)[0])
    start_ns = each.now_ns
    each.sources["policy"].send(start_ns, ramp(start_ns, 20.0))
    each.wait(lambda: each.values["state"] == "engaged")
    if end == "silent":
        switch.unplug()
    else:
        switch.pressed = False
    each.wait(lambda: each.values["state"] == "ready")
    assert f"deadman {end}" in each.states[-1][0] and each.values["holder"] == ""
    each.spin(0.3)
    count = len(each.sent)
    each.spin(0.2)
    assert len(each.sent) == count
    assert f"deadman {end}" in each.ask(each.sources["policy"].engage)[1]


@pytest.mark.parametrize(("off_ns", "words"), [(10 * SECOND_NS, "in the future"), (-10 * SECOND_NS, "backward")])
def test_in_real_time_joint_states_of_another_time_disarm(
    bench: Callable[..., Bench], patient: Path, off_ns: int, words: str
) -> None:
    each = bench(patient)
    stop = each.drive()
    each.wait(lambda: each.values["state"] == "ready")
    assert each.ask(each.sources["policy"].engage)[0]
    stop()
    each.publish(each.now_ns + off_ns, position=HOME + 1.0)
    each.wait(lambda: each.values["state"] == "stopped")
    assert words in each.states[-1][0] and each.values["time_faults"] == "1"
    assert all((view.position == HOME).all() for view in each.sent if view.names)
    each.drive()
    assert "clear_fault first" in each.ask(each.sources["policy"].engage)[1]
    assert each.trigger("clear_fault") == (True, "ready")
    assert each.ask(each.sources["policy"].engage)[0]


def test_joint_states_of_two_topics_must_both_be_fresh(
    bench: Callable[..., Bench], patient: Path, tmp_path: Path
) -> None:
    content = yaml.safe_load(patient.read_text())
    content["robot"]["joint_states"].append({"topic": "/gripper/joint_states", "max_age_s": 1.5})
    path = tmp_path / "two_topics.yaml"
    path.write_text(yaml.safe_dump(content))
    each = bench(path)
    each.order = tuple(range(6))
    each.drive()
    each.spin(0.3)
    assert each.values["state"] == "unconfigured" and each.values["measured"] == "False"
    each.add_joints("/gripper/joint_states", [6])
    each.wait(lambda: each.values["state"] == "ready")
    assert each.ask(each.sources["policy"].engage)[0]
    each.silence("/gripper/joint_states")
    each.wait(lambda: each.values["state"] == "fault")
    assert "joint states of /gripper/joint_states silent" in each.states[-1][0]


def test_a_source_that_is_none_is_refused_as_a_whole(bench: Callable[..., Bench]) -> None:
    from std_srvs.srv import SetBool

    each = bench(use_sim_time=True)
    each.tick(SECOND_NS + CONTROL_NS)
    assert each.ask(each.sources["policy"].engage)[0]
    each.door.prepare(engage=SetBool)
    each.wait(lambda: each.door.ready)
    for changes in ({"source": "ghost"}, {"source": "teleop", "deadman_timeout_s": 1.0}):
        request = SetBool.Request(data=True)
        accepted, words = each.ask(lambda answer: each.door.call("engage", request, answer, changes))  # noqa: B023
        assert not accepted and words.startswith("/arm_node refused parameters: ")
    # Still the policy's.
    assert each.ask(lambda answer: each.door.call("engage", SetBool.Request(data=False), answer)) == (
        True,
        "released by policy",
    )


def test_controllers_without_a_timeout_are_warned_of(bench: Callable[..., Bench], spawn: Any) -> None:
    bench()
    assert spawn.processes[-1].output().count("a forward_position controller has no timeout") == 2


def test_in_lock_step_each_joint_state_has_one_answer_and_targets_are_awaited(
    bench: Callable[..., Bench],
) -> None:
    each = bench(use_sim_time=True)
    stamps = [SECOND_NS + k * CONTROL_NS for k in range(200)]
    ticks = iter(stamps)
    answered = [each.tick(next(ticks)) for _ in range(7)]
    assert [view.names for view in answered] == [()] * 7 and each.commands["arm"] == []
    each.order = REVERSED
    assert each.ask(each.sources["policy"].engage)[0]
    for stamp_ns in ticks:
        each.publish(stamp_ns)
        if stamp_ns % TICK_NS == 0:
            each.spin(0.1)
            assert each.sent[-1].stamp_ns < stamp_ns
            if stamp_ns > stamps[60]:
                break
            # Targets of another tick are not taken for this one.
            each.sources["policy"].send(stamp_ns + TICK_NS, at_point(stamp_ns + TICK_NS, HOME - 1.0))
            each.spin(0.05)
            assert each.sent[-1].stamp_ns < stamp_ns
            each.sources["policy"].send(stamp_ns, ramp(stamps[10]))
        each.answered(stamp_ns)
    done = len(each.sent)
    assert [len(kept) for kept in each.commands.values()] == [done - 7] * 2
    assert [view.stamp_ns for view in each.sent] == stamps[:done]
    np.testing.assert_array_equal(each.sent[-1].position, GOAL)
    # The source says nothing more: the door gives up on it, brakes and answers.
    each.wait(lambda: len(each.sent) > done, 8.0)
    each.wait(lambda: each.values["state"] == "stopped")
    assert "sent no targets" in each.states[-1][0]


def test_in_lock_step_joint_states_that_cannot_be_used_are_a_fault_and_are_answered(
    bench: Callable[..., Bench],
) -> None:
    each = bench(use_sim_time=True)
    each.tick(SECOND_NS + CONTROL_NS)
    assert each.ask(each.sources["policy"].engage)[0]
    each.publish_odd(SECOND_NS + 2 * CONTROL_NS)
    each.wait(lambda: len(each.sent) == 2 and each.values["state"] == "fault")
    assert "positions do not match" in each.states[-1][0]
    assert each.tick(SECOND_NS + 3 * CONTROL_NS).names == ()


def test_in_lock_step_time_that_runs_backward_stops_and_is_answered(bench: Callable[..., Bench]) -> None:
    each = bench(use_sim_time=True)
    each.tick(10 * SECOND_NS + CONTROL_NS)
    assert each.ask(each.sources["policy"].engage)[0]
    each.tick(10 * SECOND_NS + 2 * CONTROL_NS)
    assert each.tick(SECOND_NS + CONTROL_NS).stamp_ns == SECOND_NS + CONTROL_NS, "the simulation waits for an answer"
    each.wait(lambda: each.values["state"] == "stopped")
    assert "time ran backward; got -9.010 s" in each.states[-1][0] and each.values["time_faults"] == "1"
    assert "clear_fault first" in each.ask(each.sources["policy"].engage)[1]
    assert each.trigger("clear_fault") == (True, "ready")
    each.tick(SECOND_NS + 2 * CONTROL_NS)
    assert each.ask(each.sources["policy"].engage)[0]


def test_a_trajectory_controller_gets_a_point_a_step(bench: Callable[..., Bench], tmp_path: Path) -> None:
    content = copy.deepcopy(CONTRACT.canonical())
    command = {"adapter": "joint_trajectory", "topic": "/joint_trajectory_controller/joint_trajectory"}
    content["robot"]["groups"]["arm"]["command"] = command
    path = tmp_path / "trajectories.yaml"
    path.write_text(yaml.safe_dump(content))
    each = bench(path, use_sim_time=True)
    each.tick(SECOND_NS + CONTROL_NS)
    assert each.ask(each.sources["policy"].engage)[0]
    each.tick(SECOND_NS + 2 * CONTROL_NS)
    each.wait(lambda: bool(each.commands["arm"] and each.commands["gripper"]))
    message = each.commands["arm"][0]
    assert tuple(message.joint_names) == JOINTS[:6] and len(message.points) == 1
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    assert message.points[0].time_from_start.nanosec == 2 * CONTROL_NS
    np.testing.assert_array_equal(message.points[0].positions, HOME[:6])


def test_it_ends_when_asked_to(bench: Callable[..., Bench], spawn: Any) -> None:
    for lock_step in (False, True):
        each = bench(use_sim_time=lock_step)
        each.spin(0.2)
        process = spawn.processes[-1]
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait() == 0, process.output()


HANGS = """
import time
from arm_control.arm_node import ArmNode
from learned_arm.ros.node import run

class Hangs(ArmNode):
    count = 0

    def _publish(self, command):
        self.count += 1
        if self.count == 100:
            print("hangs", flush=True)
            with self._lock:
                time.sleep(60.0)
        super()._publish(command)

raise SystemExit(run(Hangs, []))
"""


def test_a_control_loop_that_hangs_ends_the_process_also_with_the_lock_in_its_hands(spawn: Any) -> None:
    process = spawn(sys.executable, "-c", HANGS, name="hangs")
    assert process.wait() == 1, process.output()
    assert "error: the control loop hung for 0.5 s" in process.output().split("hangs")[1]


def test_what_it_cannot_run_with_ends_in_one_line(spawn: Any, tmp_path: Path) -> None:
    path = tmp_path / "thirds.yaml"
    path.write_text(yaml.safe_dump({**CONTRACT.canonical(), "rate_hz": 30}))
    bad: list[tuple[dict[str, object], str]] = [
        (
            {"contract": "no_such_task"},
            "error: no such entry in contracts; got no_such_task; allowed: ['insert_peg'",
        ),
        ({"contract": 5}, "error: parameter contract: "),
        ({"source": "ghost"}, "error: parameter source: unknown value; got ghost; allowed: ['', 'teleop'"),
        ({"deadman_topic": "joy"}, "error: parameter deadman_topic: not an absolute topic name; got joy"),
        ({"deadman_type": "twist"}, "error: parameter deadman_type: unknown value; got twist"),
        ({"deadman_button": -1}, "error: parameter deadman_button: not an integer in range; got -1"),
        ({"deadman_timeout_s": 0.0}, "error: parameter deadman_timeout_s: not a number in range; got 0.0"),
        ({"contract": "pick_cube", "robot": "nobody"}, "error: no such entry in robots; got nobody"),
        (
            {"contract": path, "use_sim_time": True},
            "error: rate_hz: in lock-step every tick is a control tick; got 30",
        ),
    ]
    started = [(spawn.node("arm_control.arm_node", **parameters), words) for parameters, words in bad]
    for process, words in started:
        assert process.wait() == 2, process.output()
        assert [line[: len(words)] for line in process.output().splitlines()] == [words]
