"""Stacks that run at once never share a domain, and a domain is free again once its holder has ended."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

import pytest

from demo_tools.flow import domains
from learned_arm.errors import LearnedArmError

_HOLD = """
from demo_tools.flow.domains import held_domain
with held_domain() as domain:
    print(domain, flush=True)
    input()
"""


def test_whoever_asks_while_another_holds_one_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(domains.held_domain()) for _ in range(4)]
        assert len(set(held)) == 4 and set(held) <= set(domains.DOMAINS)
        monkeypatch.setattr(domains, "DOMAINS", range(held[0], held[0] + 1))
        with pytest.raises(LearnedArmError, match="every DDS domain is taken"), domains.held_domain():
            pass
    with domains.held_domain() as again:
        assert again == held[0]


def test_another_process_holds_its_own_and_gives_it_back_even_when_it_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = subprocess.Popen([sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    theirs = int(other.stdout.readline())
    with domains.held_domain() as ours:
        assert ours != theirs
    other.kill()
    other.communicate()
    monkeypatch.setattr(domains, "DOMAINS", range(theirs, theirs + 1))
    with domains.held_domain() as again:
        assert again == theirs
