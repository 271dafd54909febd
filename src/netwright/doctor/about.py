"""What each fault is called and what it is, in a line; the page that tells more. One table for all languages."""

from dataclasses import dataclass

from netwright.core.messages import say

__all__ = ["ABOUT", "PAGES", "About", "about"]

PAGES = "docs/doctor"

# fault -> title, what it is, what to do
ABOUT: dict[str, tuple[str, str, str]] = {
    "shape-mismatch": (
        "Shapes do not fit",
        "Layers, or network and data, do not fit each other, or a feature map shrinks to nothing.",
        "Make the sizes agree at the place named.",
    ),
    "head-size-mismatch": (
        "Wrong number of outputs",
        "The output units do not match the classes or the target columns.",
        "Give the last layer one output a class or a target column, and count classes from 0.",
    ),
    "double-softmax": (
        "Softmax applied twice",
        "A softmax, sigmoid or log-softmax stands before a loss that applies its own, or twice in a row.",
        "Let the network return raw scores; apply softmax only when predicting.",
    ),
    "missing-output-activation": (
        "Raw scores into a loss of probabilities",
        "The loss wants probabilities or their logarithms and gets raw scores.",
        "Use the loss that takes raw scores: cross-entropy, or BCE with logits.",
    ),
    "single-unit-softmax": (
        "Softmax over one unit",
        "A softmax over a single number is always 1, so the output is constant.",
        "One unit with a sigmoid, or two units with cross-entropy.",
    ),
    "wrong-loss": (
        "The loss does not fit the targets",
        "The loss measures something else than what the targets mean, or has the wrong sign.",
        "Cross-entropy for classes, BCE with logits for yes or no, squared error for numbers.",
    ),
    "output-range": (
        "Targets out of the output's reach",
        "The last activation cannot produce the values that the targets have.",
        "Remove the last activation, or scale the targets into its range.",
    ),
    "multilabel-as-multiclass": (
        "Several labels, one winner",
        "Examples have several labels at once, but softmax and cross-entropy let only one win.",
        "BCE with logits on raw scores: one question a label.",
    ),
    "broadcast-loss": (
        "The loss pairs everything with everything",
        "(N,) against (N, 1): broadcasting makes the loss an average over N×N pairs.",
        "Give output and targets the same shape.",
    ),
    "missing-nonlinearity": (
        "Linear layers with nothing between them",
        "Layers without an activation between them are together one linear layer.",
        "Put an activation between them, or drop one of the layers.",
    ),
    "redundant-activation": (
        "An activation on an activation",
        "One activation works on what another has already bent or cut off.",
        "Remove one of the two.",
    ),
    "bias-before-norm": (
        "A bias that the norm removes",
        "The norm that follows subtracts the mean, and the bias with it.",
        "Build the layer with bias=False.",
    ),
    "dropout-misuse": (
        "Dropout in the wrong place or too strong",
        "Dropout stands before a batch norm, on the output, or lets hardly anything pass.",
        "Put it between hidden layers, after the last batch norm, at 0.1 to 0.5.",
    ),
    "missing-normalization": (
        "A deep stack without norms",
        "Many plain layers in a row shrink or stretch the signal until nothing can be learned.",
        "Add batch or layer norms, or residual connections.",
    ),
    "dense-parameter-explosion": (
        "One dense layer holds the network",
        "A fully connected layer on a flattened map holds nearly all parameters.",
        "Pool the feature map before it, or add strides.",
    ),
    "capacity-too-small": (
        "The network is too small",
        "It cannot fit even a handful of examples.",
        "Widen the narrowest layer, or add layers.",
    ),
    "symmetric-init": (
        "All units start alike",
        "Constant weights: equal units get equal gradients and never become different.",
        "Initialise weights at random.",
    ),
    "bad-init-scale": (
        "Weights of the wrong size at the start",
        "Activations or the first loss are far from what an initialisation should give.",
        "Use torch's default, Kaiming or Xavier.",
    ),
    "input-not-normalized": (
        "Inputs on wild scales",
        "Features are very large, or on very different scales.",
        "Standardise each feature with the training set's mean and deviation; divide pixels by 255.",
    ),
    "input-degenerate": (
        "Inputs that say nothing",
        "Features are constant, empty, or were scaled twice.",
        "Look at raw examples and at each step of the preprocessing.",
    ),
    "target-not-normalized": (
        "Targets far from unit scale",
        "A regression has to move its output by thousands before it can learn anything.",
        "Train on (target - mean) / deviation, and undo it on predictions.",
    ),
    "invalid-values": (
        "NaN or wrong types in the data",
        "NaN or infinity in inputs, targets or weights; integers where floats are meant.",
        "Fill or drop missing values before training; convert types once, at loading.",
    ),
    "preprocessing-mismatch": (
        "Training and validation prepared differently",
        "The network is judged on inputs unlike those it learned from.",
        "Fit the preprocessing on training data, and apply the same one everywhere.",
    ),
    "labels-corrupted": (
        "Labels that do not depend on the inputs",
        "Labels are shuffled, constant or mostly noise.",
        "Check how inputs and labels were joined.",
    ),
    "leakage": (
        "Answers leak into the inputs",
        "Examples are shared across splits, or a feature is the label.",
        "Remove duplicates before splitting; drop features that are not known when predicting.",
    ),
    "class-imbalance": (
        "Rare classes are drowned",
        "One class outnumbers another many times, and nothing is done about it.",
        "Weight the loss or sample evenly, and judge by balanced accuracy or F1.",
    ),
    "not-shuffled": (
        "Examples in the order of their labels",
        "The order follows the label, or a split misses a class.",
        "Shuffle every epoch, and split with stratification.",
    ),
    "lr-too-high": (
        "Learning rate too high",
        "Steps are so long that they jump over the minimum.",
        "Divide the learning rate by 10, or warm it up.",
    ),
    "lr-too-low": (
        "Learning rate too low",
        "Steps are so short that the run ends before it has got anywhere.",
        "Multiply the learning rate by 10 or more.",
    ),
    "schedule-collapsed": (
        "The schedule reaches zero too soon",
        "The learning rate is next to nothing while there is still much to learn.",
        "Stretch the schedule over the whole run.",
    ),
    "slow-convergence": (
        "Far slower than it could be",
        "A plain network with plain settings gets much further on the same examples.",
        "Compare with the plain one, and take over its settings one at a time.",
    ),
    "oscillation": (
        "The loss swings",
        "Momentum or steps carry the weights over the minimum again and again.",
        "Less momentum, or a smaller learning rate.",
    ),
    "vanishing-gradient": (
        "The gradient vanishes",
        "The first layers get a gradient far smaller than the last ones.",
        "ReLU-like activations, norms, residual connections.",
    ),
    "exploding-gradient": (
        "The gradient explodes",
        "Single gradients are so large that they undo what was learned.",
        "Clip the gradient's norm, normalise, or shorten the steps.",
    ),
    "dead-relu": (
        "Units that never fire",
        "ReLU units are negative for every example and get no gradient any more.",
        "Biases at zero, a smaller learning rate, or LeakyReLU or GELU.",
    ),
    "saturation": (
        "Activations stuck at their ends",
        "Sigmoid or tanh units lie where they are flat and pass no gradient.",
        "Scale the inputs, start with smaller weights, or use ReLU-like activations.",
    ),
    "non-finite": (
        "The loss is not a number",
        "NaN or infinity appears in loss, gradient or weights.",
        "Find the module named: a logarithm of zero, a division by zero, an overflow.",
    ),
    "overfitting": (
        "Learned by heart",
        "Validation gets worse while training still gets better.",
        "Stop early, regularise, get more data, or use a smaller network.",
    ),
    "undertrained": (
        "Stopped too soon",
        "The run ends while the losses still fall.",
        "Train longer, or with a larger learning rate.",
    ),
    "batch-too-large": (
        "Too few updates",
        "Batches are so large that an epoch has only a few steps.",
        "Use batches of 16 to 256, or more epochs with a larger learning rate.",
    ),
    "batch-too-small": (
        "Steps of noise",
        "With so few examples a step, noise or a batch norm's statistics dominate.",
        "Use batches of 16 or more, accumulate gradients, or take a group or layer norm.",
    ),
    "over-regularized": (
        "Regularised to death",
        "Decay, a penalty, dropout or clipping is stronger than what the data say.",
        "Take it out, see whether the network learns, and put back a little.",
    ),
    "wrong-optimizer": (
        "The optimizer does not fit",
        "Another optimizer at its default settings learns where this one does not.",
        "Adam or AdamW at 1e-3, or tune this one.",
    ),
    "missing-zero-grad": (
        "Gradients are never cleared",
        "Each step follows the sum of all gradients since the beginning.",
        "Call optimizer.zero_grad() before each backward().",
    ),
    "wrong-mode": (
        "Training and evaluation mode mixed up",
        "Training runs in evaluation mode, or dropout works when predicting.",
        "net.train() before training, net.eval() before predicting.",
    ),
    "frozen-parameters": (
        "Parameters that cannot learn",
        "Trainable parameters are absent from the optimizer, cut from the graph, or never used.",
        "Pass them to the optimizer, keep them in the graph, register them as modules.",
    ),
    "invalid-setting": (
        "A setting that rules learning out",
        "A learning rate of zero, a clip of zero, a batch larger than the data, a metric that does not fit.",
        "Correct the setting named.",
    ),
    "batch-mixing": (
        "Examples influence each other",
        "One example's output depends on the others in its batch, or softmax runs over the wrong axis.",
        "Work on the last axis, and set batch_first=True where the batch comes first.",
    ),
}


@dataclass(frozen=True)
class About:
    """A fault in words of the language in force; `page` is its page in the repository."""

    title: str
    what: str
    remedy: str
    page: str


def about(fault: str) -> About | None:
    """What is told of a fault of the table; None for another name."""
    if fault not in ABOUT:
        return None
    title, what, remedy = ABOUT[fault]
    return About(say(title), say(what), say(remedy), f"{PAGES}/{fault}.md")
