"""The losses by name; a target's signature is its config."""

from netwright.core.catalogs import Catalog

__all__ = ["LOSSES", "catalog"]

LOSSES = {
    "adversarial": "netwright.losses.adversarial:Adversarial",
    "bce": "netwright.losses.bce:BinaryCrossEntropy",
    "contrastive": "netwright.losses.contrastive:InfoNCE",
    "cross-entropy": "netwright.losses.cross_entropy:CrossEntropy",
    "ctc": "netwright.losses.ctc:CTC",
    "dice": "netwright.losses.dice:Dice",
    "focal": "netwright.losses.focal:Focal",
    "huber": "netwright.losses.regression:Huber",
    "kl": "netwright.losses.kl:KLDivergence",
    "mae": "netwright.losses.regression:MeanAbsoluteError",
    "mse": "netwright.losses.regression:MeanSquaredError",
    "sum": "netwright.losses.total:Sum",
    "triplet": "netwright.losses.triplet:Triplet",
}


def catalog() -> Catalog:
    """Catalog of losses, the users' own (entry points `netwright.losses`) among them."""
    return Catalog("loss", LOSSES, "netwright.losses")
