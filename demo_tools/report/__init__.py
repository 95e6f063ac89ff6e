"""One self-contained HTML page about a run: what was recorded, what was learned, and how often it works."""

from demo_tools.report.page import write_report

__all__ = ["write_report"]
