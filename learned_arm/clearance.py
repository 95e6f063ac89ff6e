"""Room around an arm: a box that it stays in, and pairs of its parts that keep their distance from each other.

Parts are capsules (a segment with a radius) fixed to links. A check's room is how far it is from being violated, in
metres, negative where it is. Every configuration that is asked about is checked; between two of them nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm import checked
from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics, Kinematics, triple

WORKSPACE, SELF_COLLISION = "workspace", "self_collision"
_LENGTH = checked.number(0.0, 100.0)
_ROUNDING_M = 1e-9


@dataclass(frozen=True)
class Capsule:
    """A part of the arm: all points within `radius_m` of a segment in a link's frame."""

    name: str
    link: str
    from_m: tuple[float, float, float]
    to_m: tuple[float, float, float]
    radius_m: float


@dataclass(frozen=True)
class Workspace:
    """A box in the base frame that whole capsules stay inside."""

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]
    capsules: tuple[str, ...]


@dataclass(frozen=True)
class SelfCollision:
    """Pairs of capsules that stay at least `distance_m` apart, surface to surface."""

    distance_m: float
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ClearanceSpec:
    """What is checked, in a robot file's `clearance`; one of the two checks may be missing."""

    capsules: tuple[Capsule, ...]
    workspace: Workspace | None
    self_collision: SelfCollision | None

    def canonical(self) -> dict[str, Any]:
        """The content as plain data, in the form of the YAML file."""
        found: dict[str, Any] = {
            "capsules": {
                each.name: {
                    "link": each.link,
                    "from_m": list(each.from_m),
                    "to_m": list(each.to_m),
                    "radius_m": each.radius_m,
                }
                for each in self.capsules
            }
        }
        if self.workspace is not None:
            box = self.workspace
            found["workspace"] = {
                "low_m": list(box.low_m),
                "high_m": list(box.high_m),
                "capsules": list(box.capsules),
            }
        if self.self_collision is not None:
            pairs = [list(pair) for pair in self.self_collision.pairs]
            found["self_collision"] = {"distance_m": self.self_collision.distance_m, "pairs": pairs}
        return found


class _Walls:
    """Capsules inside a box."""

    kind = WORKSPACE

    def __init__(self, box: Workspace, index: dict[str, int], radius_m: NDArray[np.float64]) -> None:
        self.names = tuple(f"{WORKSPACE}: {name}" for name in box.capsules)
        self._boxed = np.array([index[name] for name in box.capsules], dtype=np.intp)
        self._radius = radius_m[self._boxed]
        self._low, self._high = np.array(box.low_m), np.array(box.high_m)

    def room_m(self, ends: NDArray[np.float64]) -> NDArray[np.float64]:
        boxed = ends[:, self._boxed]
        return np.minimum(boxed - self._low, self._high - boxed).min(axis=(2, 3)) - self._radius

    def levers_m(self, levers: NDArray[np.float64]) -> NDArray[np.float64]:
        return levers[self._boxed]


class _Pairs:
    """Capsules apart from each other."""

    kind = SELF_COLLISION

    def __init__(self, checks: SelfCollision, index: dict[str, int], radius_m: NDArray[np.float64]) -> None:
        self.names = tuple(f"{SELF_COLLISION}: {one}, {other}" for one, other in checks.pairs)
        self._first = np.array([index[one] for one, _ in checks.pairs], dtype=np.intp)
        self._second = np.array([index[other] for _, other in checks.pairs], dtype=np.intp)
        self._apart = radius_m[self._first] + radius_m[self._second] + checks.distance_m

    def room_m(self, ends: NDArray[np.float64]) -> NDArray[np.float64]:
        first, second = ends[:, self._first], ends[:, self._second]
        return segment_distance(first[:, :, 0], first[:, :, 1], second[:, :, 0], second[:, :, 1]) - self._apart

    def levers_m(self, levers: NDArray[np.float64]) -> NDArray[np.float64]:
        first, second = levers[self._first], levers[self._second]
        # What moves both parts leaves the distance between them.
        return np.where((first > 0.0) & (second > 0.0), 0.0, first + second)


class Clearance:
    """Measures the room of configurations.

    Every kind of check remembers the last configuration that it measured: from there, what the joints have moved since
    and their levers bound what became of the room. Far from everything that answers nearly every question.

    Args:
        spec: What is checked.
        kinematics: Where its links are.
        joints: The robot's joints, in the order of a configuration.

    Attributes:
        names: Of the checks, `workspace: forearm` or `self_collision: upper_arm, gripper`.
        levers_m: Room that every check loses at most for every radian (or metre) of a joint, shape (checks, dof).
    """

    def __deepcopy__(self, memo: dict[int, object]) -> Clearance:
        """What it remembers is true of every copy."""
        return self

    def __init__(self, spec: ClearanceSpec, kinematics: Kinematics, joints: Sequence[str]) -> None:
        self._forward = ForwardKinematics(kinematics, joints)
        index = {each.name: number for number, each in enumerate(spec.capsules)}
        self._links = np.array([self._forward.links.index(each.link) for each in spec.capsules], dtype=np.intp)
        ends = np.array([[each.from_m, each.to_m] for each in spec.capsules]).reshape(-1, 2, 3)
        self._ends = np.concatenate([ends, np.ones((*ends.shape[:2], 1))], axis=2)
        radius_m = np.array([each.radius_m for each in spec.capsules])
        self._kinds: list[_Walls | _Pairs] = []
        if spec.workspace is not None:
            self._kinds.append(_Walls(spec.workspace, index, radius_m))
        if spec.self_collision is not None:
            self._kinds.append(_Pairs(spec.self_collision, index, radius_m))
        self.names = tuple(name for kind in self._kinds for name in kind.names)
        # Every point of a segment moves less far than the end that moves further.
        levers = np.array([self._levers_of(each.link, each.from_m, each.to_m) for each in spec.capsules])
        self._levers = [kind.levers_m(levers) for kind in self._kinds]
        self.levers_m = np.concatenate(self._levers)
        self._known: list[tuple[NDArray[np.float64], NDArray[np.float64]] | None] = [None] * len(self._kinds)

    def _levers_of(self, link: str, *points_m: tuple[float, float, float]) -> NDArray[np.float64]:
        return np.max([self._forward.levers_m(link, point_m) for point_m in points_m], axis=0)

    def room_m(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Room of every check.

        Args:
            position_rad: Configurations, shape (K, dof).

        Returns:
            Metres, negative where a check is violated, shape (K, checks) in the order of `names`.
        """
        at = self._ends_at(position_rad)
        return np.concatenate([kind.room_m(at) for kind in self._kinds], axis=1)

    def violated(self, position_rad: NDArray[np.float64]) -> tuple[str, ...]:
        """Names of the checks that one configuration, shape (dof,), violates."""
        room_m = self.room_m(position_rad[None])[0]
        return tuple(name for name, room in zip(self.names, room_m, strict=True) if room < 0.0)

    def lost(self, ahead: NDArray[np.float64], here: Callable[[], NDArray[np.float64]]) -> tuple[str, ...]:
        """Kinds of checks that going ahead violates, or violates more than standing here does.

        An arm that was brought outside by hand may move back: what grows is no loss.

        Args:
            ahead: Configurations that the arm passes when it goes on and stops then, shape (N, dof).
            here: Gives those that it passes when it stops now, shape (K, dof). Asked only where there is any doubt.
        """
        doubtful = [number for number in range(len(self._kinds)) if not self._surely_room(number, ahead)]
        if not doubtful:
            return ()
        stopping = here()
        at = self._ends_at(np.concatenate([stopping, ahead]))
        found: list[str] = []
        for number in doubtful:
            room_m = self._kinds[number].room_m(at)
            self._known[number] = (ahead[0], room_m[len(stopping)])
            now, then = room_m[: len(stopping)].min(axis=0), room_m[len(stopping) :].min(axis=0)
            if (then < np.minimum(now, 0.0) - _ROUNDING_M).any():
                found.append(self._kinds[number].kind)
        return tuple(found)

    def _surely_room(self, kind: int, ahead: NDArray[np.float64]) -> bool:
        known = self._known[kind]
        if known is None:
            return False
        position_rad, room_m = known
        moved = np.abs(ahead - position_rad).max(axis=0)
        return bool((room_m >= self._levers[kind] @ moved).all())

    def _ends_at(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ends of all capsules in the base frame, shape (K, capsules, 2, 3)."""
        poses = self._forward.poses(position_rad)[:, self._links, :3]
        return self._ends @ poses.swapaxes(2, 3)


def segment_distance(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance between the segments a-b and c-d; points of shape (..., 3), distances of shape (...).

    Off by at most 1e-7 of the longer one, where they are all but parallel. Source: Ericson, "Real-Time Collision
    Detection", section 5.1.9: the nearest points of the two lines, clamped to the segments one after the other.
    """
    u, v, w = b - a, d - c, a - c
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    # A segment shorter than a picometre is a point; lines that part by less than 3e-8 rad are parallel.
    tiny = 1e-24
    across = uu * vv - uv * uv
    crossing = across > np.maximum(1e-15 * uu * vv, tiny * tiny)
    s = np.where(crossing, np.clip((uv * vw - uw * vv) / np.where(crossing, across, 1.0), 0.0, 1.0), 0.0)
    t = np.where(vv > tiny, (uv * s + vw) / np.maximum(vv, tiny), 0.0)
    clamped = np.clip(t, 0.0, 1.0)
    # With t clamped, the nearest point of the first segment is sought anew; a point has none to seek.
    again = np.where(uu > tiny, np.clip((clamped * uv - uw) / np.maximum(uu, tiny), 0.0, 1.0), 0.0)
    s = np.where((t == clamped) & crossing, s, again)
    return np.linalg.norm(w + s[..., None] * u - clamped[..., None] * v, axis=-1)


def parse_clearance(value: Any, where: str, links: Sequence[str]) -> ClearanceSpec:
    """Check a robot file's `clearance` whole.

    Raises:
        LearnedArmError: A capsule or link is unknown, the box is empty, or an entry is wrong.
    """
    if not links:
        raise LearnedArmError("clearance needs kinematics", where=where, allowed="a section 'kinematics' with links")
    top = checked.Section(value, where)
    section = top.section("capsules")
    capsules = tuple(_capsule(name, each, f"{section.where}.{name}", links) for name, each in sorted(section.items()))
    if not capsules:
        raise LearnedArmError("no capsule", where=section.where, allowed="at least one part of the arm")
    names = [each.name for each in capsules]
    workspace = top.take("workspace", lambda given, place: _workspace(given, place, names), default=None)
    self_collision = top.take(SELF_COLLISION, lambda given, place: _self_collision(given, place, names), default=None)
    top.done()
    if workspace is None and self_collision is None:
        raise LearnedArmError("nothing to check", where=where, allowed=f"{WORKSPACE}, {SELF_COLLISION} or both")
    return ClearanceSpec(capsules, workspace, self_collision)


def _capsule(name: str, value: Any, where: str, links: Sequence[str]) -> Capsule:
    section = checked.Section(value, where)
    capsule = Capsule(
        name=name,
        link=section.take("link", checked.choice(*links)),
        from_m=section.take("from_m", triple),
        to_m=section.take("to_m", triple),
        radius_m=section.take("radius_m", _LENGTH),
    )
    section.done()
    return capsule


def _workspace(value: Any, where: str, capsules: Sequence[str]) -> Workspace:
    section = checked.Section(value, where)
    box = Workspace(
        low_m=section.take("low_m", triple),
        high_m=section.take("high_m", triple),
        capsules=section.take("capsules", checked.list_of(checked.choice(*capsules)), default=tuple(capsules)),
    )
    section.done()
    if not all(low < high for low, high in zip(box.low_m, box.high_m, strict=True)):
        raise LearnedArmError("not a box", where=where, got=[box.low_m, box.high_m], allowed="low_m below high_m")
    return box


def _self_collision(value: Any, where: str, capsules: Sequence[str]) -> SelfCollision:
    section = checked.Section(value, where)
    checks = SelfCollision(
        distance_m=section.take("distance_m", _LENGTH),
        pairs=section.take("pairs", checked.list_of(lambda pair, place: _pair(pair, place, capsules))),
    )
    section.done()
    return checks


def _pair(value: Any, where: str, capsules: Sequence[str]) -> tuple[str, str]:
    names = checked.list_of(checked.choice(*capsules))(value, where)
    if len(names) != 2 or names[0] == names[1]:
        raise LearnedArmError("not a pair", where=where, got=list(names), allowed="two different capsules")
    return names[0], names[1]
