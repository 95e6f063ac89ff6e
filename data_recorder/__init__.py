"""Teleoperation and rollouts -> rosbag2 bags: raw bytes in, an episode that is whole or absent out."""
