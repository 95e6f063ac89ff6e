"""The edge to ROS 2: nodes, QoS, transport profile, command sinks, introspection."""
