"""Topics that the processes of a benchmark share."""

ECHO_IMAGE = "/bench/echo/image_raw"
ECHO = "/bench/echo/out"
POLICY_IMAGE = "/bench/policy/image_raw"
CAMERAS = tuple(f"/bench/camera_{index}/image_raw" for index in range(3))
JOINT_STATES = "/joint_states"
