"""Runs and the doctor: diagnosing a run or a config, and repairing it, attempt after attempt.

Read `doctoring` first (what `netwright doctor` does), then `diagnosing`, `remedies` (from findings to patches of the
config), `attempts` and `repairing`. A run that is healthy never comes here.
"""
