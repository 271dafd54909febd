"""Published weights: reading the checkpoints of other projects, and of our own runs, into our networks."""

from netwright.models.weights.loading import Pretrained, load_pretrained, pretrained

__all__ = ["Pretrained", "load_pretrained", "pretrained"]
