"""Topics that the processes of a benchmark share."""

ECHO_IMAGES = tuple(f"/bench/echo/camera_{index}/image_raw" for index in range(2))
ECHO = "/bench/echo/out"
RELAY = "/bench/relay/out"
CAMERAS = tuple(f"/bench/camera_{index}/image_raw" for index in range(3))
JOINT_STATES = "/joint_states"
