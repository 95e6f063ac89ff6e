"""The cameras of a task, each by its own driver.

    ros2 launch learned_arm cameras.launch.py cameras:=two_usb contract:=my_task.yaml

The file says which drivers, and on which topics their pictures come; with a contract, those are compared.
"""

from ament_index_python.packages import PackageNotFoundError, get_package_share_path
from launch import LaunchContext, LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from learned_arm.bring_up import how_to_install
from learned_arm.cameras import Started, load_cameras, require_topics, started
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import launching


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    argument = launching.argument
    return LaunchDescription(
        [
            argument("cameras", "Camera file: name of a shipped one or path of a YAML file."),
            argument("contract", "Task whose cameras must be among them; empty: not compared.", ""),
            launching.transport(),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Every camera, once it is known that all of them can be started."""
    file, contract = (LaunchConfiguration(each).perform(context) for each in ("cameras", "contract"))
    starts = {camera.name: started(camera) for camera in load_cameras(file)}
    if contract:
        require_topics(starts, load_contract(contract))
    return [_entity(name, each) for name, each in starts.items()]


def _entity(name: str, start: Started) -> LaunchDescriptionEntity:
    try:
        share = get_package_share_path(start.package)
    except PackageNotFoundError as error:
        raise LearnedArmError(how_to_install(start.package, start.install)) from error
    if not start.launch:
        return Node(
            package=start.package,
            executable=start.executable,
            name=f"{name}_camera",
            namespace=name,
            output="screen",
            parameters=[start.settings],
            remappings=list(start.renamed.items()),
        )
    path = share / "launch" / start.launch
    if not path.is_file():
        raise LearnedArmError("the driver has no such launch file", where=start.package, got=path)
    included = IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)), launch_arguments=start.settings.items())
    # A scope of its own: an argument of ours is none of the driver's, whatever its name.
    return GroupAction([included], scoped=True, forwarding=False)
