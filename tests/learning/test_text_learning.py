"""Every task on texts must be able to learn a few documents by heart, through the batches that a run has."""

import random

import torch
from test_learning import train

from netwright.data.batching import Batch, BatchSource, Bucketed, Windows
from netwright.data.schema import Schema, Target
from netwright.data.texts import TextDataset
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import LibraryTokenizer, TokenSettings, WordTokenizer
from netwright.models import build
from netwright.tasks import Task
from netwright.tasks.classification import Classification
from netwright.tasks.language import LanguageModeling
from netwright.tasks.masked_language import MaskedLanguageModeling
from netwright.tasks.question_answering import QuestionAnswering
from netwright.tasks.sequence_to_sequence import SequenceToSequence

WORDS = [
    "ash", "oak", "elm", "fir", "bay", "box", "yew", "may", "fig", "ivy", "sun", "sky", "sea", "ice", "fog", "dew",
    "mud", "oil", "tin", "ore",
]  # fmt: skip


def sentences(count, longest, seed=0):
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(2, longest))) for _ in range(count)]


def batches_of(task: Task, source: BatchSource, epochs: int) -> list[Batch]:
    """All batches of some epochs in turn: `train` knows no epochs."""
    prepared = task.batches(source, training=True)
    return [batch for epoch in range(epochs) for batch in prepared.epoch(epoch)]


def figures(task: Task, model, source: BatchSource) -> dict[str, float]:
    model.eval()
    measure = task.measure()
    with torch.inference_mode():
        for batch in task.batches(source, training=False).epoch(0):
            measure.update(task.evaluation_step(model, batch).predictions, batch.targets)
    return measure.compute()


def test_documents_with_random_labels_are_learnt_by_heart():
    schema = Schema("text", (), "int64", Target("class", ("a", "b", "c")))
    preprocess = TextPreprocessor(schema, WordTokenizer(WORDS))
    data = TextDataset(sentences(48, 9), torch.randint(0, 3, (48,)), schema, "documents")
    source = Bucketed(data, preprocess, batch_size=16)
    task = Classification(schema, preprocess, metrics=["accuracy"])
    model = build("gru", vocab_size=len(preprocess.tokenizer), num_classes=3, embedding_size=32, hidden_size=32)
    before = figures(task, model, source)["accuracy"]
    train(task, model, batches_of(task, source, 30), epochs=1, lr=1e-2)
    assert before < 0.6 and figures(task, model, source)["accuracy"] > 0.97


def test_parts_of_words_are_learnt_by_heart():
    text = ". ".join(sentences(6, 6)) + "."
    tokenizer = LibraryTokenizer.fitted([text] * 2, 300)
    schema = Schema("text", (), "int64", Target("next-token"), vocab_size=len(tokenizer))
    source = Windows(tokenizer.encode(text), context=8, batch_size=2)
    task = LanguageModeling(TextPreprocessor(schema, tokenizer))
    sizes = {"context": 8, "num_layers": 1, "num_heads": 2, "hidden_size": 32, "dropout": 0.0}
    model = build("gpt", vocab_size=len(tokenizer), **sizes)
    before = figures(task, model, source)
    train(task, model, batches_of(task, source, 120), epochs=1, lr=5e-3)
    after = figures(task, model, source)
    assert before["bits_per_byte"] > 2 and after["bits_per_byte"] < 0.7 and after["perplexity"] < 3


def test_hidden_words_are_told_by_those_beside_them():
    texts = [" ".join(WORDS[start : start + 5]) for start in (0, 5, 10, 15)] * 10
    schema = Schema("text", (), "int64", Target("class", ("a",)))
    preprocess = TextPreprocessor(schema, WordTokenizer(WORDS))
    data = TextDataset(texts, torch.zeros(len(texts)).long(), schema, "documents")
    source = Bucketed(data, preprocess, batch_size=10)
    task = MaskedLanguageModeling(preprocess)
    model = bert(preprocess, "masked-language-modeling")
    before = figures(task, model, source)
    train(task, model, batches_of(task, source, 60), epochs=1, lr=5e-3)
    after = figures(task, model, source)
    assert before["accuracy"] < 0.3 and after["accuracy"] > 0.9 and after["perplexity"] < 2


def test_words_are_translated_by_attention():
    schema = Schema("text", (), "int64", Target("text"))
    english = sentences(60, 4)
    german = [" ".join(reversed([f"{word}en" for word in text.split()])) for text in english]
    preprocess = TextPreprocessor(schema, WordTokenizer(WORDS + [f"{word}en" for word in WORDS]))
    source = Bucketed(TextDataset(english, torch.empty(0), schema, "pairs", second=german), preprocess, batch_size=20)
    task = SequenceToSequence(preprocess, max_new_tokens=8, beams=2)
    sizes = {"hidden_size": 48, "num_layers": 1, "num_heads": 4, "inner_size": 64, "dropout": 0.0}
    model = build("transformer", vocab_size=len(preprocess.tokenizer), **sizes)
    before = figures(task, model, source)
    train(task, model, batches_of(task, source, 90), epochs=1, lr=5e-3)
    after = figures(task, model, source)
    assert before["bleu"] < 10 and after["bleu"] > 90 and after["exact_match"] > 0.8


def test_answers_are_found_beside_the_word_that_is_asked_for():
    texts = sentences(60, 9, seed=1)
    contexts = [" ".join(dict.fromkeys(text.split())) for text in texts]
    contexts = [context for context in contexts if " " in context]
    chance, questions, spans = random.Random(2), [], []
    for context in contexts:
        words = context.split()
        place = chance.randrange(len(words) - 1)
        questions.append(words[place])
        start = len(" ".join(words[: place + 1])) + 1
        spans.append([start, start + len(words[place + 1])])
    schema = Schema(
        "text", (), "int64", Target("span", names=("answer",)), tokens=TokenSettings("words", max_length=32)
    )
    preprocess = TextPreprocessor(schema, WordTokenizer(WORDS))
    data = TextDataset(questions, torch.tensor(spans), schema, "questions", second=contexts)
    source, task = Bucketed(data, preprocess, batch_size=15), QuestionAnswering(preprocess)
    model = bert(preprocess, "question-answering")
    before = figures(task, model, source)
    train(task, model, batches_of(task, source, 80), epochs=1, lr=3e-3)
    after = figures(task, model, source)
    assert before["exact_match"] < 0.6 and after["exact_match"] > 0.95 and after["f1"] >= after["exact_match"]


def bert(preprocess: TextPreprocessor, task: str):
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_size": 32, "inner_size": 64, "context": 32, "dropout": 0.0}
    return build("bert", vocab_size=len(preprocess.tokenizer), task=task, **sizes)
