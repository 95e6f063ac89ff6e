"""Imports run one way, and ROS, torch and MuJoCo stay where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "learned_arm": {"learned_arm"},
    "arm_control": {"learned_arm", "arm_control"},
    "learned_policy_node": {"learned_arm", "learned_policy_node"},
    "data_recorder": {"learned_arm", "data_recorder"},
    "demo_tools": {"learned_arm", "arm_control", "learned_policy_node", "data_recorder", "demo_tools"},
}
ROS = ("ament_index_python", "cv_bridge", "launch", "launch_ros", "moveit")
ROS_PREFIXES = ("rclpy", "rosidl", "rosbag2")
ROS_SUFFIXES = ("_msgs", "_srvs", "_interfaces")
# Parts of a node that stand in a file of their own: only node modules may import them.
NODE_PARTS = {
    "arm_control/keys.py",
    "arm_control/settings.py",
    "data_recorder/definitions.py",
    "data_recorder/intake.py",
    "data_recorder/keys.py",
    "data_recorder/settings.py",
    "data_recorder/subscriber.py",
    "demo_tools/replay/examiner.py",
    "demo_tools/replay/eyes.py",
    "demo_tools/replay/lease.py",
    "demo_tools/replay/senses.py",
    "demo_tools/replay/settings.py",
    "demo_tools/simulation/gripper_server.py",
    "demo_tools/simulation/pacing.py",
    "demo_tools/simulation/publishers.py",
    "demo_tools/simulation/world.py",
    "learned_policy_node/active.py",
    "learned_policy_node/answering.py",
    "learned_policy_node/configured.py",
    "learned_policy_node/door.py",
    "learned_policy_node/intake.py",
    "learned_policy_node/settings.py",
}
HOMES = {
    "torch": ("demo_tools/training/",),
    "torchvision": ("demo_tools/training/",),
    "mujoco": ("demo_tools/simulation/",),
    "mink": ("demo_tools/simulation/",),
}
# The one part of learned_arm.ros that imports no ROS: the environment of a node's process.
TRANSPORT = "learned_arm.ros.transport"
DOOR = "arm_control/arm_node.py"
# What commands the arm, and the one file that may have it.
COMMANDS = {
    "learned_arm.ros.sinks": DOOR,
    "learned_arm.ros.gripper_sink": "learned_arm/ros/sinks.py",
    "learned_arm.ros.gripper_actions": "learned_arm/ros/gripper_sink.py",
}


def is_ros(module: str) -> bool:
    """Whether a module belongs to ROS."""
    top = module.split(".")[0]
    return top in ROS or top.startswith(ROS_PREFIXES) or top.endswith(ROS_SUFFIXES)


def is_node_module(path: str) -> bool:
    """Whether a file is a node, or runs nodes."""
    return path.endswith(("/node.py", "_node.py")) or path.startswith(("learned_arm/ros/", "demo_tools/flow/"))


def may_use_ros(path: str) -> bool:
    """Whether a file may import ROS."""
    return is_node_module(path) or path in NODE_PARTS


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imports(tree: ast.Module, path: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, wherever the statement stands."""
    package = path.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            first = node.args[0] if node.args else None
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def breaches(root: Path) -> list[str]:
    """Every breach of the rules under a source tree, as `path:line: what`."""
    found = []
    part_modules = {part.removesuffix(".py").replace("/", "."): part for part in NODE_PARTS}
    for package in MAY_IMPORT:
        for file in sorted((root / package).rglob("*.py")):
            path = file.relative_to(root).as_posix()
            tree = ast.parse(file.read_text(), filename=path)
            for line, module in imports(tree, path):
                for why in judge(path, package, module, part_modules):
                    found.append(f"{path}:{line}: imports {module}: {why}")
            if path != "learned_arm/ros/sinks.py":
                found += [f"{path}:{line}: publishes to a controller" for line in command_publishers(tree, path)]
    return found


def judge(path: str, package: str, module: str, part_modules: dict[str, str]) -> Iterator[str]:
    """Why this import is forbidden here; nothing when it is allowed."""
    top = module.split(".")[0]
    if top in MAY_IMPORT and top not in MAY_IMPORT[package]:
        yield f"{package} stands below {top} or beside it"
    if is_ros(module) and not may_use_ros(path):
        yield "ROS belongs into learned_arm/ros and node modules"
    is_ros_side = is_within(module, "learned_arm.ros") and not is_within(module, TRANSPORT)
    if is_ros_side and not may_use_ros(path):
        yield "learned_arm.ros is for node modules"
    for part_module, part in part_modules.items():
        if is_within(module, part_module) and not may_use_ros(path):
            yield f"{part} is a part of a node"
    if top in HOMES and not path.startswith(HOMES[top]):
        yield f"{top} belongs into {', '.join(HOMES[top])}"
    if any(is_within(module, each) and path != file for each, file in COMMANDS.items()):
        yield f"only {DOOR} commands the arm"


def command_publishers(tree: ast.Module, path: str) -> Iterator[int]:
    """Lines that create a publisher on a controller's topic, or of a type that controllers alone take."""
    signs = ["command.topic", "_controller/"]
    if not path.startswith("demo_tools/simulation/"):
        signs.append("MultiArray")
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "create_publisher"
            and any(sign in ast.unparse(node) for sign in signs)
        ):
            yield node.lineno


def test_the_tree_keeps_the_rules() -> None:
    assert breaches(ROOT) == []


def test_parts_of_nodes_exist() -> None:
    assert sorted(part for part in NODE_PARTS if not (ROOT / part).is_file()) == []


@pytest.mark.parametrize(
    ("path", "source", "why"),
    [
        ("learned_arm/robot.py", "from arm_control import mover", "stands below arm_control"),
        ("learned_arm/robot.py", "def f():\n    import demo_tools.cli", "stands below demo_tools"),
        ("arm_control/mover.py", "import data_recorder.session", "or beside it"),
        ("data_recorder/session.py", "from learned_policy_node.loop import x", "or beside it"),
        ("learned_arm/alignment.py", "import rclpy", "ROS belongs"),
        ("learned_arm/alignment.py", "from sensor_msgs.msg import Image", "ROS belongs"),
        ("demo_tools/dataset/build.py", "from std_srvs.srv import Trigger", "ROS belongs"),
        (
            "demo_tools/dataset/build.py",
            "import importlib\nimportlib.import_module('rclpy.node')",
            "ROS belongs",
        ),
        ("learned_arm/observation.py", "from learned_arm.ros import qos", "for node modules"),
        ("learned_arm/observation.py", "from .ros import qos", "for node modules"),
        ("learned_policy_node/loop.py", "from learned_policy_node import door", "part of a node"),
        ("learned_policy_node/onnx_policy.py", "import torch", "torch belongs"),
        ("demo_tools/dataset/build.py", "from torch import nn", "torch belongs"),
        ("demo_tools/replay/node.py", "import mujoco", "mujoco belongs"),
        ("arm_control/mover.py", "import mink", "mink belongs"),
        ("learned_policy_node/node.py", "from learned_arm.ros.sinks import CommandSinks", "commands the arm"),
        ("learned_policy_node/node.py", "from learned_arm.ros import sinks", "commands the arm"),
        ("arm_control/arm_node.py", "from learned_arm.ros import gripper_sink", "commands the arm"),
        ("learned_arm/ros/sinks.py", "from learned_arm.ros.gripper_actions import FrankaHand", "commands the arm"),
        (
            "learned_policy_node/node.py",
            "def f(node, kind):\n    node.create_publisher(kind, '/forward_position_controller/commands', 1)",
            "publishes to a controller",
        ),
        (
            "demo_tools/simulation/expert_node.py",
            "def f(node, kind, group):\n    node.create_publisher(kind, group.command.topic, 1)",
            "publishes to a controller",
        ),
    ],
)
def test_a_planted_breach_is_found(tmp_path: Path, path: str, source: str, why: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source)
    found = breaches(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(f"{path}:")
    assert why in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("arm_control/arm_node.py", "import rclpy\nfrom learned_arm.ros.sinks import CommandSinks"),
        (
            "demo_tools/cli.py",
            "from data_recorder import recover\nfrom learned_arm.ros.transport import environment",
        ),
        ("demo_tools/training/trainer.py", "import torch"),
        ("demo_tools/simulation/node.py", "import mujoco\nfrom std_msgs.msg import Bool"),
        ("learned_arm/ros/qos.py", "from rclpy.qos import QoSProfile"),
        ("learned_policy_node/node.py", "from learned_policy_node.door import Door"),
    ],
)
def test_what_is_allowed_is_not_called_a_breach(tmp_path: Path, path: str, source: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source)
    assert breaches(tmp_path) == []


_IMPORT_WITHOUT_ROS = """
import importlib, sys

class NoRos:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in {ros!r} or top.startswith({prefixes!r}) or top.endswith({suffixes!r}):
            raise ModuleNotFoundError("ROS is blocked in this test: " + name)
        return None

sys.meta_path.insert(0, NoRos())
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(name, "->", error)
"""


def module_name(path: Path) -> str:
    """`demo_tools/cli.py` -> `demo_tools.cli`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def without_ros(names: list[str]) -> str:
    """Import modules in a process in which ROS cannot be imported; what failed, one line each."""
    script = _IMPORT_WITHOUT_ROS.format(ros=ROS, prefixes=ROS_PREFIXES, suffixes=ROS_SUFFIXES)
    result = subprocess.run(
        [sys.executable, "-c", script, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return result.stdout


def test_pure_modules_are_imported_without_ros() -> None:
    files = (file for package in MAY_IMPORT for file in sorted((ROOT / package).rglob("*.py")))
    pure = [module_name(file) for file in files if not may_use_ros(file.relative_to(ROOT).as_posix())]
    assert len(pure) > 20
    assert without_ros(pure) == ""


def test_blocking_ros_is_noticed() -> None:
    assert "ROS is blocked" in without_ros(["learned_arm.ros.qos"])
