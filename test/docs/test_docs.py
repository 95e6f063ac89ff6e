"""The documentation does what it says: its commands run, its files load, its links lead somewhere.

The tutorial runs once, in order, with the small numbers of `SMALLER`; what other pages show runs after it, in the same
folder. A command that `PARSED_ONLY` lists is not run, for the reason that stands there, but looked up.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_recorder.bag_writer import bag_file_name
from data_recorder.episode_writer import DRAFT_FILE, RECORDING_SUFFIX, Draft
from demo_tools.cli import COMMANDS
from learned_arm.canonical import canonical_json
from learned_arm.contract import load_contract
from learned_arm.durable import read_json
from learned_arm.episode import Episode, episode_name, list_episodes
from learned_arm.robot import parse_robot
from test.patience import patient

pytestmark = pytest.mark.unhurried

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
REFERENCE = (ROOT / "docs/reference.md").read_text()
# What the pages say, and what is run: enough to see that it works, too little for a good policy.
SMALLER = {
    "--episodes 20": "--episodes 2",
    "head -n 20)": "head -n 2)",
    "--iterations 600": "--iterations 8",
    "--trials 20": "--trials 1 --limit-s 1.0",
    "--out runs/first/sweep": "--out runs/first/sweep --quick",
    "--task reach_cued --episodes 3": "--task reach_cued --episodes 2",
    "--iterations 10 --memory": "--iterations 2 --memory",
    "--trials 1 --limit-s 6": "--trials 1 --limit-s 0.5",
}
# Run once, even where several pages show them.
COSTLY = (
    "learned-arm record",
    "learned-arm replay",
    "learned-arm sweep",
    "learned-arm train",
    "learned-arm evaluate",
)
NAMED_FILE = re.compile(r"# ([\w.]+\.(?:yaml|py))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Lines without comments."""
        lines = (re.sub(r"(^|\s{2,})#.*", "", line).rstrip() for line in self.text.splitlines())
        return [line for line in lines if line]

    @property
    def file_name(self) -> str | None:
        """The name in its first line, where it is a file."""
        match = NAMED_FILE.match(self.text)
        return match[1] if match else None


def blocks(page: Path) -> Iterator[Block]:
    pattern = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    text = page.read_text()
    for match in pattern.finditer(text):
        yield Block(page.name, text[: match.start()].count("\n") + 1, match[1], match[2])


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of(language: str, *, tutorial: bool | None = None) -> list[Block]:
    """Blocks of a language: those of the tutorial, those of other pages, or (None) all."""
    return [block for block in BLOCKS if block.language == language and tutorial in (None, block.page == "tutorial.md")]


# -- commands that are looked up, not run ---------------------------------------------------------------------------


def documented(node: str) -> set[str]:
    """First cells of the tables of a node, which test_reference compares with the running node."""
    section = REFERENCE.split(f"\n### `{node}`\n")[1].split("\n### ")[0]
    return set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))


def make_knows(words: list[str]) -> bool:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    argv = ["make", "--dry-run", *words[1:]]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, timeout=30, check=False)
    return done.returncode == 0


def is_environment(_words: list[str]) -> bool:
    return "VENV := .venv\n" in (ROOT / "Makefile").read_text()


def is_launched(words: list[str]) -> bool:
    _, _, package, file, *arguments = words
    path = ROOT / "launch" / file
    names = [argument.split(":=")[0] for argument in arguments]
    if package != "learned_arm" or not path.is_file():
        return False
    text = "".join(path.read_text().split())
    return all(f'argument("{name}",' in text for name in names)


def is_examination(words: list[str]) -> bool:
    known = inspect.signature(COMMANDS["doctor"]).parameters
    options = [word.removeprefix("--") for word in words[2:] if word.startswith("--")]
    (setting,) = (word for word in words[2:] if not word.startswith("--"))
    return set(options) <= set(known) and setting.split(":=")[0] in ("robot", "contract")


def is_node(words: list[str]) -> bool:
    _, _, package, node, *arguments = words
    parameters = {word.split(":=")[0] for word in arguments if ":=" in word}
    installed = f'"{node} = ' in (ROOT / "setup.py").read_text()
    return package == "learned_arm" and installed and (not parameters or parameters <= documented(node))


def is_parameter(words: list[str]) -> bool:
    _, _, _, node, name, _value = words
    return name in documented(node.strip("/"))


def is_service(words: list[str]) -> bool:
    node, service = words[3].strip("/").split("/")
    section = REFERENCE.split(f"\n### `{node}`\n")[1].split("\n### ")[0]
    return f"| `~/{service}` | `{words[4]}` |" in section


def is_status(words: list[str]) -> bool:
    node, topic = words[3].strip("/").split("/")
    return f"~/{topic}" in documented(node)


def is_transition(words: list[str]) -> bool:
    return words[3] == "/policy_node" and words[4] in ("configure", "activate")


def is_episode(words: list[str]) -> bool:
    return re.fullmatch(r"demos/pick_cube/\d{8}T\d{6}Z-[0-9a-f]{8}", words[3]) is not None


def is_required(words: list[str]) -> bool:
    names = [word for word in words if word.isidentifier() and word not in ("python3", "pip", "install")]
    pinned = (ROOT / "requirements.txt").read_text()
    return bool(names) and all(re.search(rf"^{name}==", pinned, re.MULTILINE) for name in names)


def is_package(_words: list[str]) -> bool:
    return (ROOT / "package.xml").is_file()


NEEDS_ROS = "needs the ros2 command, which is on no registry"
CHANGES_MACHINE = "installs software"
PARSED_ONLY: dict[str, tuple[str, Callable[[list[str]], bool]]] = {
    "make ": ("takes minutes, or builds the environment that the test runs in", make_knows),
    ". .venv/bin/activate": ("the test has the environment on its path", is_environment),
    "ros2 launch ": (NEEDS_ROS, is_launched),
    "ros2 run ": (NEEDS_ROS, is_node),
    "learned-arm doctor ": ("needs a robot that runs", is_examination),
    "ros2 param set ": (NEEDS_ROS, is_parameter),
    "ros2 service call ": (NEEDS_ROS, is_service),
    "ros2 topic echo ": (NEEDS_ROS, is_status),
    "ros2 lifecycle set ": (NEEDS_ROS, is_transition),
    "ros2 bag ": (NEEDS_ROS, is_episode),
    "cd ~/ros2_ws/src ": (CHANGES_MACHINE, is_package),
    "rosdep ": (CHANGES_MACHINE, is_package),
    "python3 -m pip ": (CHANGES_MACHINE, is_required),
    "colcon build": (CHANGES_MACHINE, is_package),
    ". install/setup.bash": ("is made by colcon build", is_package),
}


def parsed_only(command: str) -> Callable[[list[str]], bool] | None:
    """How to look a command up; None when it runs."""
    return next((check for start, (_, check) in PARSED_ONLY.items() if command.startswith(start)), None)


LOOKED_UP = sorted({command for block in of("bash") for command in block.commands if parsed_only(command)})


@pytest.mark.parametrize("command", LOOKED_UP)
def test_a_command_that_is_not_run_names_what_exists(command: str) -> None:
    check = parsed_only(command)
    assert check is not None
    assert check(shlex.split(command))


def test_what_is_not_run_or_made_smaller_is_on_a_page() -> None:
    text = "\n".join(command for block in of("bash") for command in block.commands)
    assert [start for start in PARSED_ONLY if not any(each.startswith(start) for each in LOOKED_UP)] == []
    assert [numbers for numbers in SMALLER if numbers not in text] == []


def test_every_command_is_on_a_page() -> None:
    text = "\n".join(command for block in of("bash") for command in block.commands)
    shown = set(re.findall(r"learned-arm (\w+)", text))
    # `demo` is `make demo`.
    assert shown | {"demo"} == set(COMMANDS)


# -- commands that run ----------------------------------------------------------------------------------------------


class Shell:
    """Runs blocks in one scratch folder where `learned-arm` and `python` are those of this test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: set[str] = set()
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        for name, module in {"learned-arm": "-m demo_tools.cli", "python": ""}.items():
            script = bin_folder / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
            script.chmod(0o755)
        self._environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def run(self, block: Block) -> str:
        """Run what of a block can be run; its output."""
        lines = []
        for command in block.commands:
            for numbers, smaller in SMALLER.items():
                command = command.replace(numbers, smaller)
            if parsed_only(command) or command in self._done:
                continue
            if command.startswith(COSTLY):
                self._done.add(command)
            lines.append(command)
        return self._bash("\n".join(lines), block)

    def run_python(self, block: Block) -> str:
        """Run a Python block; its output."""
        script = self.folder / "block.py"
        script.write_text(block.text)
        return self._bash("python block.py", block)

    def _bash(self, script: str, block: Block) -> str:
        argv = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, f"{block} ended with {done.returncode}:\n{script}\n{done.stdout}"
        return done.stdout


def leave_unfinished(episode: Episode) -> None:
    """Put a recording beside an episode that looks as if the recorder had been killed."""
    assert episode.folder is not None
    start_ns = episode.start_ns + 3_600_000_000_000
    name = episode_name(start_ns, episode.id)
    keys = {each for each in Draft.__dataclass_fields__ if each not in ("name", "start_ns")}
    draft = Draft(name=name, start_ns=start_ns, **{key: getattr(episode, key) for key in keys})
    folder = episode.folder.with_name(name + RECORDING_SUFFIX)
    folder.mkdir()
    (folder / DRAFT_FILE).write_bytes(canonical_json(asdict(draft)))
    bag = (episode.folder / bag_file_name(episode.name)).read_bytes()
    (folder / bag_file_name(name)).write_bytes(bag[: len(bag) * 2 // 3])


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """After the tutorial, and with the files that the pages show."""
    found = Shell(tmp_path_factory.mktemp("docs"))
    for block in of("bash", tutorial=True):
        found.run(block)
    for block in BLOCKS:
        if block.file_name is not None:
            (found.folder / block.file_name).write_text(block.text)
    leave_unfinished(list_episodes(found.folder / "runs/first/demos")[-1])
    return found


@pytest.mark.ros
@pytest.mark.slow
def test_the_tutorial_ends_in_a_policy_that_was_evaluated(shell: Shell) -> None:
    run = shell.folder / "runs/first"
    episodes = list_episodes(run / "demos")
    assert [each.outcome for each in episodes[:2]] == ["success"] * 2
    manifest = read_json(run / "dataset/manifest.json")
    assert [each["verdict"] for each in manifest["episodes"]] == ["passed"] * 2
    for name in ("evaluation", "blind"):
        assert read_json(run / f"{name}.json")["count"] == 1
    assert len(list_episodes(run / "rollouts")) == len(list_episodes(run / "blind")) == 1


RUNS = [block for block in of("bash", tutorial=False) if not all(parsed_only(each) for each in block.commands)]
# What takes a minute or more of two cores runs in the proofs; its parts have tests of their own.
LONG = ("learned-arm sweep", "learned-arm golden", "--memory", "--times")


def run_or_proved(block: Block) -> Any:
    """A block as a parameter of a test, marked as a proof where it is long."""
    is_long = any(word in block.text for word in LONG)
    return pytest.param(block, marks=[pytest.mark.prove] if is_long else [], id=str(block))


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.parametrize("block", [run_or_proved(block) for block in RUNS])
def test_commands_run(block: Block, shell: Shell) -> None:
    shell.run(block)


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.parametrize("block", [each for each in of("python") if each.file_name is None], ids=str)
def test_python_runs(block: Block, shell: Shell) -> None:
    assert shell.run_python(block).strip()


@pytest.mark.ros
@pytest.mark.parametrize("block", [each for each in of("python") if each.file_name is not None], ids=str)
def test_a_source_of_ones_own_moves_the_arm(block: Block, spawn: Any, tmp_path: Path) -> None:
    from demo_tools.flow.operator import Operator

    script = tmp_path / str(block.file_name)
    script.write_text(block.text)
    contract = tmp_path / "contract.yaml"
    contract.write_text(yaml.safe_dump(patient(load_contract("pick_cube"))))
    spawn.node("demo_tools.simulation.node", contract=contract)
    spawn.node("arm_control.arm_node", contract=contract)
    with Operator(spawn.domain_id, lambda: None) as operator:
        operator.expect("/arm_node")
        operator.wait(lambda: operator.statuses["/arm_node"].get("measured") == "True", 30.0, "joint states")
    # On a busy machine the door may stand still and take the lease from its holder, whose user would start it again.
    for _attempt in range(3):
        source = spawn(sys.executable, str(script), env={"PYTHONPATH": str(ROOT)})
        if source.wait(60.0) == 0:
            break
    assert "done: released by teleop" in source.output(), source.output()


# -- files and links ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_yaml_loads(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in of("yaml"):
        (tmp_path / str(each.file_name)).write_text(each.text)
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load(block.text)
    if "contract" in content:
        assert load_contract(str(block.file_name)).task == content["task"]
    else:
        assert parse_robot(content, str(block)).dof > 0


def test_every_block_says_its_language() -> None:
    assert {block.language for block in BLOCKS} <= {"bash", "python", "yaml", "text"}
    assert sum(page.read_text().count("\n```") for page in PAGES) == 2 * len(BLOCKS)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_pages_name_no_place_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<!\w)/(home|root|work|tmp)/", page.read_text()), page


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_files_that_pages_name_exist() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    folders = {"learned_arm", "demo_tools", "launch", "benchmarks", "docs", "test", "scripts"}
    for page in PAGES:
        for name in re.findall(r"`((?:[\w-]+/)+[\w.-]*)`", page.read_text()):
            if name.split("/")[0] in folders:
                assert any(each.startswith(name) for each in listed.stdout.splitlines()), f"{page.name}: {name}"
