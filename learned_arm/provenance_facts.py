"""A snapshot as a tree of facts that can be compared; what was not learned is `Unknown` in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from learned_arm.errors import LearnedArmError
from learned_arm.provenance import SNAPSHOT_VERSION
from learned_arm.provenance_rules import ROLES, Rules

Facts = dict[str, Any]
SECTIONS = (
    "rmw",
    "software",
    "git",
    "workspaces",
    "middleware",
    "system",
    "controllers",
    "hardware",
    "robot_description",
    "tf_static",
    "cameras",
    "joint_names",
    "episode",
)
_DEEPEST = 24


@dataclass(frozen=True)
class Unknown:
    """What a snapshot could not learn, and why."""

    reason: str


NOT_CAPTURED = Unknown("not captured")


def check_snapshot(value: Any, where: object) -> Mapping[str, Any]:
    """A snapshot of a version that can be compared.

    Raises:
        LearnedArmError: It is none.
    """
    if not isinstance(value, Mapping) or "version" not in value:
        raise LearnedArmError("not a snapshot", where=where, got=value, allowed="what `learned-arm snapshot` writes")
    version = value["version"]
    if not isinstance(version, int) or not 1 <= version <= SNAPSHOT_VERSION:
        raise LearnedArmError("unknown version", where=where, got=version, allowed=f"[1, {SNAPSHOT_VERSION}]")
    for name in ("graph", "parameters", "contract_content"):
        if not isinstance(value.get(name, {}), Mapping):
            raise LearnedArmError("not a mapping", where=f"{where}: {name}", got=value[name], allowed="facts by name")
    return value


def roles(snapshots: Iterable[Mapping[str, Any]], rules: Rules) -> dict[str, str]:
    """The role of every node that any of the snapshots knows: by what it does where that is seen, else by its name."""
    found: dict[str, str] = {}
    for each in snapshots:
        topics, contract = _topics(each), each.get("contract_content", {})
        for node in {*_names(each), *_mapping(each.get("parameters"))}:
            found.setdefault(node, rules.role(node))
        for topic in _camera_topics(contract):
            found |= {node: "camera" for node in _nodes_of(topics, topic, "publishers") if found.get(node) == "other"}
        for node in _control_nodes(each):
            found[node] = "control"
    return found


def facts(snapshot: Mapping[str, Any], role_of: Mapping[str, str], only_here: frozenset[str]) -> Facts:
    """The tree of one snapshot.

    Args:
        snapshot: Checked by `check_snapshot`.
        role_of: Role by node.
        only_here: Nodes that the other snapshot has not: one row says so, their parameters and topics say no more.
    """
    tree: Facts = {name: _plain(snapshot[name], 0) for name in SECTIONS if name in snapshot}
    if "contract_content" in snapshot:
        tree["contract"] = snapshot["contract_content"]
    tree["contract_hash"] = snapshot.get("contract")
    graph = _mapping(snapshot.get("graph"))
    if "rmw" in graph:
        tree["rmw"] = graph["rmw"]
    if isinstance(graph.get("nodes"), list):
        tree["nodes"] = {role: {} for role in ROLES}
        for node in _names(snapshot):
            tree["nodes"][role_of[node]][node] = "running"
        tree["topics"] = {
            topic: entry
            for topic, each in _topics(snapshot).items()
            if (entry := _topic(_mapping(each), only_here)) is not None
        }
    if "parameters" in snapshot:
        tree["parameters"] = {role: {} for role in ROLES}
        for node, told in _mapping(snapshot["parameters"]).items():
            if node not in only_here:
                tree["parameters"][role_of[node]][node] = _parameters(told)
    description = tree.get("robot_description")
    if isinstance(description, dict):
        # The raw hash also sees white space; the parts hold everything else.
        tree["robot_description"] = {
            name: part["facts"] if isinstance(part, dict) and "facts" in part else part
            for name, part in description.items()
            if name != "sha256"
        }
    return tree


def node_names(snapshot: Mapping[str, Any]) -> frozenset[str] | None:
    """The nodes that ran; None where the snapshot does not know."""
    listed = _mapping(snapshot.get("graph")).get("nodes")
    return frozenset(_names(snapshot)) if isinstance(listed, list) else None


def _names(snapshot: Mapping[str, Any]) -> list[str]:
    listed = _mapping(snapshot.get("graph")).get("nodes")
    return [str(each) for each in listed] if isinstance(listed, list) else []


def _parameters(told: Any) -> Any:
    values = _mapping(told).get("values")
    if isinstance(values, Mapping):
        return dict(values)
    return Unknown(str(_mapping(told).get("unreachable", NOT_CAPTURED.reason)))


def _topic(each: Mapping[str, Any], only_here: frozenset[str]) -> Facts | None:
    """The endpoints of a topic by node; None when only nodes that the other side has not speak on it."""
    found: Facts = {"types": each.get("types", [])}
    for way in ("publishers", "subscriptions"):
        entries: Facts = {}
        for endpoint in _list(each.get(way)):
            node = str(_mapping(endpoint).get("node", ""))
            if node in only_here:
                continue
            name, count = node, 1
            while name in entries:
                count += 1
                name = f"{node} ({count})"
            entries[name] = {key: value for key, value in _mapping(endpoint).items() if key != "node"}
        found[way] = entries
    return found if found["publishers"] or found["subscriptions"] else None


def _topics(snapshot: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(_mapping(snapshot.get("graph")).get("topics"))


def _nodes_of(topics: Mapping[str, Any], topic: str, way: str) -> set[str]:
    return {str(_mapping(each).get("node", "")) for each in _list(_mapping(topics.get(topic)).get(way))}


def _camera_topics(contract: Any) -> list[str]:
    cameras = _mapping(_mapping(_mapping(contract).get("observation")).get("cameras"))
    return [str(_mapping(each).get("topic")) for each in cameras.values()]


def _control_nodes(snapshot: Mapping[str, Any]) -> set[str]:
    """Controllers, their managers and who gives joint states. A recorder takes commands too, but it gives nothing."""
    topics, contract = _topics(snapshot), snapshot.get("contract_content")
    robot = _mapping(_mapping(contract).get("robot"))
    states = [str(_mapping(each).get("topic")) for each in _list(robot.get("joint_states"))]
    found = {node for topic in states for node in _nodes_of(topics, topic, "publishers")}
    for manager, told in _mapping(snapshot.get("controllers")).items():
        namespace = manager.rsplit("/", 1)[0]
        found |= {manager, *(f"{namespace}/{name}" for name in _mapping(_mapping(told).get("controllers")))}
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any, depth: int) -> Any:
    """What could not be reached becomes `Unknown`, wherever it stands."""
    if not isinstance(value, dict) or depth > _DEEPEST:
        return value
    if isinstance(value.get("unreachable"), str):
        return Unknown(value["unreachable"])
    return {key: _plain(each, depth + 1) for key, each in value.items()}
