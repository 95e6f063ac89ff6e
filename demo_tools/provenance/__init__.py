"""What changed since: the robot that is running as a snapshot, and two states of a robot compared."""
