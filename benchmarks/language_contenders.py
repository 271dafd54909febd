"""What is compared on texts, each as its users write it; every one is run in a process of its own.

    python benchmarks/language_contenders.py CONTENDER WORKLOAD STEPS    prints {"speed": …, "precision": …} as JSON
    python benchmarks/language_contenders.py padding                    prints {"rows": […]}

Training: the same sizes, the same texts cut into the same tokens, the same number of examples a step, AdamW with the
same figures. `speed` is tokens a second, padding not counted, after the warm steps. No validation, no checkpoints, no
logs, no bars, for anybody. Generation: the same weights, greedy; `speed` is new tokens a second of all rows together.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

BATCH, WARM = 32, 12  # examples a step; steps before the clock starts
CONTEXT, ROOM = 128, 256  # tokens of a training window; places of the network that writes
PROMPT, NEW, CALLS = 16, 128, 9  # tokens read and written, timed calls
BUDGET = 4096  # places, the usual `--max-tokens` of translation
GPT = {"layers": 4, "width": 256, "heads": 4, "dropout": 0.1}
LSTM = {"layers": 2, "width": 128, "dropout": 0.3}
TOKENS = {"kind": "words", "size": 20000, "max_length": 200}
RATE, DECAY, CLIP = 1e-3, 0.01, 1.0  # clipping is the Trainer's default: ours does it too, Lightning's default does not
OPTIMIZER = {"name": "adamw", "lr": RATE, "weight_decay": DECAY, "clip": CLIP}


@dataclass(frozen=True)
class Workload:
    """What is done, by whom, and how many steps of it, warm ones included."""

    title: str
    contenders: tuple[str, ...]
    steps: int = 0


TRAINERS, WRITERS = ("ours", "trainer", "lightning"), ("ours", "transformers")
WORKLOADS = {
    "gpt": Workload("Training a GPT: 4 layers, 256 wide, 4 heads, context 128, batch 32, characters", TRAINERS, 60),
    "lstm": Workload("Training an LSTM classifier: embedding 128, 2 layers of 128, batch 32, words", TRAINERS, 128),
    "generate-1": Workload("Writing 128 tokens with that GPT, greedy, cached, one row", WRITERS),
    "generate-8": Workload("Writing 128 tokens with that GPT, greedy, cached, 8 rows", WRITERS),
}
NEEDS = {"ours": (), "trainer": ("transformers", "accelerate"), "lightning": ("transformers", "lightning")}
NEEDS["transformers"] = ("transformers",)


class Clock:
    """Called after every step; notes the time after the warm ones and after the last."""

    def __init__(self, steps: int) -> None:
        self.step, self.steps = 0, steps
        self.began = self.seconds = 0.0

    def tick(self) -> None:
        """Count a step."""
        self.step += 1
        if self.step == WARM:
            self.began = time.perf_counter()
        if self.step == self.steps:
            self.seconds = time.perf_counter() - self.began

    def speed(self, tokens: list[int]) -> float:
        """Tokens a second; `tokens` are those of each step."""
        assert self.step >= self.steps > WARM, f"{self.step} steps instead of {self.steps}"
        return sum(tokens[WARM : self.steps]) / self.seconds


@dataclass(frozen=True)
class Peer:
    """What a peer's loop is given. `collate` notes in `tokens` how many of them, padding left out, each batch has."""

    net: nn.Module
    examples: list[Any]
    collate: Callable[[list[Any]], dict[str, Tensor]]
    tokens: list[int]


# Data


def glosses() -> dict[str, Any]:
    """The section of the language model's text; an epoch of it has more steps than are timed."""
    return {"name": "glosses", "split": {"validation": 0, "test": 0}}


def corpus() -> tuple[str, list[dict[str, str]]]:
    """Labelled documents, and what they are.

    20 Newsgroups where it is prepared; else WordNet's bundled definitions of nouns, labelled by the first letter of
    the noun, which is no task that anybody has, but whose texts are real.
    """
    from netwright.data.corpora import catalog

    if catalog.is_prepared(catalog.folder_of("newsgroups")):
        lines = catalog.prepared("newsgroups")["train"].read_text("utf-8").split("\n")
        return "20 Newsgroups", [json.loads(line) for line in lines if line]
    pairs = (line.partition(": ") for line in glosses_text().splitlines())
    rows = [{"text": text, "label": noun[0].lower()} for noun, _, text in pairs if text and noun[0].isalpha()]
    return "WordNet's bundled glosses (labels: the first letter of the noun)", rows


def documents(folder: Path, count: int = 0) -> dict[str, Any]:
    """The section of documents that are written to `folder`; `count`: so many of them drawn by chance, else all."""
    _, rows = corpus()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    file = folder / "documents.jsonl"
    file.write_text("".join(json.dumps(rows[i]) + "\n" for i in order[: count or len(rows)]), "utf-8")
    whole = {"validation": 0, "test": 0}
    return {"path": str(file), "text": "text", "target": "label", "tokens": TOKENS, "split": whole}


def glosses_text() -> str:
    """The bundled text."""
    from netwright.data import load_data
    from netwright.data.texts import all_texts

    return all_texts(load_data(glosses()).train)[0]


def gpt_peer(_: int) -> Peer:
    """GPT2LMHeadModel on windows of the text's characters, cut before the clock starts."""
    from netwright.data.tokenizing import CharTokenizer

    text = glosses_text()
    tokenizer = CharTokenizer.fitted([text])
    stream = tokenizer.encode(text)
    windows = stream[: len(stream) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    examples = [{"input_ids": window, "labels": window} for window in windows]
    tokens: list[int] = []

    def collate(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        tokens.append(CONTEXT * len(rows))
        return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}

    return Peer(gpt2(len(tokenizer), CONTEXT), examples, collate, tokens)


def gpt2(vocab_size: int, places: int, **settings: Any) -> nn.Module:
    """The transformers module at the shared sizes; no token ends a text."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = {"n_layer": GPT["layers"], "n_embd": GPT["width"], "n_head": GPT["heads"], "n_positions": places}
    dropout = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), GPT["dropout"])
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocab_size, **sizes, **dropout, **ends, **settings))


class Classifier(nn.Module):
    """What one writes with torch.nn.LSTM: embedding, layers, the mean over the tokens, a linear head.

    It is the function that ours computes with `bidirectional: false` and `pooling: mean`. Padding stands at the end and
    the layers read forwards, so that no packing is needed, which would be slower.
    """

    def __init__(self, vocab_size: int, num_classes: int) -> None:
        super().__init__()
        width, dropout = int(LSTM["width"]), LSTM["dropout"]
        self.embedding = nn.Embedding(vocab_size, width)
        self.lstm = nn.LSTM(width, width, int(LSTM["layers"]), batch_first=True, dropout=dropout)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(width, num_classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss, under the name that the Trainer looks for."""
        states, _ = self.lstm(self.dropout(self.embedding(input_ids)))
        pooled = (states * attention_mask[:, :, None]).sum(1) / attention_mask.sum(1, keepdim=True)
        logits = self.head(self.dropout(pooled))
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def lstm_peer(steps: int) -> Peer:
    """The classifier on documents that our tokenizer encoded, padded to the longest of a batch that chance makes."""
    from netwright.data import load_data
    from netwright.data.textual import TextPreprocessor

    with tempfile.TemporaryDirectory() as folder:
        bundle = load_data(documents(Path(folder), BATCH * steps))
    preprocess = TextPreprocessor.fitted(bundle.train)
    encoded = preprocess.encode(bundle.train)
    assert encoded.targets is not None
    examples = list(zip((encoded.first[i] for i in range(len(encoded.first))), encoded.targets.tolist(), strict=True))
    tokens: list[int] = []

    def collate(rows: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
        texts = [text for text, _ in rows]
        tokens.append(sum(map(len, texts)))
        padded = pad_sequence(texts, batch_first=True, padding_value=preprocess.tokenizer.filler)
        mask = pad_sequence([torch.ones(len(text)) for text in texts], batch_first=True)
        return {"input_ids": padded, "attention_mask": mask, "labels": torch.tensor([label for _, label in rows])}

    torch.manual_seed(0)
    return Peer(Classifier(len(preprocess.tokenizer), len(set(encoded.targets.tolist()))), examples, collate, tokens)


PEERS = {"gpt": gpt_peer, "lstm": lstm_peer}


# Training


def ours(workload: str, steps: int) -> dict[str, Any]:
    """`nw.train` as it comes; the times stand in its own metrics.jsonl, the tokens of each step in its batches."""
    import netwright as nw

    gpt = {"name": "gpt", "num_layers": GPT["layers"], "num_heads": GPT["heads"], "hidden_size": GPT["width"]}
    gpt |= {"context": CONTEXT, "dropout": GPT["dropout"]}
    lstm = {"name": "lstm", "num_layers": LSTM["layers"], "embedding_size": LSTM["width"], "dropout": LSTM["dropout"]}
    lstm |= {"hidden_size": LSTM["width"], "bidirectional": False, "pooling": "mean"}
    with tempfile.TemporaryDirectory() as folder:
        section = glosses() if workload == "gpt" else documents(Path(folder), BATCH * steps)
        out = Path(folder) / "run"
        train = {"batch_size": BATCH, "steps": steps, "epochs": 100, "checkpoint_every": 1_000_000, "seed": 0}
        model = gpt if workload == "gpt" else lstm
        nw.train({"data": section, "model": model, "optimizer": OPTIMIZER, "train": train}, out, quiet=True)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
        environment = json.loads((out / "environment.json").read_text("utf-8"))
        tokens = [BATCH * CONTEXT] * steps if workload == "gpt" else _bucketed_tokens(section)
    lines = [line for line in lines if line["kind"] == "train" and line["step"] >= WARM]
    first, last = lines[0], lines[-1]
    assert last["step"] > first["step"], "too few steps: metrics.jsonl has one line after the warm ones"
    counted = sum(tokens[first["step"] : last["step"]])
    return {"speed": counted / (last["seconds"] - first["seconds"]), "precision": environment["precision"]}


def _bucketed_tokens(section: dict[str, Any]) -> list[int]:
    """Tokens of each batch of the first epoch, padding left out: the order is a pure function of the seed."""
    from netwright.data import load_data
    from netwright.data.batching import Bucketed
    from netwright.data.textual import TextPreprocessor

    data = load_data(section).train
    source = Bucketed(data, TextPreprocessor.fitted(data), batch_size=BATCH, seed=0)  # type: ignore[arg-type]
    return [int(batch.inputs[1].sum()) for batch in source.epoch(0)]


def trainer(workload: str, steps: int) -> dict[str, Any]:
    """Hugging Face's Trainer at its defaults; reports, logs, saving and bars turned off."""
    import netwright.metrics.torchvision_guard  # noqa: F401 - declares the operators that a broken build lacks

    # isort: split
    from transformers import Trainer, TrainerCallback, TrainingArguments

    clock, peer = Clock(steps), PEERS[workload](steps)

    class Ticks(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            clock.tick()

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=steps, per_device_train_batch_size=BATCH, learning_rate=RATE, weight_decay=DECAY,
            use_cpu=True, report_to="none", logging_strategy="no", save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        assert arguments.max_grad_norm == CLIP and "adamw" in arguments.optim
        loop = Trainer(peer.net, arguments, peer.collate, peer.examples, callbacks=[Ticks()])
        loop.train()
    return {"speed": clock.speed(peer.tokens), "precision": "bf16" if arguments.bf16 else "float32"}


def lightning(workload: str, steps: int) -> dict[str, Any]:
    """Lightning's Trainer at its defaults around the same module; logger, checkpoints and bars turned off."""
    import logging

    import netwright.metrics.torchvision_guard  # noqa: F401 - declares the operators that a broken build lacks

    # isort: split
    import lightning as L
    from torch.utils.data import DataLoader

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    clock, peer = Clock(steps), PEERS[workload](steps)

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = peer.net.train()

        def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
            loss: Tensor = self.net(**batch)["loss"]
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=RATE, weight_decay=DECAY)

    class Ticks(L.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            clock.tick()

    loop = L.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[Ticks()],
    )  # fmt: skip
    loop.fit(Module(), DataLoader(peer.examples, batch_size=BATCH, shuffle=True, collate_fn=peer.collate))
    return {"speed": clock.speed(peer.tokens), "precision": "float32"}


# Generation


def write(who: str, workload: str) -> dict[str, Any]:
    """Greedy and cached, from the same prompts of real text: ours by `load_pretrained`, theirs by `from_pretrained`."""
    import netwright.metrics.torchvision_guard  # noqa: F401 - declares the operators that a broken build lacks
    from netwright.data.tokenizing import CharTokenizer

    text, rows = glosses_text(), int(workload.partition("-")[2])
    tokenizer = CharTokenizer.fitted([text])
    prompts_BT = tokenizer.encode(text[: rows * PROMPT]).view(rows, PROMPT)
    with tempfile.TemporaryDirectory() as folder:
        gpt2(len(tokenizer), ROOM, initializer_range=0.2).save_pretrained(folder)  # large: texts that vary
        made = {"ours": _our_writer, "transformers": _their_writer}[who](folder, prompts_BT)
    written_BT, times = made(), []
    assert written_BT.shape == (rows, PROMPT + NEW), f"{tuple(written_BT.shape)}: somebody stopped early"
    for _ in range(CALLS):
        began = time.perf_counter()
        made()
        times.append(time.perf_counter() - began)
    speed = rows * NEW / statistics.median(times)
    return {"speed": speed, "precision": "float32", "written": written_BT[:, PROMPT:].tolist()}


def _our_writer(folder: str, prompts_BT: Tensor) -> Callable[[], Tensor]:
    import netwright as nw

    net: Any = nw.load_pretrained("gpt", folder)
    return partial(net.generate, prompts_BT, NEW, temperature=0)


def _their_writer(folder: str, prompts_BT: Tensor) -> Callable[[], Tensor]:
    from transformers import GPT2LMHeadModel

    net: Any = GPT2LMHeadModel.from_pretrained(folder).eval()
    mask_BT = torch.ones_like(prompts_BT)
    return partial(net.generate, prompts_BT, attention_mask=mask_BT, max_new_tokens=NEW, do_sample=False)


# Padding


def padding() -> dict[str, Any]:
    """The share of padding in our batches and in those that chance makes, of all documents of each corpus."""
    from netwright.data.corpora import catalog

    with tempfile.TemporaryDirectory() as folder:
        rows = [_padding(corpus()[0], documents(Path(folder)))]
        if catalog.is_prepared(catalog.folder_of("help-en-de")):
            section = {"name": "help-en-de", "tokens": TOKENS}
            rows.append(_padding("LibreOffice's help, pairs of English and German", section))
    return {"rows": rows}


def _padding(name: str, section: dict[str, Any]) -> dict[str, Any]:
    from netwright.data import load_data
    from netwright.data.batching import Bucketed
    from netwright.data.textual import TextPreprocessor

    data: Any = load_data(section).train
    preprocess = TextPreprocessor.fitted(data)
    ours, budget = (Bucketed(data, preprocess, batch_size=BATCH, batch_tokens=most) for most in (None, BUDGET))
    encoded = preprocess.encode(data)
    second = () if encoded.second is None else (encoded.second.lengths + 1,)  # with its end, or its begin
    lengths_NK = torch.stack((encoded.first.lengths, *second), 1)
    order = torch.randperm(len(lengths_NK), generator=torch.Generator().manual_seed(0))
    filled = sum(len(batch) * int(lengths_NK[batch].amax(0).sum()) for batch in order.split(BATCH))
    usual = 1 - int(lengths_NK.sum()) / filled
    return {"name": name, "documents": len(data), "ours": ours.waste, "budget": budget.waste, "usual": usual}


def main(who: str, workload: str = "", steps: str = "0") -> dict[str, Any]:
    """What one process measures."""
    if who == "padding":
        return padding()
    if workload.startswith("generate"):
        return write(who, workload)
    return {"ours": ours, "trainer": trainer, "lightning": lightning}[who](workload, int(steps))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
