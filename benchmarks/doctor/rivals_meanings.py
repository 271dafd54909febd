"""What the sayings of other tools may mean, in our names of faults; generously, and hints about speed left out."""

__all__ = ["MEANS"]

_LEARNS_NOTHING = {
    "lr-too-high", "lr-too-low", "wrong-loss", "capacity-too-small", "non-finite", "wrong-optimizer", "dead-relu",
    "vanishing-gradient", "over-regularized", "bad-init-scale", "missing-normalization", "frozen-parameters",
    "schedule-collapsed", "labels-corrupted", "target-not-normalized", "input-not-normalized",
}  # fmt: skip
_TOO_FAST = {"lr-too-high", "exploding-gradient", "oscillation", "bad-init-scale", "missing-zero-grad",
             "input-not-normalized", "target-not-normalized"}  # fmt: skip
_NO_GRADIENT = {"vanishing-gradient", "dead-relu", "frozen-parameters", "missing-normalization", "saturation",
                "lr-too-low"}  # fmt: skip
MEANS: dict[str, dict[str, set[str]]] = {
    "torch-audit": {
        "TA100": {"non-finite", *_TOO_FAST}, "TA102": _TOO_FAST | {"missing-normalization"}, "TA103": _NO_GRADIENT,
        "TA104": _NO_GRADIENT, "TA105": {"dead-relu", "saturation", "over-regularized"},
        "TA301": {"input-not-normalized", "invalid-values"}, "TA302": {"input-degenerate"}, "TA303": {"shape-mismatch"},
        "TA304": {"batch-too-small"}, "TA305": {"invalid-values"}, "TA400": {"bias-before-norm"},
        "TA401": {"over-regularized", "wrong-optimizer"}, "TA402": {"over-regularized"}, "TA403": {"over-regularized"},
        "TA405": {"dead-relu", "symmetric-init"}, "TA500": {"frozen-parameters"}, "TA501": {"batch-mixing"},
    },
    "torchtest2": {
        "forward": {"shape-mismatch"}, "output_finite": {"non-finite", "invalid-values"},
        "output_varies": _NO_GRADIENT | {"symmetric-init", "bad-init-scale"}, "loss": {"wrong-loss", "non-finite"},
        "initial_loss": {"bad-init-scale", "double-softmax", "input-not-normalized", "wrong-loss"},
        "optimizer_coverage": {"frozen-parameters"}, "gradient_flow": _NO_GRADIENT,
        "gradient_magnitude": _TOO_FAST | {"non-finite", "missing-normalization"}, "params_change": _NO_GRADIENT,
        "frozen_params": {"frozen-parameters"}, "input_dependency": _NO_GRADIENT | {"input-degenerate"},
        "batch_independence": {"batch-mixing", "wrong-mode"}, "eval_determinism": {"wrong-mode", "dropout-misuse"},
        "overfit_batch": _LEARNS_NOTHING,
    },
    "torchtest": {
        "VariablesChangeException": _NO_GRADIENT, "NaNTensorException": {"non-finite", *_TOO_FAST},
        "InfTensorException": {"non-finite", *_TOO_FAST},
    },
    "gradsnitch": {
        "GS001": {"non-finite", *_TOO_FAST}, "GS002": {"non-finite", *_TOO_FAST}, "GS003": _TOO_FAST,
        "GS004": {"overfitting"}, "GS005": _LEARNS_NOTHING, "GS006": _TOO_FAST | {"wrong-loss"},
        "GS007": _NO_GRADIENT, "GS008": {"lr-too-high", "lr-too-low"}, "GS009": {"oscillation", "lr-too-high"},
        "GS010": {"schedule-collapsed"},
    },
    "mldoct": {
        "missing_zero_grad": {"missing-zero-grad"}, "exploding_gradients": _TOO_FAST | {"non-finite"},
        "vanishing_gradients": _NO_GRADIENT, "underfitting": _LEARNS_NOTHING, "overfitting": {"overfitting"},
        "label_noise": {"labels-corrupted"}, "lr_too_high": {"lr-too-high", "oscillation"},
        "lr_too_low": {"lr-too-low"}, "high_variance_batch": {"batch-too-small", "oscillation", "not-shuffled"},
    },
    "preflight": {
        "nan_inf_detection": {"invalid-values"}, "normalisation_sanity": {"input-not-normalized"},
        "class_imbalance": {"class-imbalance", "not-shuffled"}, "label_leakage": {"leakage"},
        "shape_mismatch": {"shape-mismatch"}, "gradient_check": _NO_GRADIENT | _TOO_FAST | {"non-finite"},
        "channel_ordering": {"shape-mismatch"},
    },
    "runmedic": {
        "non_finite": {"non-finite", *_TOO_FAST}, "divergence": _TOO_FAST | {"wrong-loss"},
        "loss_spikes": _TOO_FAST, "grad_spikes": _TOO_FAST, "no_learning": _LEARNS_NOTHING,
        "overfitting": {"overfitting"},
    },
}  # fmt: skip
