"""The page: a run folder in, one self-contained report.html out.

Every text of the run reaches the page through jinja's escaping, and a Content-Security-Policy forbids all requests, so
that a class name or a caption can neither break the page nor call home.
"""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path
from typing import Any

from netwright.core.errors import need
from netwright.core.messages import language, say
from netwright.core.records import write_text
from netwright.reports import provenance, sections
from netwright.reports.exhibits import exhibits
from netwright.reports.findings import findings
from netwright.reports.folder import RunRecord, read_run
from netwright.reports.network import architecture
from netwright.reports.repairs import repairs
from netwright.reports.tuning import RECORD, tuning_view
from netwright.reports.verdict import judge
from netwright.reports.words import value_name

__all__ = ["write_report"]

TEMPLATES = Path(__file__).with_name("templates")


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into the folder of a run or a search from what stands there, and return its path.

    Raises CheckpointError when `run_folder` is not a run folder, MissingExtra without jinja2, ResourceError when the
    folder cannot be written.
    """
    pages = _pages()
    folder = Path(run_folder)
    searched = (folder / RECORD).is_file()
    view = tuning_view(folder) if searched else _view(read_run(folder))
    path = folder / "report.html"
    write_text(path, pages.get_template("tuning.html.j2" if searched else "page.html.j2").render(view))
    return path


@cache
def _pages() -> Any:
    """The templates; compiled once, which takes longer than to write a page."""
    jinja2 = need("jinja2", "report")
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    pages.globals["say"] = say
    return pages


def _view(run: RunRecord) -> dict[str, Any]:
    verdict = judge(run)
    view: dict[str, Any] = {
        "lang": "zh-CN" if language() == "zh" else "en",
        "run": run,
        "title": run.name,
        "status": value_name(run.summary.get("status") or "running"),
        "pause": "" if language() == "zh" else " ",  # between sentences
        "verdict": verdict,
        "figures": sections.figures(run, verdict),
        "metrics": sections.metrics_table(run, verdict.headline.key if verdict.headline else ""),
        "findings": findings(run),
        "repairs": repairs(run),
        "curves": sections.curves(run),
        "signals": sections.signal_charts(run),
        "exhibits": exhibits(run),
        "architecture": architecture(run),
        "data": provenance.data(run),
        "environment": provenance.environment(run),
        "commands": provenance.commands(run),
        "config": provenance.config_lines(run.config_text),
        "written": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    }
    view["contents"] = _contents(view)
    return view


def _contents(view: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The sections that stand on this page: (anchor, heading, how many things to look at)."""
    return [
        (anchor, heading, number)
        for anchor, heading, number, there in (
            ("findings", say("Findings"), len(view["findings"]["items"]), True),
            ("repairs", say("Repairs"), len(view["repairs"].get("attempts", ())), view["repairs"]),
            ("curves", say("Learning curves"), 0, view["curves"]),
            ("signals", say("Training signals"), 0, view["signals"]),
            ("exhibits", say("What it does"), 0, view["exhibits"]),
            ("network", say("Network"), 0, view["architecture"]),
            ("data", say("Data and split"), 0, view["data"]),
            ("environment", say("Environment"), 0, view["environment"]),
            ("reproduce", say("Reproduce"), 0, True),
            ("config", say("Config"), 0, view["config"]),
        )
        if there
    ]
