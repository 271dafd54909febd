"""Tuning: what a search may change, the store of its trials, and what it tells. Nothing here knows how a run is made.

Reading order: `space` (how a search space is written), `usual` (the one that a config gets which tells none), `store`
(where trials are kept), `search` (which trial comes next), `results` (what came out). `experiment.tuning` trains.
"""
