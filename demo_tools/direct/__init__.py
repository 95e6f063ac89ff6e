"""The simulated arm and its door in one process, in lock-step: the same physics and the same rules, without ROS."""
