"""What people wrote of the sections; everything else of docs/config.md is read from the code."""

__all__ = ["DATA", "HEAD", "SECTIONS"]

HEAD = """<!-- Written by `make settings`; names, defaults and meanings come from the code. -->

# The settings of a config

A config is a YAML file of these sections; `data` alone is enough. What is left out follows from the data, and is
written into the run's `config.yaml`. `--set train.epochs=3` changes a setting from the command line, `extends:
other.yaml` takes over what another file says, and relative paths start from the working folder, else from the
config's. `netwright check` tells every mistake at once, each with its line.

Below, each setting stands with what it is unless you set it: `…` has to be set, `a|b` are choices, the usual one
first. A section that names something may be the name alone (`loss: focal`). Names of your own, such as
`model: my_package.nets:Net`, are imported with `--trust`; a package of yours may add names by the entry points
`netwright.models`, `netwright.losses`, `netwright.tasks`, `netwright.optimizers`, `netwright.schedules` and
`netwright.augmentations`.
"""

SECTIONS = {
    "data": """A name (`netwright data list`), a path, or a section; what its path is decides which settings it takes.
`bad` says what happens to rows and files that cannot be read: left out and told, up to one in twenty (`null`); left
out always; or refused. `netwright data describe SOURCE` shows what was made of it.""",
    "task": "What the network is trained to do; left out, it follows from the data and their target.",
    "model": """A network of the catalog, one of your own, or a list of layers. What the data decide (channels, classes,
vocabulary, …) is bound and need not be set.""",
    "loss": "One, or several with a plus between them (`dice + cross-entropy`).",
    "optimizer": "`adamw` unless another is named.",
    "augment": """A list for the training part: names (`flip`), a name with its first setting (`{rotate: 15}`), or with
several (`{crop: {padding: 2, fill: reflect}}`).""",
    "train": "",
    "distill": "",
    "tune": """What `netwright tune` may change, by paths of this page: a range (`optimizer.lr: [1e-5, 1e-1, log]`;
without `log` evenly, of whole numbers where both ends are), so many times what is usual
(`optimizer.lr: [0.01, 30, usual]`), or choices (`optimizer.name: [adam, sgd]`; two numbers that are no range:
`train.batch_size: {choices: [32, 64]}`). Left out, it follows from the config: learning rate, weight decay, schedule,
optimizer, batch size, and the network's dropout, width and depth. `netwright train` does not look at it.""",
    "metrics": "A list of the figures of an evaluation, in place of the usual ones, by what is predicted:",
    "doctor": """`advise` watches the run and tells what is wrong, `repair` goes on from the last healthy checkpoint
with the proven remedy, `off` does neither.""",
    "expect": """Figures of the test set that must be reached (`{accuracy: 0.9}`); below them `netwright train` ends
with exit code 1.""",
}

DATA = (
    ("A set of `netwright data list`", "{name: fashion-mnist}", "netwright.data.section:builtin"),
    ("A folder of pictures, a folder a class", "{path: photos/}", "netwright.data.sources.image_folder:load"),
    ("Pictures and their masks", "{path: pictures/, masks: masks/}", "netwright.data.sources.mask_folder:load"),
    ("A table", "{path: houses.csv, target: price}", "netwright.data.sources.delimited:load"),
    ("Texts in a table", "{path: reviews.jsonl, text: review, target: stars}", "netwright.data.sources.documents:load"),
    ("Texts in files, a folder a class", "{path: posts/}", "netwright.data.sources.text_folder:load"),
    ("A text to learn the language of", "{path: book.txt}", "netwright.data.sources.text:load"),
    (
        "Two files whose lines translate each other",
        "{path: train.en, target_path: train.de}",
        "netwright.data.sources.parallel:load",
    ),
    (
        "A time series",
        "{path: power.csv, target: load, window: 48, horizon: 24}",
        "netwright.data.sources.series:load",
    ),
    ("Arrays", "{path: arrays.npz}", "netwright.data.sources.arrays:load_npz"),
)
