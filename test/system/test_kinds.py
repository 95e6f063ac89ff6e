"""Arms of other makers, posed by their robot files: examined, taught by a leader, replayed, and moved by a policy."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from benchmarks.policy_model import write_policy
from demo_tools.dataset.build import build_dataset
from demo_tools.dataset.frames import load_frames
from demo_tools.dataset.gate import Gate
from demo_tools.flow import lead
from demo_tools.flow.operator import Operator
from demo_tools.flow.stack import NODES
from demo_tools.replay.verdict import Verdict
from demo_tools.simulation.posed_arm import sample_reach
from learned_arm.action import ActionCodec, Reference
from learned_arm.contract import TOOL_REPRESENTATIONS, Contract
from learned_arm.durable import write_json
from learned_arm.episode import load_episode
from learned_arm.robot import load_robot
from learned_arm.ros import messages
from learned_arm.state import ToolPoses
from test.kinds import reaching
from test.launched import needs_launch
from test.patience import MAX_AGE_S, patient

pytestmark = [pytest.mark.ros, pytest.mark.limit_s(300)]
TELEOP, CONTRACT = "/teleop_node", "contract.yaml"
SEED, MOVE_S = 4, 4.0
# By kind how its labels are written.
KINDS = {"aloha": "tool_relative", "fr3": "tool_pose", "so101": "tool_relative", "ur5e": "chunk_relative"}


def task_for(name: str) -> Contract:
    """The task of reaching, for a robot on a busy machine, with everything that a policy may see.

    One camera comes compressed, as it does over a network, one measures depth; the policy sees where the tools are, and
    what each wrist feels; of most kinds it says where the tools shall be.
    """
    robot = load_robot(name)
    assert robot.kinematics is not None
    content = patient(reaching(name))
    seen = content["observation"]
    seen["cameras"]["wrist"] |= {"topic": "/wrist/image_raw/compressed", "message": "compressed"}
    depth = {"topic": "/depth/image_rect_raw", "message": "depth", "depth_m": [0.1, 3.0]}
    seen["cameras"]["depth"] = seen["cameras"]["front"] | depth
    seen["state"]["tools"] = list(robot.kinematics.tips)
    seen["wrenches"] = {
        f"wrist_{number}": {"topic": f"/wrist_{number}/wrench", "max_age_s": MAX_AGE_S}
        for number, _ in enumerate(robot.kinematics.tips)
    }
    content["action"]["representation"] = KINDS[name]
    if KINDS[name] in TOOL_REPRESENTATIONS:
        content["action"]["tools"] = list(robot.kinematics.tips)
    return Contract.from_canonical(content)


def require_all_is_learned(folder: Path, contract: Contract, dataset: Path) -> None:
    """What a trainer reads is what the robot's kinematics, its wrists and its depth camera said."""
    kinematics, dof = contract.robot.kinematics, contract.robot.dof
    assert kinematics is not None
    build_dataset([folder], contract, dataset, validation_share=0.0, gate=Gate(allow_unreplayed=True))
    frames = load_frames(dataset)
    assert frames.state.shape == (len(frames), len(contract.state_names))
    tools = ToolPoses(kinematics, contract.robot.joints, contract.tools)
    expected = tools.at(frames.state[:, :dof].astype(np.float64))
    poses, wrenches = frames.state[:, dof : dof + expected.shape[1]], frames.state[:, dof + expected.shape[1] :]
    np.testing.assert_allclose(poses, expected, atol=1e-5)
    assert np.ptp(poses, axis=0).max() > 0.02
    forces = wrenches.reshape(len(frames), -1, 6)[:, :, :3]
    np.testing.assert_allclose(np.linalg.norm(forces, axis=2), 5.0, rtol=1e-4)
    depth = frames.images["depth"].astype(int)
    assert depth.std() > 5 and np.abs(depth - depth.mean(axis=3, keepdims=True)).max() < 40


class LeaderArm:
    """A leader arm in a person's hand, which brings it from where the robot stands to a goal."""

    def __init__(self, operator: Operator, contract: Contract, position_rad: np.ndarray) -> None:
        self._joints, self._operator = contract.robot.joints, operator
        self._out = operator.publisher(JointState, "/leader/joint_states")
        self._position_rad = position_rad
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="leader", daemon=True)
        self._thread.start()

    def __enter__(self) -> LeaderArm:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def go(self, goal_rad: np.ndarray, seconds: float) -> None:
        from_rad, begun_s = self._position_rad, time.monotonic()
        while (share := min((time.monotonic() - begun_s) / seconds, 1.0)) < 1.0:
            smooth = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
            self._position_rad = from_rad + smooth * (goal_rad - from_rad)
            self._operator.spin_for(0.02)
        self._position_rad = goal_rad

    def _tell(self) -> None:
        while not self._ending.wait(0.02):
            self._out.publish(messages.joint_state(time.time_ns(), self._joints, self._position_rad))


class ByHand:
    """Starts node after node."""

    def __init__(self, spawn: Any, contract: Path, folder: Path) -> None:
        self._spawn, self._contract, self._folder = spawn, contract, folder

    def bring_up(self) -> None:
        self._spawn.node(NODES["sim_arm_node"], contract=self._contract)
        self._spawn.node(NODES["arm_node"], contract=self._contract)
        self._spawn.node(NODES["recorder_node"], contract=self._contract, root=self._folder / "demos")

    def teleoperate(self, mapping: Path) -> Any:
        return self._spawn.node(NODES["teleop_node"], contract=self._contract, mapping=mapping)

    def replay(self, operator: Operator, folder: Path) -> None:
        self._spawn.node(NODES["replay_node"], contract=self._contract)
        lead.meet(operator, lead.REPLAY)
        lead.replay(operator, folder)

    def run_policy(self, model: Path) -> None:
        self._spawn.node(NODES["policy_node"], contract=self._contract, model=model, auto_activate=True)


class ByLaunch:
    """Starts the same by the launch files that a person would."""

    def __init__(self, launch: Any, contract: Path, folder: Path) -> None:
        self._launch, self._contract, self._folder = launch, f"contract:={contract}", folder

    def bring_up(self) -> None:
        self._launch("sim.launch.py", self._contract, "recorder:=false")
        self._launch("record.launch.py", self._contract, f"root:={self._folder / 'demos'}")

    def teleoperate(self, mapping: Path) -> Any:
        return self._launch("teleop.launch.py", self._contract, f"mapping:={mapping}")

    def replay(self, operator: Operator, folder: Path) -> None:
        launched = self._launch("replay.launch.py", f"episode:={folder}", self._contract)
        operator.wait(lambda: launched.popen.poll() is not None, 120.0, "the replay")

    def run_policy(self, model: Path) -> None:
        self._launch("policy.launch.py", self._contract, f"model:={model}")


@pytest.mark.prove
@pytest.mark.parametrize("name", KINDS)
def test_an_arm_is_examined_taught_replayed_and_moved_by_a_policy(name: str, spawn: Any, tmp_path: Path) -> None:
    go_through_everything(name, spawn, ByHand(spawn, tmp_path / CONTRACT, tmp_path), tmp_path)


@needs_launch
@pytest.mark.prove
@pytest.mark.parametrize("name", KINDS)
def test_the_same_by_its_launch_files(name: str, spawn: Any, launch: Any, tmp_path: Path) -> None:
    go_through_everything(name, spawn, ByLaunch(launch, tmp_path / CONTRACT, tmp_path), tmp_path)


def go_through_everything(name: str, spawn: Any, ways: ByHand | ByLaunch, tmp_path: Path) -> None:
    contract = task_for(name)
    path, mapping, model = tmp_path / CONTRACT, tmp_path / "leader.yaml", tmp_path / "policy.onnx"
    write_json(path, contract.canonical())
    joints = {joint: {"leader": joint} for joint in contract.robot.joints}
    write_json(mapping, {"teleop": "leader", "topic": "/leader/joint_states", "joints": joints})
    home = np.array(contract.robot.home_rad)
    at_home = ActionCodec(contract).encode(home[None], Reference(home, home))[0]
    write_policy(model, contract, largest_label_rad=0.01, about=at_home)
    ways.bring_up()
    teleop = ways.teleoperate(mapping)
    with Operator(spawn.domain_id, lambda: None) as operator:
        lead.meet(operator, lead.SIM, lead.ARM, lead.RECORDER)
        operator.expect(TELEOP, engage=SetBool)

        doctor = spawn(sys.executable, "-m", "demo_tools.cli", "doctor", f"contract:={path}", "--json", name="doctor")
        operator.wait(lambda: doctor.popen.poll() is not None, 60.0, "the doctor")
        findings = json.loads(doctor.output()[doctor.output().index("[") :])
        failed = {each["check"] for each in findings if each["level"] == "fail"}
        # The simulation has no controller manager to ask: its messages come from no registry.
        manages = contract.robot.driver is not None and contract.robot.driver.controllers is not None
        assert failed == ({"controllers.manager"} if manages else set()), findings

        lead.reset_simulation(operator, SEED)
        start = sample_reach(contract, SEED)
        with LeaderArm(operator, contract, start.position_rad) as leader:
            operator.trigger(lead.RECORDER, "start", {"operator": "test", "policy": "", "notes": name}, patience_s=10.0)
            operator.switch(TELEOP, "engage", True, patience_s=10.0)
            leader.go(start.goal_rad, MOVE_S)
            operator.spin_for(1.0)
            assert operator.succeeds_now, operator.statuses[lead.ARM]
            operator.switch(TELEOP, "engage", False)
        folder = lead.close_episode(operator, SEED, contract.rate_hz).folder
        episode = load_episode(folder)
        assert episode.outcome == "success" and episode.lost_messages == 0
        teleop.stop()

        ways.replay(operator, folder)
        said = Verdict.load(folder)
        assert said is not None and said.verdict == "passed", said

        ways.run_policy(model)
        lead.meet(operator, lead.POLICY)
        operator.switch(lead.POLICY, "engage", True, patience_s=10.0)
        operator.wait(lambda: operator.statuses[lead.ARM].get("state") == "engaged", 20.0, "the policy to move the arm")
        sent: list[Any] = []

        def hear(message: JointState) -> None:
            # One without names says that nothing was commanded.
            if message.name:
                sent.append(message.position)

        operator.listen(JointState, "/arm/sent", hear)
        operator.wait(lambda: len(sent) > 1 and np.ptp(np.array(sent), axis=0).max() > 1e-3, 20.0, "a motion")
        assert operator.statuses[lead.ARM]["holder"] == "policy", operator.statuses[lead.ARM]
        operator.switch(lead.POLICY, "engage", False)
        require_all_is_learned(folder, contract, tmp_path / "dataset")
