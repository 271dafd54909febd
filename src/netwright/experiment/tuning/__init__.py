"""Tuning of configs: where a search meets runs.

Reading order: `tuning` (a search from config to result), `limits` and `places` (how long, and where), `changing` (a
point of the space as a config), `trials` (a trial as a run), `again` (the best one trained once more), `outcome` (what
is told and written).
"""
