"""The ament_python package: `colcon build` installs it into a workspace, `make` into .venv."""

from glob import glob

from setuptools import find_packages, setup

package_name = "learned_arm"
top_packages = ("learned_arm", "arm_control", "learned_policy_node", "data_recorder", "demo_tools")

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(include=[pattern for name in top_packages for pattern in (name, f"{name}.*")]),
    package_data={
        "": ["*.css", "*.html", "*.j2", "*.js"],
        package_name: ["config/*.xml", "config/*.yaml", "config/*/*.yaml"],
    },
    # One entry a folder: a glob does not recurse.
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{package_name}/config", sorted(glob("learned_arm/config/*.xml") + glob("learned_arm/config/*.yaml"))),
        (f"share/{package_name}/config/robots", sorted(glob("learned_arm/config/robots/*.yaml"))),
        (f"share/{package_name}/config/controllers", sorted(glob("learned_arm/config/controllers/*.yaml"))),
        (f"share/{package_name}/config/cameras", sorted(glob("learned_arm/config/cameras/*.yaml"))),
        (f"share/{package_name}/config/teleop", sorted(glob("learned_arm/config/teleop/*.yaml"))),
        (f"share/{package_name}/config/contracts", sorted(glob("learned_arm/config/contracts/*.yaml"))),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["hypothesis", "pytest"]},
    python_requires=">=3.11",
    zip_safe=False,
    author="learned_arm maintainers",
    maintainer="learned_arm maintainers",
    maintainer_email="maintainers@learned-arm.example",
    description="Arms that learn end to end: record, replay, train, run.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "learned-arm = demo_tools.cli:main",
            "arm_node = arm_control.arm_node:main",
            "teleop_node = arm_control.teleop_node:main",
            "switch_controllers = learned_arm.ros.switch_controllers:main",
            "policy_node = learned_policy_node.node:main",
            "recorder_node = data_recorder.node:main",
            "recorder_keys = data_recorder.keys:main",
            "teleop_keys = arm_control.keys:main",
            "replay_node = demo_tools.replay.node:main",
            "sim_arm_node = demo_tools.simulation.node:main",
            "scripted_expert_node = demo_tools.simulation.expert_node:main",
        ],
    },
)
