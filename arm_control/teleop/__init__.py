"""What a person moves, and what that asks of the arm. No ROS."""
