"""Weights of judges: small classifiers in whose features generated pictures are measured (made by
tools/make_judge.py).
"""
