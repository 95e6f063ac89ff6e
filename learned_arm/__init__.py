"""What a robot, an observation, an action and an episode are. Imports no ROS outside `learned_arm.ros`."""

__version__ = "0.1.0"
