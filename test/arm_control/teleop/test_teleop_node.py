"""A person at a gamepad or a leader arm moves the simulated arm, over DDS and in real time."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arm_control.teleop.mapping import STATES, TRAJECTORY
from demo_tools.flow.domains import lock_of
from learned_arm.contract import load_contract
from learned_arm.ros import transport
from learned_arm.tool import Tool
from test.patience import patient

pytestmark = pytest.mark.ros

RATE_S, PATIENCE_S = 0.02, 30.0
HELD, AXES, BUTTONS = 9, 6, 15
PROGRAM, STOPS = "/program_running", {"latched": True, "stops": True, "says": "start it again"}


class Person:
    """Publishes what a gamepad or a leader says, and sees what the arm does."""

    def __init__(self, domain_id: int) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import JointState, Joy
        from std_srvs.srv import SetBool

        from learned_arm.ros import qos

        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("person", context=self.context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._joy = self.node.create_publisher(Joy, "/joy", 10)
        self._engage = self.node.create_client(SetBool, "/teleop_node/engage")
        self._kinds: Any = (Joy, JointState, SetBool)
        self.at: dict[str, float] = {}
        self._squeezed = 0
        self.told: dict[str, dict[str, str]] = {"teleop_node": {}, "arm_node": {}}
        self.node.create_subscription(JointState, "/joint_states", self._see, qos.newest(1))
        for name in self.told:
            self.node.create_subscription(DiagnosticStatus, f"/{name}/status", self._teller(name), qos.small())

    def _see(self, state: Any) -> None:
        self.at.update(zip(state.name, state.position, strict=True))

    def _teller(self, name: str) -> Callable[[Any], None]:
        from learned_arm.ros import messages

        def tell(status: Any) -> None:
            self.told[name] = messages.status_values(status)

        return tell

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def spin(self, seconds: float, each: Callable[[float], None] | None = None) -> None:
        """Let time pass; something is done every 20 ms."""
        began_s, next_s = time.monotonic(), time.monotonic()
        while (now_s := time.monotonic()) < began_s + seconds:
            if each is not None and now_s >= next_s:
                next_s += RATE_S
                each(now_s - began_s)
            self._executor.spin_once(timeout_sec=0.005)

    def until(self, done: Callable[[], bool], each: Callable[[float], None] | None = None) -> None:
        """Let time pass until something holds."""
        limit_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < limit_s, (self.told, self.at)
            self.spin(0.1, each)

    def press(self, held: bool, axis: float = 0.0) -> None:
        """One message of the gamepad."""
        buttons = [0] * BUTTONS
        buttons[HELD] = int(held)
        self._joy.publish(self._kinds[0](axes=[axis, *[0.0] * (AXES - 1)], buttons=buttons))

    def squeeze(self, _seconds: float) -> None:
        """Hold the button, and let go from time to time: nobody gets the lease who held it before there was a door."""
        self._squeezed += 1
        self.press(self._squeezed % 50 > 10)

    def leads_by(self, message: str) -> None:
        """What the leader says, joint states or trajectories."""
        from trajectory_msgs.msg import JointTrajectory

        self._by_path = message == TRAJECTORY
        kind = JointTrajectory if self._by_path else self._kinds[1]
        self._leader = self.node.create_publisher(kind, "/leader/joint_states", 10)

    def lead(self, **positions: float) -> None:
        """One message of the leader."""
        names, values = list(positions), list(positions.values())
        if self._by_path:
            from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

            # One point and no stamp, as MoveIt Servo publishes.
            self._leader.publish(JointTrajectory(joint_names=names, points=[JointTrajectoryPoint(positions=values)]))
        else:
            self._leader.publish(self._kinds[1](name=names, position=values))

    def engage(self, value: bool, each: Callable[[float], None] | None = None) -> tuple[bool, str]:
        """Call the service while the leader goes on."""
        self.until(self._engage.service_is_ready, each)
        answer = self._engage.call_async(self._kinds[2].Request(data=value))
        self.until(answer.done, each)
        result: Any = answer.result()
        return bool(result.success), str(result.message)

    @property
    def state(self) -> str:
        return self.told["teleop_node"].get("state", "")

    @property
    def ready(self) -> bool:
        """Whether teleoperation may begin."""
        measured = self.told["arm_node"].get("measured") == "True"
        return measured and self.state == "idle" and self.holder == "" and len(self.at) >= 7

    @property
    def holder(self) -> str:
        return self.told["arm_node"].get("holder", "?")


@pytest.fixture
def signs() -> list[dict[str, Any]]:
    """What the driver says of its arm: nothing."""
    return []


@pytest.fixture
def contract(tmp_path: Path, signs: list[dict[str, Any]]) -> Path:
    """The shipped task; on a busy machine joint states may be late."""
    path, content = tmp_path / "contract.yaml", patient(load_contract("reach_cube"))
    content["robot"]["signs"] = signs
    if not signs:
        del content["robot"]["signs"]
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def person(spawn: Any, contract: Path) -> Iterator[Person]:
    spawn.node("demo_tools.simulation.node", contract=contract)
    spawn.node("arm_control.arm_node", contract=contract)
    found = Person(spawn.domain_id)
    yield found
    found.close()


def test_a_gamepad_moves_the_arm_while_its_button_is_held(spawn: Any, contract: Path, person: Person) -> None:
    spawn.node("arm_control.teleop_node", contract=contract, mapping="ur5e_gamepad")

    def idle(_s: float) -> None:
        person.press(False, 1.0)

    person.until(lambda: person.ready, idle)
    person.until(lambda: person.state == "engaged" and person.holder == "teleop", person.squeeze)
    # The button is held before the stick is moved.
    person.spin(0.2, lambda _s: person.press(True))
    began = dict(person.at)
    person.spin(1.0, lambda _s: person.press(True, 1.0))
    moved = {joint: person.at[joint] - began[joint] for joint in began}
    assert 0.3 < moved.pop("shoulder_pan_joint") < 0.7, moved
    assert max(map(abs, moved.values())) < 0.02, moved
    person.until(lambda: person.state == "idle" and person.holder == "", idle)
    person.spin(0.5, idle)
    rest = dict(person.at)
    person.spin(0.5, idle)
    assert max(abs(person.at[joint] - rest[joint]) for joint in rest) < 1e-3

    def unplugged() -> bool:
        person.until(lambda: person.state == "engaged", person.squeeze)
        person.spin(0.3, lambda _s: person.press(True, -1.0))
        person.until(lambda: person.state == "idle" and person.holder == "")
        return "fell silent" in person.told["teleop_node"]["reason"]

    # In mid-motion that is let go; on a busy machine the door may have stood still before and taken the lease itself.
    person.until(unplugged)


@pytest.mark.parametrize("message", [STATES, pytest.param(TRAJECTORY, marks=pytest.mark.prove)])
def test_an_arm_follows_its_leader_once_the_two_agree(
    spawn: Any, contract: Path, person: Person, tmp_path: Path, message: str
) -> None:
    person.leads_by(message)
    joints = {"shoulder_pan_joint": {"leader": "pan", "scale": -1.0}, "elbow_joint": {"leader": "elbow"}}
    path = tmp_path / "leader.yaml"
    content = {"teleop": "leader", "topic": "/leader/joint_states", "message": message, "joints": joints}
    path.write_text(json.dumps(content))
    spawn.node("arm_control.teleop_node", contract=contract, mapping=path)
    person.until(lambda: person.ready)
    person.until(lambda: person.engage(True) == (False, "nothing comes from /leader/joint_states"))
    pan, elbow = person.at["shoulder_pan_joint"], person.at["elbow_joint"]

    def far(_s: float) -> None:
        person.lead(pan=-pan + 0.5, elbow=elbow)

    person.until(lambda: "shoulder_pan_joint is 0.500 rad from its leader" in person.engage(True, far)[1], far)
    assert person.holder == ""

    def near(_s: float) -> None:
        person.lead(pan=-pan, elbow=elbow)

    person.until(lambda: person.engage(True, near)[0], near)
    person.until(lambda: person.state == "engaged" and person.holder == "teleop", near)
    person.spin(1.0, lambda s: person.lead(pan=-pan - 0.3 * s, elbow=elbow + 0.2 * s))
    person.spin(0.7, lambda _s: person.lead(pan=-pan - 0.3, elbow=elbow + 0.2))
    assert person.at["shoulder_pan_joint"] == pytest.approx(pan + 0.3, abs=0.01)
    assert person.at["elbow_joint"] == pytest.approx(elbow + 0.2, abs=0.01)
    # A leader that falls silent lets go.
    person.until(lambda: person.state == "idle" and person.holder == "")


@pytest.fixture
def keyboard(spawn: Any) -> Iterator[Callable[[bytes], object]]:
    """`teleop_keys` at a terminal; presses keys."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "arm_control.keys"]
    variables = transport.environment(spawn.domain_id)
    lock = lock_of(spawn.domain_id)
    process = subprocess.Popen(command, stdin=its, stdout=subprocess.DEVNULL, env=variables, pass_fds=lock)
    os.close(its)
    yield lambda keys: os.write(ours, keys)
    os.write(ours, b"q")
    assert process.wait(PATIENCE_S) == 0
    os.close(ours)


def test_keys_of_a_terminal_move_the_tool_along_a_line(
    spawn: Any, contract: Path, person: Person, keyboard: Callable[[bytes], object]
) -> None:
    spawn.node("arm_control.teleop_node", contract=contract, mapping="ur5e_tool")
    robot = load_contract("reach_cube").robot
    assert robot.kinematics is not None
    tool = Tool(robot.kinematics, robot.joints, "tool0")

    def at_m() -> Any:
        return tool.pose(np.array([person.at[joint] for joint in robot.joints]))[:3, 3]

    told = count()

    def lower(_seconds: float) -> None:
        # As a terminal tells of a held key; let go once a second until there is a door that gives the lease.
        keyboard(b" " if next(told) % 50 == 0 and person.state != "engaged" else b"f")

    person.until(lambda: person.ready)
    person.until(lambda: person.state == "engaged" and person.holder == "teleop", lower)
    began = at_m()
    person.until(lambda: at_m()[2] < began[2] - 0.05, lower)
    moved = at_m() - began
    assert np.abs(moved[:2]).max() < 0.01, moved
    keyboard(b" ")
    person.until(lambda: person.state == "idle" and person.holder == "")


@pytest.fixture
def program(contract: Path, person: Person) -> Callable[[bool], object]:
    """The program on the pendant of an arm that tells of it: runs, or not."""
    from std_msgs.msg import Bool

    from learned_arm.ros import qos

    out = person.node.create_publisher(Bool, PROGRAM, qos.latched())
    out.publish(Bool(data=True))
    return lambda runs: out.publish(Bool(data=runs))


@pytest.mark.parametrize("signs", [[{"topic": PROGRAM, "message": "bool", "wanted": True, **STOPS}]])
def test_an_arm_whose_program_has_ended_is_moved_by_nobody(
    spawn: Any, contract: Path, person: Person, program: Callable[[bool], object]
) -> None:
    spawn.node("arm_control.teleop_node", contract=contract, mapping="ur5e_gamepad")
    person.until(lambda: person.ready)
    person.until(lambda: person.state == "engaged" and person.holder == "teleop", person.squeeze)
    program(False)
    person.until(lambda: person.told["arm_node"].get("state") == "fault", lambda _s: person.press(True))
    assert person.told["arm_node"]["driver"] == f"start it again ({PROGRAM}: false)"
    person.until(lambda: "fault" in person.told["teleop_node"]["reason"], person.squeeze)
    assert person.holder == ""
