"""The reference is complete and true: what it lists is what the code has, and the other way round."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import tyro
import yaml

from arm_control.teleop.mapping import Control, Followed, GamepadMapping, LeaderMapping
from benchmarks.policy_model import write_policy
from demo_tools.cli import COMMANDS
from demo_tools.dataset.lerobot_v3 import _features
from demo_tools.dataset.manifest import DatasetEpisode, Manifest, RefusedEpisode
from demo_tools.doctor.findings import CHECKS
from demo_tools.flow.stack import NODES
from demo_tools.replay.verdict import EXIT_STATUS, Verdict
from learned_arm.cameras import DRIVERS, Camera, parse_cameras, started
from learned_arm.command_spec import (
    ACTIONS,
    ADAPTERS,
    NAMED,
    GripperSettings,
    NamedSettings,
    TrajectorySettings,
    VelocitySettings,
)
from learned_arm.contract import JUDGES, REPRESENTATIONS, SOURCES, Contract, load_contract
from learned_arm.driver import Driver, Launched, MoveIt
from learned_arm.episode import EPISODE_VERSION, Episode, InitialState, Stream
from learned_arm.lineage import Statement
from learned_arm.provenance import snapshot
from learned_arm.provenance_facts import SECTIONS
from learned_arm.provenance_rules import Rule, Severity
from learned_arm.robot_description import PARTS
from learned_arm.signs import Sign
from learned_policy_node import signature_json
from learned_policy_node.onnx_policy import ACTION, STATE
from learned_policy_node.policy_file import METADATA
from learned_policy_node.signature import CriticSettings, Recurrent, ResetRule

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/reference.md").read_text()
# Every node has these, or they are ROS's own.
# The last one is no parameter to set: it says what a node serves.
STANDARD_PARAMETERS = {"use_sim_time", "start_type_description_service", "contract_hash"}
STANDARD_TOPICS = {"/rosout", "/parameter_events"}
# They subscribe when there is something to subscribe to, so that a running node may show less than the page.
LATE = ("recorder_node", "replay_node")
QOS = {"small": "RELIABLE VOLATILE", "newest": "RELIABLE VOLATILE", "latched": "RELIABLE TRANSIENT_LOCAL"}


def section(heading: str) -> str:
    """What stands below a heading, up to the next one of its level."""
    level = heading.split(" ")[0]
    assert TEXT.count(f"\n{heading}\n") == 1, heading
    return re.split(rf"\n#{{1,{len(level)}}} ", TEXT.split(f"\n{heading}\n")[1])[0]


def rows(text: str, first: str) -> list[list[str]]:
    """Rows of the table whose first column has this title; a cell that is one piece of code loses its backticks."""
    match = re.search(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n?)+)", text, re.MULTILINE)
    assert match is not None, first
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in match[1].splitlines())
    return [[re.sub(r"^`([^`]*)`$", r"\1", cell) for cell in row] for row in cells]


def column(text: str, first: str) -> list[str]:
    return [row[0] for row in rows(text, first)]


def names(cls: type) -> list[str]:
    return [field.name for field in fields(cls)]


# -- commands -------------------------------------------------------------------------------------------------------


def test_every_command_has_its_section() -> None:
    assert re.findall(r"^### `learned-arm (\w+)`$", TEXT, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_argument_and_its_default_is_listed(command: str) -> None:
    found = []
    for name, parameter in inspect.signature(COMMANDS[command], eval_str=True).parameters.items():
        by_place = tyro.conf.Positional in get_args(parameter.annotation)[1:]
        default = "" if parameter.default is parameter.empty else str(parameter.default)
        found.append([name.upper() if by_place else f"--{name.replace('_', '-')}", default.replace("False", "off")])
    assert [row[:2] for row in rows(section(f"### `learned-arm {command}`"), "argument")] == found


def test_exit_statuses() -> None:
    listed = {int(row[0]): row[1] for row in rows(section("### Exit statuses"), "status")}
    assert set(EXIT_STATUS.values()) | {0, 1, 2, 130, 143} == set(listed)
    for verdict, status in EXIT_STATUS.items():
        assert f"`{verdict}`" in listed[status]


def test_every_camera_driver_is_listed() -> None:
    text = section("### Camera file")
    listed = {row[0]: row for row in rows(text, "driver")}
    assert list(listed) == list(DRIVERS)
    for name, row in listed.items():
        (camera,) = parse_cameras({"cameras": {"front": {"driver": name}}}, "here")
        start = started(camera)
        assert (start.launch or start.executable) in row[1]
        assert row[3] == start.topic
    assert column(text, "camera key") == [each for each in names(Camera) if each != "name"]


def test_every_check_of_the_doctor_is_listed() -> None:
    listed = column(section("### `learned-arm doctor`"), "check")
    assert sorted(re.findall(r"[a-z_]+\.[a-z_]+", " ".join(listed))) == sorted(CHECKS)


def test_every_target_of_make_is_listed() -> None:
    public = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert column(section("### make"), "target") == [f"make {each}" for each in public]


def test_the_readme_says_how_much_the_demo_does() -> None:
    full = pytest.importorskip("demo_tools.flow.demo").FULL
    readme = (ROOT / "README.md").read_text()
    assert f"records {full.episodes} demonstrations" in readme
    assert f"{full.trials} held-out initial states" in readme


# -- nodes ----------------------------------------------------------------------------------------------------------


def test_every_node_has_its_section_and_is_installed() -> None:
    listed = re.findall(r"^### `(\w+)`$", TEXT, re.MULTILINE)
    scripts = re.findall(r'"(\w+_node) = ([\w.]+):main"', (ROOT / "setup.py").read_text())
    assert set(listed) == {name for name, _ in scripts}
    assert dict(scripts) == NODES


@pytest.mark.parametrize("file", sorted((ROOT / "launch").glob("*.launch.py")), ids=lambda file: file.name)
def test_every_launch_argument_is_listed(file: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        if ast.unparse(call.func) == "argument":
            name, _, *default = (ast.literal_eval(each) for each in call.args[:3])
            found.append([name, *(default or [""])])
    listed = [[row[0], row[1].strip('"')] for row in rows(section("### Launch"), f"`{file.name.split('.')[0]}`")]
    assert listed == found


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.onnx"
    write_policy(path, load_contract("pick_cube"))
    return path


class Graph:
    """Asks running nodes what they have."""

    def __init__(self, domain_id: int, check: Any) -> None:
        from demo_tools.flow.operator import Operator

        self.operator = Operator(domain_id, check)
        self.node: Any = self.operator._node

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self.node.create_client(kind, name)
        self.operator.wait(client.service_is_ready, 30.0, name)
        future = client.call_async(request)
        self.operator.wait(future.done, 15.0, name)
        return future.result()

    def parameters(self, node: str) -> dict[str, Any]:
        from rcl_interfaces.srv import GetParameters, ListParameters
        from rclpy.parameter import parameter_value_to_python

        listed = self.call(ListParameters, f"/{node}/list_parameters", ListParameters.Request()).result.names
        own = [name for name in listed if name not in STANDARD_PARAMETERS]
        values = self.call(GetParameters, f"/{node}/get_parameters", GetParameters.Request(names=own)).values
        return {name: parameter_value_to_python(value) for name, value in zip(own, values, strict=True)}

    def services(self, node: str) -> set[tuple[str, str]]:
        """Private services of std_srvs: the others are ROS's own."""
        found = self.node.get_service_names_and_types_by_node(node, "/")
        return {(name.replace(f"/{node}/", "~/"), kinds[0]) for name, kinds in found if "std_srvs" in kinds[0]}

    def topics(self, node: str) -> set[tuple[str, str, str]]:
        gives = self.node.get_publisher_names_and_types_by_node(node, "/")
        takes = self.node.get_subscriber_names_and_types_by_node(node, "/")
        found = {(name, kinds[0], "gives") for name, kinds in gives} | {
            (name, kinds[0], "takes") for name, kinds in takes
        }
        return {
            (name.replace(f"/{node}/", "~/"), kind, way)
            for name, kind, way in found
            if name not in STANDARD_TOPICS and "lifecycle" not in kind
        }

    def qos(self, node: str, topic: str, way: str) -> str:
        ask = self.node.get_publishers_info_by_topic if way == "gives" else self.node.get_subscriptions_info_by_topic
        profiles = [each.qos_profile for each in ask(topic) if each.node_name == node]
        return " ".join(f"{each.reliability.name} {each.durability.name}" for each in profiles[:1])


@pytest.fixture
def graph(spawn: Any, policy: Path, tmp_path: Path) -> Iterator[Graph]:
    for node, module in NODES.items():
        own: dict[str, object] = {"root": tmp_path / "demos"} if node == "recorder_node" else {}
        if node == "policy_node":
            own = {"model": policy, "auto_activate": True}
        if node == "teleop_node":
            own = {"mapping": "ur5e_gamepad"}
        spawn.node(module, **own)
    found = Graph(spawn.domain_id, lambda: None)
    with found.operator:
        yield found


@pytest.mark.ros
@pytest.mark.unhurried
def test_nodes_have_what_is_listed_and_nothing_else(graph: Graph) -> None:
    for node in NODES:
        page = section(f"### `{node}`")
        # Services are discovered before the node that has them.
        graph.operator.wait(lambda node=node: node in graph.node.get_node_names(), 30.0, node)
        values = graph.parameters(node)
        listed = {row[0]: yaml.safe_load(row[1]) for row in rows(page, "parameter")}
        assert set(listed) == set(values), node
        given = {"model", "auto_activate", "root", "mapping"}
        assert {name: values[name] or None for name in set(values) - given} == {
            name: default or None for name, default in listed.items() if name not in given
        }, node
        services = {(row[0], row[1]) for row in rows(page, "service")}
        graph.operator.wait(lambda node=node, services=services: graph.services(node) == services, 10.0, f"{services}")
        table = rows(page, "topic")
        topics = {(row[0], row[1], row[2]) for row in table}
        always = {(row[0], row[1], row[2]) for row in table if "lock-step only" not in row[4] or row[0] == "/clock"}

        def complete(node: str = node, topics: set[Any] = topics, always: set[Any] = always) -> bool:
            found = graph.topics(node)
            return found <= topics and (node in LATE or always <= found)

        graph.operator.wait(complete, 10.0, f"{node}: {sorted(topics)}")
        for name, _, way, qos, _ in table:
            full = name.replace("~/", f"/{node}/")
            seen = graph.qos(node, full, way)
            assert not seen or qos not in QOS or seen == QOS[qos], f"{node}: {name}"
    for node in ("arm_node", "policy_node", "recorder_node"):
        graph.operator.expect(f"/{node}")
        graph.operator.wait(lambda node=node: bool(graph.operator.statuses[f"/{node}"]), 10.0, f"status of {node}")
        told = [key for key in graph.operator.statuses[f"/{node}"] if not key.startswith(("clamped_", "stream "))]
        sentence = section(f"### `{node}`").split("\nStatus: ")[1].split(".\n")[0].split(", and")[0]
        assert re.findall(r"`(\w+)`", sentence) == told, node


# -- files ----------------------------------------------------------------------------------------------------------


def test_robot_file() -> None:
    page, robot = section("### Robot file"), load_contract("pick_cube").robot.canonical()
    assert set(column(page, "key")) == {*robot, "driver", "moveit", "signs"}
    assert column(page, "sign key") == names(Sign)
    group = robot["groups"]["arm"]
    assert column(page, "group key") == ["unit", *group]
    assert column(page, "limit") == [*group["limits"], "position_margin_rad"]
    assert set(column(page, "place")) == {f"{key}.{each}" for key in ("kinematics", "clearance") for each in robot[key]}
    told = {f"driver.{each}" for each in (*names(Driver), *names(Launched))} | {
        f"moveit.{each}" for each in names(MoveIt)
    }
    listed_places = {place for row in rows(page, "software") for place in re.findall(r"[\w.]+", row[0])}
    assert listed_places == told - {"driver.real"}
    assert all(f"`{path.stem}`" in page for path in (ROOT / "learned_arm/config/robots").glob("*.yaml"))
    listed = {row[0]: re.findall(r"\w+", row[3]) for row in rows(page, "adapter")}
    assert list(listed) == list(ADAPTERS)
    assert set(column(page, "command key")) == {key for keys in listed.values() for key in keys}
    settings = {
        "forward_velocity": VelocitySettings,
        "joint_trajectory": TrajectorySettings,
        **dict.fromkeys(NAMED, NamedSettings),
        **dict.fromkeys(ACTIONS, GripperSettings),
    }
    for adapter, cls in settings.items():
        # Only the Franka Hand is told how fast to go, and has one action to open and another to close.
        known = set(names(cls)) - ({"speed_m_s", "turn_rad"} if adapter != "franka_gripper" else set())
        assert known <= set(listed[adapter]), adapter


def test_teleoperation_file() -> None:
    page = section("### Teleoperation file")
    known = {*names(LeaderMapping), *names(GamepadMapping)}
    assert set(column(page, "teleoperation key")) == {"teleop", *known}
    assert all(f"`{each}`" in page for cls in (Followed, Control) for each in names(cls) if each != "number")


def test_contract_file() -> None:
    page = section("### Contract file")
    content = load_contract("insert_peg").canonical()
    content["observation"]["wrenches"] = {"wrist": {"topic": "/wrist/wrench", "max_age_s": 0.1}}
    content["action"] |= {"representation": "tool_pose", "tools": ["tool0"]}
    canonical = Contract.from_canonical(content).canonical()
    nested = ("observation", "action", "success")
    expected = [key for key in canonical if key not in nested]
    expected += [f"{key}.{inner}" for key in nested for inner in canonical[key]]
    assert column(page, "key") == expected
    assert column(page, "representation") == list(REPRESENTATIONS)
    assert all(f"`{word}`" in page for word in (*SOURCES, *REPRESENTATIONS, *JUDGES))
    assert all(f"`{key}`" in page for key in canonical["observation"]["cameras"]["front"])


def test_episode_json() -> None:
    page = section("### Episode folder")
    listed = rows(page, "episode key")
    assert [row[0] for row in listed] == ["version", *(name for name in names(Episode) if name != "folder")]
    assert listed[0][1] == str(EPISODE_VERSION)
    about = {row[0]: row[1] for row in listed}
    assert re.findall(r"`(\w+)`", about["streams"]) == names(Stream)
    assert re.findall(r"`(\w+)`", about["initial_state"]) == names(InitialState)


def test_replay_json() -> None:
    page = section("### `replay.json`")
    assert column(page, "verdict key") == ["replay", *names(Verdict), "hash"]
    assert all(f"`{verdict}`" in page for verdict in EXIT_STATUS)


def test_dataset() -> None:
    page = section("### Dataset folder")
    features = _features(load_contract("pick_cube"))
    cameras = {key for key in features if key.startswith("observation.images.")}
    assert set(column(page, "feature")) == {*(set(features) - cameras), "observation.images.<camera>"}
    stated = ["dataset", "content_hash", "task", "contract_hash", "frames", "frames_by_source", "split"]
    listed = {row[0]: row[1] for row in rows(page, "manifest key")}
    assert list(listed) == [*stated, *names(Manifest)]
    assert re.findall(r"`(\w+)`", listed["episodes"]) == names(DatasetEpisode)
    assert re.findall(r"`(\w+)`", listed["refused"]) == names(RefusedEpisode)


def test_policy_file() -> None:
    page = section("### Policy file")
    assert column(page, "metadata") == [f"learned_arm.{name}" for name in METADATA]
    assert column(page, "tensor") == ["observation.images.<camera>", STATE, ACTION]


def test_signature_and_sidecar() -> None:
    page = section("### Policy file")
    listed = {row[0]: row[1] for row in rows(page, "signature key")}
    assert list(listed) == ["inputs", "outputs", "recurrent", "reset", "step_ticks", "critic"]
    for key, cls in (("recurrent", Recurrent), ("reset", ResetRule), ("critic", CriticSettings)):
        assert [name for name in names(cls) if f"`{name}`" not in listed[key]] == []
    described = re.findall(r"^\| `([\w:<>]+)` \|", str(signature_json.__doc__), re.MULTILINE)
    assert column(page, "role") == described
    assert column(page, "sidecar key") == ["contract", "robot", "signature", "lineage", "selftest"]


def test_run_folder() -> None:
    """The keys of the summary are those of the one place that writes it."""
    page = section("### Run folder")
    tree = ast.parse((ROOT / "demo_tools/flow/demo.py").read_text())
    (written,) = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "summary"
        and isinstance(node.value, ast.Dict)
    )
    keys = [ast.literal_eval(key) for key in written.keys if key is not None]
    assert column(page, "summary key") == keys
    sources = "".join(
        (ROOT / "demo_tools" / name).read_text() for name in ("flow/demo.py", "flow/stages.py", "report/page.py")
    )
    stems = [part.strip("/").removesuffix(".json") for part in column(page, "part")]
    assert [stem for stem in stems if stem not in sources] == []


def test_snapshot() -> None:
    asked = {*SECTIONS, "graph", "parameters", "stamp_ns", "capture"} - {"rmw", "episode"}
    page = section("### Snapshot")
    assert set(column(page, "snapshot key")) == set(snapshot(load_contract("pick_cube"))) | asked
    assert all(f"`{part}`" in page for part in PARTS)


def test_rules_of_the_diff() -> None:
    page = section("### Rules of the diff")
    assert column(page, "rule file key") == ["rules", "roles", "changes"]
    assert column(page, "rule key") == names(Rule)
    severities = [(row[0], int(row[1])) for row in rows(section("### `learned-arm diff`"), "severity")]
    assert severities == [(each.name, int(each)) for each in reversed(Severity)]


def test_lineage_statement() -> None:
    written = Statement("dataset", "0" * 64, {}).to_json()
    assert column(section("### Lineage statement"), "statement key") == [*written, "hash"]
