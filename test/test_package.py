"""What `colcon build` installs from this package, and that its metadata agree with the tree."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAME = "learned_arm"
NOT_PART_OF_IT = shutil.ignore_patterns(".*", "runs", "build", "install", "log", "__pycache__", "test")
# Modules of ROS besides interfaces, each with the rosdep key that installs it.
ROS_KEYS = {
    "ament_index_python": "ament_index_python",
    "cv_bridge": "cv_bridge",
    "launch": "launch",
    "launch_ros": "launch_ros",
    "moveit": "moveit_py",
    "rclpy": "rclpy",
}


def setup_keywords() -> dict[str, ast.expr]:
    """Keyword arguments of the `setup()` call."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setup":
            return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    raise AssertionError("setup.py calls no setup()")


def console_scripts() -> dict[str, str]:
    """Command -> `module:function`."""
    lines = ast.literal_eval(setup_keywords()["entry_points"])["console_scripts"]
    return dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in lines)


def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


@pytest.mark.parametrize(("command", "target"), console_scripts().items())
def test_a_command_has_its_function(command: str, target: str) -> None:
    module, function = target.split(":")
    file = ROOT / f"{module.replace('.', '/')}.py"
    assert file.is_file(), f"{command} names {target}"
    defined = [each.name for each in ast.parse(file.read_text()).body if isinstance(each, ast.FunctionDef)]
    assert function in defined


def test_every_python_folder_is_a_package_that_is_installed() -> None:
    tops = ast.literal_eval(
        next(
            node.value
            for node in ast.parse((ROOT / "setup.py").read_text()).body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "top_packages"
        )
    )
    folders = {file.parent for top in tops for file in (ROOT / top).rglob("*.py")}
    assert sorted(str(each) for each in folders if not (each / "__init__.py").is_file()) == []


def test_launch_and_test_are_no_packages() -> None:
    assert not list((ROOT / "launch").rglob("__init__.py"))
    assert not list((ROOT / "test").rglob("__init__.py"))


def test_version_and_licence_agree() -> None:
    keywords = setup_keywords()
    xml = manifest()
    assert xml.findtext("version") == ast.literal_eval(keywords["version"])
    assert xml.findtext("license") == ast.literal_eval(keywords["license"]) == "Apache-2.0"
    maintainer = xml.find("maintainer")
    assert maintainer is not None
    assert maintainer.get("email") == ast.literal_eval(keywords["maintainer_email"])


def test_every_ros_package_that_is_imported_is_depended_on() -> None:
    depended = {each.text for each in manifest() if each.tag.endswith("depend")}
    needed: set[str] = set()
    tops = ("learned_arm", "arm_control", "learned_policy_node", "data_recorder", "demo_tools", "launch")
    for file in (file for top in tops for file in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for top in {name.split(".")[0] for name in names}:
                if top in ROS_KEYS or top.endswith(("_msgs", "_srvs", "_interfaces")):
                    needed.add(ROS_KEYS.get(top, top))
    assert needed
    assert needed - depended == set()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("colcon_ros") is None, reason="colcon is not installed")
def test_colcon_installs_nodes_launch_config_and_index(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(ROOT, workspace / "src" / NAME, ignore=NOT_PART_OF_IT)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    build = subprocess.run(
        [sys.executable, "-m", "colcon", "build", "--event-handlers", "console_direct+"],
        cwd=workspace,
        env={**environment, "COLCON_HOME": str(tmp_path / "colcon")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    assert build.returncode == 0, build.stdout[-4000:]

    prefix = workspace / "install" / NAME
    for command in console_scripts():
        assert os.access(prefix / "lib" / NAME / command, os.X_OK), command
    share = prefix / "share" / NAME
    assert (prefix / "share/ament_index/resource_index/packages" / NAME).is_file()
    assert (share / "package.xml").is_file()
    assert names(share / "launch") == names(ROOT / "launch", "*.py")
    assert (share / "config/fastdds_shm.xml").is_file()
    for folder in ("robots", "contracts"):
        assert names(share / "config" / folder) == names(ROOT / NAME / "config" / folder)
    all_names = [each.name for each in share.rglob("*.launch.py")]
    assert len(all_names) == len(set(all_names)), "ros2 launch refuses a name that occurs twice"

    # The installed tree works on its own: configuration is found beside the code, not in the checkout.
    (site_packages,) = prefix.glob("lib/python*/site-packages")
    shown = subprocess.run(
        [sys.executable, "-c", _LOAD],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(site_packages)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == ["pick_cube", str(site_packages / NAME / "contract.py")]


_LOAD = """
from learned_arm import contract
print(contract.load_contract("pick_cube").task, contract.__file__)
"""


def names(folder: Path, pattern: str = "*") -> list[str]:
    """Names of the files in a folder."""
    return sorted(each.name for each in folder.glob(pattern) if each.is_file())
