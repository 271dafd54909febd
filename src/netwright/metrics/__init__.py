"""STOPGAP of the lead so that others can run meanwhile; the colleague of metrics/ replaces this file whole."""


def direction(name: str) -> str:
    return "min" if name in ("loss", "rmse", "mae", "perplexity", "frechet", "ece", "bits_per_char") else "max"
