"""Success of a trained policy on the simulated arm under added inference delay, with and without compensation.

`python -m benchmarks.latency_behaviour [policy.onnx] [trials] [condition ...]`. Without a file it takes the policy of
the newest whole demo below `runs/demo`, or makes one in `runs/trained/pick_cube` and goes on there when it was ended.
The figure is the success at 200 ms, compensated, as a share of the undelayed success.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result import Result
from demo_tools.flow.ending import end_by_sigterm
from demo_tools.flow.latency import CONDITIONS, Condition, behaviour_under_latency
from demo_tools.flow.progress import bar
from demo_tools.flow.run_folder import RunFolder
from demo_tools.flow.trained import make_policy, newest_policy
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError

TASK = "pick_cube"
TRIALS, WORKERS = 50, 2
BAR = 0.9
# What is kept of a bad policy says nothing.
LEAST_UNDELAYED = 0.8
UNDELAYED, HELD = Condition(0.0), Condition(200.0)


def measure(policy: Path, trials: int = TRIALS, conditions: Sequence[Condition] = CONDITIONS) -> Result:
    """Run the experiment; about 15 s for 10 trials of a condition."""
    with tempfile.TemporaryDirectory(prefix="learned_arm_") as scratch, bar("trials", trials * len(conditions)) as told:
        rows = behaviour_under_latency(RunFolder(Path(scratch)), policy, conditions, trials, WORKERS, told)
    rate = {row["name"]: row["successes"] / row["count"] for row in rows}
    undelayed = rate[UNDELAYED.name]
    return Result(
        name="latency_behaviour",
        value=round(rate[HELD.name] / undelayed, 3) if undelayed else 0.0,
        unit="of the undelayed success at 200 ms",
        bar=BAR,
        better="higher",
        holds={f"undelayed success at least {LEAST_UNDELAYED:.0%}": undelayed >= LEAST_UNDELAYED},
        details={"rows": rows, "trials": trials, "policy": policy.name},
    )


def trained_policy() -> Path:
    """The policy of the newest whole demo, or one that is made now."""
    found = newest_policy(Path("runs/demo"))
    return found or make_policy(RunFolder(Path("runs/trained") / TASK), load_contract(TASK), workers=WORKERS)


def main() -> int:
    """Measure, print, save."""
    arguments = sys.argv[1:]
    try:
        policy = Path(arguments[0]) if arguments else trained_policy()
        trials = int(arguments[1]) if len(arguments) > 1 else TRIALS
        wanted = {UNDELAYED.name, HELD.name, *arguments[2:]}
        chosen = [each for each in CONDITIONS if each.name in wanted] if arguments[2:] else CONDITIONS
        result = measure(policy, trials, chosen)
    except LearnedArmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for row in result.details["rows"]:
        low, high = row["wilson"]
        seconds = "-" if row["seconds"] is None else f"{row['seconds']:.2f} s"
        print(f"  {row['name']:<20} {row['successes']:3d} of {row['count']}   ({low:.0%} .. {high:.0%})   {seconds}")
    print(f"{result.line()}; {result.save()}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    end_by_sigterm()
    sys.exit(main())
