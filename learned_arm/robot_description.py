"""A URDF as facts: kinematics, limits, dynamics, ros2_control, collisions, visuals and the rest, each with its hash.

Numbers are read as numbers and elements by their names, so that order, comments and white space change nothing. Every
element falls into exactly one part: what the raw hash sees, a part shows.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from typing import Any

from learned_arm.canonical import hash_of, sha256_hex
from learned_arm.errors import LearnedArmError
from learned_arm.xml_text import parse_xml

PARTS = ("kinematics", "limits", "dynamics", "ros2_control", "collisions", "visuals", "other")
_WHERE = "robot_description"
_ZEROS = [0.0, 0.0, 0.0]
_OF_KINEMATICS = ("origin", "parent", "child", "axis", "mimic")
_OF_LIMITS = ("limit", "safety_controller")


def describe(text: str) -> dict[str, Any]:
    """The facts about a URDF.

    Returns:
        `sha256` of the text, and each of `PARTS` as `{"sha256": ..., "facts": ...}`.

    Raises:
        LearnedArmError: It is no URDF: not XML, too large, a document type, a number that is none, a name twice.
    """
    root = parse_xml(text, _WHERE)
    if root.tag != "robot":
        raise LearnedArmError("not a URDF", where=_WHERE, got=root.tag, allowed="robot")
    joints = _by_name(root.iterfind("joint"))
    links = _by_name(root.iterfind("link"))
    facts: dict[str, Any] = {
        "kinematics": {
            "links": sorted(links),
            "joints": {name: _kinematics(joint) for name, joint in joints.items()},
        },
        "limits": _filled({name: _attributes_of(joint, _OF_LIMITS) for name, joint in joints.items()}),
        "dynamics": {
            "joints": _filled({name: _attributes_of(joint, ("dynamics",)) for name, joint in joints.items()}),
            "links": _filled({name: _tree_of(link, "inertial") for name, link in links.items()}),
        },
        "ros2_control": {name: _control(block) for name, block in _by_name(root.iterfind("ros2_control")).items()},
        "collisions": _filled({name: _tree_of(link, "collision") for name, link in links.items()}),
        "visuals": {
            "links": _filled({name: _tree_of(link, "visual") for name, link in links.items()}),
            "materials": [_canonical(each) for each in root.iterfind("material")],
        },
        "other": {
            "robot": root.get("name", ""),
            "elements": _sorted(_rest(root, ("joint", "link", "ros2_control", "material"))),
            "joints": _filled(
                {name: _rest(joint, (*_OF_KINEMATICS, *_OF_LIMITS, "dynamics")) for name, joint in joints.items()}
            ),
            "links": _filled({name: _rest(each, ("inertial", "collision", "visual")) for name, each in links.items()}),
        },
    }
    assert tuple(facts) == PARTS
    parts = {name: {"sha256": hash_of(content), "facts": content} for name, content in facts.items()}
    return {"sha256": sha256_hex(text.encode("utf-8", "surrogatepass")), **parts}


def _kinematics(joint: ElementTree.Element) -> dict[str, Any]:
    origin, axis, mimic = joint.find("origin"), joint.find("axis"), joint.find("mimic")
    found = {
        "type": joint.get("type", ""),
        "parent": _attribute(joint.find("parent"), "link"),
        "child": _attribute(joint.find("child"), "link"),
        "origin_xyz_m": _numbers(origin, "xyz", _ZEROS),
        "origin_rpy_rad": _numbers(origin, "rpy", _ZEROS),
        "axis": _numbers(axis, "xyz", [1.0, 0.0, 0.0]),
    }
    return found if mimic is None else {**found, "mimic": _attributes(mimic)}


def _control(block: ElementTree.Element) -> dict[str, Any]:
    """One `<ros2_control>` block: plugin and parameters, and the same of each joint, sensor and gpio in it."""
    hardware = block.find("hardware")
    return {
        "type": block.get("type", ""),
        "plugin": (hardware.findtext("plugin") or "").strip() if hardware is not None else "",
        "parameters": _parameters(hardware),
        "components": {
            f"{each.tag} {each.get('name', '')}": {
                "parameters": _parameters(each),
                "interfaces": _sorted(_rest(each, ("param",))),
            }
            for each in block
            if each.tag != "hardware"
        },
        "attributes": {key: value for key, value in _attributes(block).items() if key not in ("name", "type")},
        "more": [] if hardware is None else _sorted(_rest(hardware, ("plugin", "param"))),
    }


def _parameters(element: ElementTree.Element | None) -> dict[str, Any]:
    if element is None:
        return {}
    return {each.get("name", ""): _value((each.text or "").strip()) for each in element.iterfind("param")}


def _by_name(elements: Iterable[ElementTree.Element]) -> dict[str, ElementTree.Element]:
    found: dict[str, ElementTree.Element] = {}
    for element in elements:
        name = element.get("name", "")
        if not name or name in found:
            what = "a name twice" if name else "without a name"
            raise LearnedArmError(f"{element.tag} {what}", where=_WHERE, got=name, allowed="each name once")
        found[name] = element
    return found


def _filled(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: content for name, content in facts.items() if content}


def _attribute(element: ElementTree.Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "")


def _attributes(element: ElementTree.Element) -> dict[str, Any]:
    return {name: _value(value) for name, value in element.attrib.items()}


def _attributes_of(element: ElementTree.Element, tags: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tag in tags:
        child = element.find(tag)
        if child is not None:
            found |= {key if tag == tags[0] else f"{tag}.{key}": value for key, value in _attributes(child).items()}
    return found


def _tree_of(element: ElementTree.Element, tag: str) -> list[Any]:
    return [_canonical(each) for each in element.iterfind(tag)]


def _rest(element: ElementTree.Element, known: tuple[str, ...]) -> list[Any]:
    return [_canonical(each) for each in element if each.tag not in known]


def _sorted(elements: list[Any]) -> list[Any]:
    return sorted(elements, key=hash_of)


def _canonical(element: ElementTree.Element) -> list[Any]:
    text = _value((element.text or "").strip())
    return [element.tag, _attributes(element), text, [_canonical(each) for each in element]]


def _value(text: str) -> Any:
    """Numbers where a text is nothing else: `0.10` and `.1` are the same."""
    words = text.split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return " ".join(words)
    if not numbers or not all(math.isfinite(each) for each in numbers):
        return " ".join(words)
    # Minus zero is zero.
    return numbers[0] + 0.0 if len(numbers) == 1 else [each + 0.0 for each in numbers]


def _numbers(element: ElementTree.Element | None, name: str, default: list[float]) -> list[float]:
    text = None if element is None else element.get(name)
    if text is None:
        return default
    found = _value(text)
    if not isinstance(found, list) or len(found) != len(default):
        raise LearnedArmError(f"not {len(default)} numbers", where=f"{_WHERE}: {name}", got=text)
    return found
