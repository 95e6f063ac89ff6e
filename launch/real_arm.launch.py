"""An arm's own driver, its controllers, and the door in front of them.

    ros2 launch learned_arm real_arm.launch.py robot:=ur5e robot_ip:=192.168.1.10 contract:=my_task.yaml
    ros2 launch learned_arm real_arm.launch.py robot:=ur5e mock:=true contract:=my_task.yaml

Nothing moves until somebody engages.
"""

from ament_index_python.packages import PackageNotFoundError, get_package_share_path
from launch import LaunchContext, LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from learned_arm.bring_up import driver_launch, driver_of, how_to_install
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot
from learned_arm.ros import launching


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    argument = launching.argument
    return LaunchDescription(
        [
            argument("robot", "Robot file: name of a shipped one, such as ur5e, or path of a YAML file."),
            argument("contract", "Task: name of a shipped contract or path of a YAML file."),
            argument("robot_ip", "Address or port, as the robot's driver takes it; empty: the one in its file.", ""),
            argument("mock", "true: the driver's stand-in, no hardware.", "false", launching.BOOLEAN),
            argument("driver", "false: the driver is running already.", "true", launching.BOOLEAN),
            argument("deadman_topic", "Topic of a deadman switch; empty: none.", ""),
            argument("deadman_type", "Its message.", "joy", ["bool", "joy"]),
            argument(
                "target_check", "moveit: refuse targets that collide in its planning scene.", "none", ["none", "moveit"]
            ),
            launching.transport(),
            OpaqueFunction(function=_bring_up),
        ]
    )


def _bring_up(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """What depends on the robot; whatever is wrong with the arguments is said in one line before anything starts."""
    name, contract, address, mock, driver = (
        LaunchConfiguration(each).perform(context) for each in ("robot", "contract", "robot_ip", "mock", "driver")
    )
    robot = load_robot(name)
    load_contract(contract, name)
    entities: list[LaunchDescriptionEntity] = []
    if driver == "true":
        launched = driver_launch(robot, address, mock == "true")
        try:
            file = get_package_share_path(launched.package) / "launch" / launched.launch
        except PackageNotFoundError as error:
            raise LearnedArmError(how_to_install(launched.package, driver_of(robot).install)) from error
        if not file.is_file():
            raise LearnedArmError("the driver has no such launch file", where=launched.package, got=file)
        source = AnyLaunchDescriptionSource(str(file))
        included = IncludeLaunchDescription(source, launch_arguments=list(launched.arguments.items()))
        # A scope of its own: an argument of ours is none of the driver's, whatever its name.
        entities.append(GroupAction([included], scoped=True, forwarding=False))
        controllers = driver_of(robot).controllers
        if controllers is not None and controllers.load:
            spawn = [*controllers.load, "--inactive", "-c", controllers.manager]
            entities.append(Node(package="controller_manager", executable="spawner", arguments=spawn, output="screen"))
    common = {"contract": launching.text("contract"), "robot": launching.text("robot")}
    door = {**common, **{name: launching.text(name) for name in ("deadman_topic", "deadman_type", "target_check")}}
    switch = launching.node("switch_controllers", {"robot": launching.text("robot")})
    opened = launching.node("arm_node", door, on_exit=launching.end_with_it("the door to the arm has ended"))

    def switched(event: ProcessExited, context: LaunchContext) -> LaunchDescriptionEntity | None:
        """The door opens once what it commands is active: a door to half an arm is none."""
        if event.returncode == 0:
            return opened
        return None if context.is_shutdown else Shutdown(reason="controllers were not switched: see the error above")

    return [*entities, RegisterEventHandler(OnProcessExit(target_action=switch, on_exit=switched)), switch]
