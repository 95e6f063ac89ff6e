"""Label designs: the ways in which the same recorded motion can be written down as labels and played again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from demo_tools.replay.player import Manner
from demo_tools.replay.verdict import LABELS, SENT
from learned_arm.contract import Contract

# A chunk covers this much time at every rate, as 16 steps at 20 Hz do.
_CHUNK_S = 0.8
_SOURCES = ("sent", "measured_next")
_REPRESENTATIONS = ("absolute", "delta", "velocity", "chunk_relative", "step_relative")
_IN_STEPS = ("absolute", "delta", "chunk_relative")
_AS_SENT = "as_sent"


@dataclass(frozen=True)
class LabelDesign:
    """One way to define labels.

    Attributes:
        source: The recorded stream that labels are taken from.
        representation: As in the contract; `step_relative` is `chunk_relative` with chunks of one label: each tick's
            target is told relative to what is measured at that tick. `as_sent` is no design but what they are held
            against: what the door sent, at its own rate.
        rate_hz: Labels a second.
        hold: Whether a target of a chunk is kept until the next, instead of a straight line between them.
        shift_ticks: By how much later than labelled they are played.
        precision: What they are rounded to.
    """

    source: str
    representation: str
    rate_hz: int
    hold: bool = False
    shift_ticks: int = 0
    precision: str = "float32"

    @property
    def stream(self) -> str:
        """What is played, see `Playback`."""
        return SENT if self.representation == _AS_SENT else LABELS

    @property
    def name(self) -> str:
        """A word for tables."""
        if self.stream == SENT:
            return "sent, as it was sent"
        parts = [self.source, self.representation, f"{self.rate_hz}hz", "hold" if self.hold else "linear"]
        if self.shift_ticks:
            parts.append(f"late{self.shift_ticks}")
        if self.precision != "float32":
            parts.append(self.precision)
        return "/".join(parts)

    def contract(self, base: Contract) -> Contract:
        """The contract whose labels these are."""
        value = base.canonical()
        value["rate_hz"] = self.rate_hz
        single = self.representation == "step_relative"
        representation = {"step_relative": "chunk_relative", _AS_SENT: "absolute"}.get(
            self.representation, self.representation
        )
        value["action"] |= {
            "source": self.source,
            "representation": representation,
            "horizon": 1 if single else max(round(_CHUNK_S * self.rate_hz), 1),
        }
        return Contract.from_canonical(value)

    def manner(self, error_share: float = 0.0, seed: int = 0) -> Manner:
        """How its labels are played.

        Args:
            error_share: See `Manner`.
            seed: See `Manner`.
        """
        return Manner(
            precision=self.precision,
            hold=self.hold,
            shift_ticks=self.shift_ticks,
            error_share=error_share,
            seed=seed,
        )


AS_SENT = LabelDesign("sent", _AS_SENT, 20)


def standard_designs() -> tuple[LabelDesign, ...]:
    """Every representation of either source; what was sent also at a lower rate, in steps, late and rounded.

    Before them stands what was sent, for comparison.
    """
    grid = [LabelDesign(source, each, 20) for source, each in product(_SOURCES, _REPRESENTATIONS)]
    slow = [LabelDesign("sent", each, 5) for each in _REPRESENTATIONS]
    # A chunk of one label has no next one, and delta and velocity are the same but for a factor.
    steps = [LabelDesign("sent", each, rate_hz, hold=True) for rate_hz, each in product((20, 5), _IN_STEPS)]
    late = [LabelDesign("sent", "chunk_relative", 20, shift_ticks=ticks) for ticks in (1, 2)]
    coarse = [LabelDesign("sent", each, 20, precision="float16") for each in _IN_STEPS]
    return (AS_SENT, *grid, *slow, *steps, *late, *coarse)


def few_designs() -> tuple[LabelDesign, ...]:
    """The ones that differ most, for a first look."""
    few = [("sent", "absolute"), ("sent", "delta"), ("sent", "chunk_relative"), ("measured_next", "chunk_relative")]
    return tuple(LabelDesign(source, representation, 20) for source, representation in few)
