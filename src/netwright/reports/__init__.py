"""The report of a run: one HTML file, written from the run folder alone.

Reading order: `folder` (what stands in the folder), `verdict` and `ruler` (did it learn), `curves` and `charts` (how),
`exhibits` and `confusion` (on what), `sections` and `provenance` (the rest), `html` (the page). Nothing here imports
torch, or anything that does, or touches a live object.
"""

from netwright.reports.html import write_report

__all__ = ["write_report"]
