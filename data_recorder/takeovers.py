"""When a person took over from the policy, from the raw commands of an episode; live and when a bag is read again."""

from __future__ import annotations

from learned_arm import cdr
from learned_arm.errors import LearnedArmError
from learned_arm.interventions import Intervention, InterventionWatch


class Takeovers:
    """Takes the raw messages of `/arm/sent` as they come."""

    def __init__(self) -> None:
        self._watch = InterventionWatch()

    @property
    def found(self) -> tuple[Intervention, ...]:
        """Interventions so far; the last one may go on."""
        return self._watch.found

    def add(self, data: bytes) -> None:
        """Look at one message; one that cannot be read is passed over, and stays in the bag."""
        try:
            stamp_ns, source = cdr.read_header(data)
        except LearnedArmError:
            return
        self._watch.add(stamp_ns, source)
