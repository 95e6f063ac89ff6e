from itertools import pairwise

import numpy as np
import pytest

from demo_tools.simulation import scene
from demo_tools.simulation.arm import BELT_STARTS_AT_RAD, SOCKET_SPAWN_M, SPAWN_CENTRE_M, ArmSimulation, sample_start
from demo_tools.simulation.cameras import CameraRig
from demo_tools.simulation.things import CubePose
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError

PERIOD_NS = 10_000_000
COLOURED = ("insert_peg", "pick_moving")


def run(arm: ArmSimulation, steps: int) -> None:
    for _ in range(steps):
        arm.step(PERIOD_NS)


@pytest.mark.parametrize("task", COLOURED)
def test_a_restored_state_goes_on_as_it_went_and_has_its_colour(task: str) -> None:
    contract = load_contract(task)
    arm, other = ArmSimulation(contract), ArmSimulation(contract)
    arm.reset(4)
    other.reset(5)
    arm.set_position_targets("arm", arm.position_rad[:6] + 0.05)
    run(arm, 20)
    state = arm.state()
    other.restore(state)
    for each in (arm, other):
        run(each, 50)
    assert np.array_equal(arm.state(), other.state())
    shown, again = arm.sight().colours, other.sight().colours
    assert shown.keys() == again.keys() and all(np.array_equal(shown[geom], again[geom]) for geom in shown)


@pytest.mark.parametrize("task", COLOURED)
def test_colours_vary_with_the_seed_and_are_drawn(task: str) -> None:
    contract = load_contract(task)
    arm = ArmSimulation(contract)
    rig = CameraRig(arm)
    try:
        colours = []
        for seed in range(6):
            arm.reset(seed)
            sight = arm.sight()
            colours.append(next(iter(sight.colours.values())))
            image = rig.draw("front", sight).reshape(-1, 3).astype(float)
            vivid = image[np.ptp(image, axis=1) > 0.5 * image.max(axis=1)]
            hue = colours[-1] / np.linalg.norm(colours[-1])
            alike = (vivid / np.linalg.norm(vivid, axis=1, keepdims=True)) @ hue
            assert (alike > 0.99).sum() >= 4, "nothing in the picture has the colour"
        assert min(np.linalg.norm(a - b) for a, b in pairwise(colours)) > 0.02
    finally:
        rig.close()


def test_sockets_stand_where_they_may_and_the_jaws_lie_on_the_peg() -> None:
    contract = load_contract("insert_peg")
    arm = ArmSimulation(contract)
    for seed in range(20):
        start = sample_start(contract, seed)
        assert (np.abs(start.cube.position_m[:2] - SPAWN_CENTRE_M) <= np.array(SOCKET_SPAWN_M) / 2).all()
        arm.place(start)
        assert np.array_equal(arm.cube.position_m, start.cube.position_m)
        assert arm.tcp[2, 3] - scene.PEG_TIP_M > scene.SOCKET_TOP_M, "the peg begins above the socket"


def test_the_peg_is_stopped_by_the_rim_and_goes_into_the_hole() -> None:
    """The hole is 4 mm wider than the peg: a peg that comes 4 mm beside its middle stands on the rim."""
    contract = load_contract("insert_peg")
    for beside_m, goes_in in ((0.0, True), (0.001, True), (0.004, False)):
        arm = ArmSimulation(contract)
        arm.reset(0)
        tip_m = arm.tcp[:3, 3] + scene.PEG_TIP_M * arm.tcp[:3, 2]
        # The socket comes to the peg from below, as fast as a hand would go down.
        yaw_rad = float(np.arctan2(arm.tcp[1, 0], arm.tcp[0, 0]))
        turn = np.array([np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2)])
        arm.set_position_targets("gripper", [scene.PEG_HELD_RAD + 0.06])
        for rise_m in np.linspace(-0.005, 0.03, 60):
            arm.put_cube(CubePose(tip_m + np.array([beside_m, 0.0, rise_m]), turn))
            run(arm, 1)
        force = float(np.abs(arm.position_rad[:6] - contract.robot.home_rad[:6]).max())
        moved_m = float(np.linalg.norm(arm.tcp[:3, 3] + scene.PEG_TIP_M * arm.tcp[:3, 2] - tip_m))
        assert force < 1.0 and (moved_m < 1e-3) == goes_in


def test_the_belt_waits_for_the_hand_and_then_carries_the_cube() -> None:
    arm = ArmSimulation(load_contract("pick_moving"))
    arm.reset(0)
    run(arm, 50)
    begins_m = arm.cube.position_m
    arm.set_position_targets("arm", arm.position_rad[:6] + 0.9 * BELT_STARTS_AT_RAD)
    run(arm, 50)
    assert np.allclose(arm.cube.position_m, begins_m, atol=1e-4)
    arm.set_position_targets("arm", arm.position_rad[:6] + 2 * BELT_STARTS_AT_RAD)
    run(arm, 10)
    from_m = arm.cube.position_m
    run(arm, 100)
    assert (arm.cube.position_m - from_m)[1] == pytest.approx(scene.BELT_M_S, rel=0.02)


def test_pads_are_put_nowhere() -> None:
    arm = ArmSimulation(load_contract("reach_cued"))
    with pytest.raises(LearnedArmError, match="nothing to put"):
        arm.put_cube(arm.cube)
