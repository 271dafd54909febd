"""What is said of each fault that needs a run (its code, why it harms, what to do), and of what each probe changes.

One table for all languages; reports read it too, without torch.
"""

from netwright.core.messages import say
from netwright.doctor.findings import Finding, Severity

__all__ = ["CHANGED", "CODES", "finding_of"]

# fault -> code, why, remedy
CODES: dict[str, tuple[str, str, str]] = {
    "non-finite": (
        "NW201",
        "A NaN spreads: after one step with it every weight is NaN, and nothing that follows can be trusted.",
        "Look at the place named: a logarithm or root of zero, a division by zero, an exponential that overflows.",
    ),
    "missing-zero-grad": (
        "NW202",
        "backward() adds to what is there, so each step follows the sum of all gradients since the beginning.",
        "Call optimizer.zero_grad() before each backward().",
    ),
    "wrong-mode": (
        "NW203",
        "In evaluation mode dropout drops nothing and batch norms use statistics that they never update.",
        "Call net.train() before training, and again after each validation.",
    ),
    "frozen-parameters": (
        "NW204",
        "What never changes cannot learn: it is not in the optimizer, gets no gradient, or nobody calls step().",
        "Pass all parameters to the optimizer, keep them in the graph, and call optimizer.step().",
    ),
    "lr-too-high": (
        "NW205",
        "Steps this long jump over the minimum: the loss swings, climbs or sticks where the first steps threw it.",
        "Divide the learning rate by 10, or warm it up.",
    ),
    "lr-too-low": (
        "NW206",
        "Steps this short get nowhere in the time that the run has.",
        "Multiply the learning rate by 10 or more.",
    ),
    "schedule-collapsed": (
        "NW207",
        "The schedule brings the learning rate to nothing while there is still much to learn.",
        "Stretch the schedule over the whole run, or let it end at a tenth of the first rate.",
    ),
    "vanishing-gradient": (
        "NW208",
        "The gradient shrinks on its way back, so the first layers hardly learn.",
        "Use ReLU-like activations, norms, residual connections and an initialisation made for them.",
    ),
    "exploding-gradient": (
        "NW209",
        "Single huge gradients undo what many steps have learned.",
        "Clip the gradient's norm (1.0 is usual), normalise, or shorten the steps.",
    ),
    "dead-relu": (
        "NW210",
        "A ReLU that is negative for every example gets no gradient and never comes back.",
        "Initialise biases at zero, use a smaller learning rate, or LeakyReLU or GELU.",
    ),
    "saturation": (
        "NW211",
        "At its ends a sigmoid or tanh is flat, and hardly any gradient passes.",
        "Scale the inputs, initialise smaller weights, or use ReLU-like activations inside the network.",
    ),
    "overfitting": (
        "NW212",
        "From here on the network learns the training examples by heart.",
        "Stop early, keep the best weights, use more data or augmentation, decay or dropout, or a smaller network.",
    ),
    "undertrained": (
        "NW213",
        "The run ends while the loss still falls fast.",
        "Train longer, or with a larger learning rate.",
    ),
    "over-regularized": (
        "NW214",
        "The regularisation is stronger than the data's pull, so the network may not fit even what is plain.",
        "Take it out, find out whether the network learns, and put back a little.",
    ),
    "batch-too-large": (
        "NW215",
        "The same examples give very few updates when the batches are this large.",
        "Use batches of 16 to 256.",
    ),
    "batch-too-small": (
        "NW216",
        "With so few examples a step is mostly noise, and so are the statistics of batch norms.",
        "Use larger batches (16 or more), or accumulate gradients.",
    ),
    "wrong-optimizer": (
        "NW217",
        "This optimizer's steps do not fit the problem: another one at its default settings learns.",
        "Use Adam or AdamW at 1e-3, or tune this one's settings.",
    ),
    "capacity-too-small": (
        "NW218",
        "The network cannot represent what the targets ask for, whatever the training.",
        "Make the narrowest layer wider, or add layers.",
    ),
    "labels-corrupted": (
        "NW219",
        "What the inputs say about the targets is not more than chance, so only learning by heart is left.",
        "Check how inputs and targets were joined: an index, a shuffle of only one of them, a wrong column.",
    ),
    "slow-convergence": (
        "NW220",
        "Something holds the run back, and a plain network with plain settings gets much further on these examples.",
        "Compare with the plain one: inputs scaled to unit variance, one hidden layer, Adam at 3e-3.",
    ),
    "oscillation": (
        "NW221",
        "The loss swings as far as it falls, because momentum or steps carry it over the minimum.",
        "Use a smaller learning rate or less momentum.",
    ),
    "missing-normalization": (
        "NW222",
        "In a deep plain stack each layer shrinks or stretches the signal, and the gradient with it.",
        "Put a batch or layer norm between the layers, or add residual connections.",
    ),
    "bad-init-scale": (
        "NW223",
        "Weights far from the usual scale saturate or fade what follows, and training starts in a bad place.",
        "Initialise with torch's default, Kaiming or Xavier.",
    ),
    "symmetric-init": (
        "NW224",
        "Units that start alike stay alike.",
        "Initialise weights at random (torch's default, Kaiming or Xavier).",
    ),
    "input-not-normalized": (
        "NW225",
        "Inputs on large or uneven scales make some directions steep and others flat, so that no one step fits all.",
        "Subtract the mean and divide by the standard deviation of the training set, feature by feature.",
    ),
    "target-not-normalized": (
        "NW226",
        "Targets far from unit scale need outputs that the first weights are far from.",
        "Train on (target - mean) / std, and undo it on predictions.",
    ),
    "double-softmax": (
        "NW227",
        "The loss applies its own softmax, and a second one leaves hardly any gradient.",
        "Let the network return raw scores.",
    ),
    "wrong-loss": (
        "NW228",
        "The loss rewards something else than what the targets mean.",
        "Use cross-entropy for classes, BCE with logits for yes or no, squared error for numbers.",
    ),
    "not-shuffled": (
        "NW229",
        "Batches in this order teach one thing after the other, and the last one overwrites the others.",
        "Shuffle the examples every epoch (shuffle=True).",
    ),
    "input-degenerate": (
        "NW230",
        "A constant input says nothing.",
        "Check how the examples are loaded and scaled.",
    ),
    "invalid-setting": (
        "NW231",
        "With such a setting there is nothing to learn from.",
        "Correct it.",
    ),
    "broadcast-loss": (
        "NW232",
        "Broadcasting pairs each output with each target, and the best answer to all targets at once is their mean.",
        "Give output and targets the same shape before they are subtracted.",
    ),
}  # fmt: skip

# change of a probe -> words that complete the sentence "With …"
CHANGED: dict[str, str] = {
    "cleared": "gradients cleared before each step",
    "awake": "the network in training mode",
    "unfrozen": "all parameters trained",
    "lr/10": "the learning rate divided by 10",
    "lr/100": "the learning rate divided by 100",
    "lr/1000": "the learning rate divided by 1000",
    "lr*10": "the learning rate multiplied by 10",
    "lr*100": "the learning rate multiplied by 100",
    "lr*1000": "the learning rate multiplied by 1000",
    "lr*10000": "the learning rate multiplied by 10000",
    "lr*100000": "the learning rate multiplied by 100000",
    "constant-rate": "the learning rate held at its first value",
    "inputs": "the inputs standardised",
    "targets": "the targets standardised",
    "raw-scores": "the last softmax left out",
    "loss": "the loss that fits these targets",
    "fresh": "fresh default weights",
    "normalised": "each hidden layer normalised",
    "relu": "ReLU in place of the squashing activations",
    "leaky": "LeakyReLU in place of ReLU",
    "clipped": "the gradient's norm clipped at 1",
    "unclipped": "no clipping",
    "unpushed": "the weights left as the optimizer made them",
    "no-decay": "no weight decay",
    "no-dropout": "no dropout",
    "plain-loss": "the gradient of the given loss alone, unclipped",
    "adam": "Adam at its default settings",
    "smaller-batches": "batches an eighth of the size",
    "larger-batches": "batches eight times as large",
    "shuffled": "the examples shuffled",
    "longer": "more steps of the same kind",
    "less-momentum": "a momentum of 0.9",
}


def finding_of(
    fault: str, severity: Severity, where: str, evidence: str, effect: float | None = None, proven: bool = False
) -> Finding:
    """The finding for a fault of the table; `evidence` is said already."""
    code, why, remedy = CODES[fault]
    return Finding(code, fault, severity, where, evidence, say(why), say(remedy), effect, proven)
