"""Batches: the same bits for any way of reading, any number of workers, any place to start from."""

import os

import pytest
import torch

from netwright.core.errors import ConfigError, DataError, ResourceError
from netwright.data.augment import Augment, build_augment
from netwright.data.batching import Batch, BatchSource, Order, Resident, Streaming, Windows
from netwright.data.dataset import Dataset, TensorDataset
from netwright.data.normalising import ImagePreprocessor
from netwright.data.schema import Schema, Target

CLASSES = ("a", "b", "c")
SCHEMA = Schema("image", (3, 9, 8), "uint8", Target("class", classes=CLASSES))
ON_PIXELS = ["flip", {"crop": {"padding": 2}}, {"rotate": 20}, "noise", "erase", "saturation"]
AUGMENT = [*ON_PIXELS, {"mixup": {"p": 0.5}}, "cutmix"]


def pictures():
    """A preprocessor with numbers that are not exact in binary."""
    return ImagePreprocessor(SCHEMA, [0.2861, 0.4, 0.1], [0.3530, 0.2, 0.7])


def dataset(n=50):
    chance = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (n, 3, 9, 8), dtype=torch.uint8, generator=chance)
    return TensorDataset(x, torch.arange(n) % 3, SCHEMA, "pictures")


def augment():
    return build_augment(AUGMENT, input_shape=SCHEMA.input_shape, num_classes=3)


def batches(source, epoch=0, start=0):
    return list(source.epoch(epoch, start))


def same(a, b):
    assert len(a) == len(b) > 0
    for x, y in zip(a, b, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(x, y, strict=True))


class Bad(Dataset):
    """Reads well, except one example."""

    name, schema, problems = "bad set", SCHEMA, []

    def __init__(self, failure):
        self.failure = failure

    def __len__(self):
        return 20

    def read(self, i):
        return self.failure() if i == 13 else (torch.zeros(3, 9, 8, dtype=torch.uint8), torch.tensor(0))

    def tensors(self):
        return None

    def subset(self, indices):
        raise NotImplementedError

    def with_schema(self, schema):
        raise NotImplementedError

    def labels(self):
        raise NotImplementedError


def truncated():
    raise OSError("image file is truncated {3 bytes}")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # four workers on two cores are meant
@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("workers", [0, 1, 4])
def test_streaming_gives_the_bits_of_resident(workers, augmented):
    change = augment() if augmented else None
    resident = Resident(dataset(), pictures(), batch_size=8, seed=3, augment=change)
    streaming = Streaming(dataset(), pictures(), batch_size=8, seed=3, augment=change, workers=workers)
    assert isinstance(resident, BatchSource) and isinstance(streaming, BatchSource)
    for epoch in (0, 1):
        same(batches(resident, epoch), batches(streaming, epoch))
    same(batches(resident, 2)[3:], batches(streaming, 2, start=3))


def test_workers_survive_an_epoch_left_in_the_middle():
    streaming = Streaming(dataset(), pictures(), batch_size=4, workers=2)
    next(iter(streaming.epoch(0)))
    same(batches(Resident(dataset(), pictures(), batch_size=4), 1), batches(streaming, 1))


@pytest.mark.parametrize("kind", [Resident, Streaming])
def test_a_middle_start_gives_the_rest_of_the_epoch(kind):
    source = kind(dataset(), pictures(), batch_size=8, augment=augment())
    same(batches(source, 4)[2:], batches(source, 4, start=2))
    assert batches(source, 4, start=source.steps_per_epoch) == []


def test_batches_do_not_touch_the_global_generator():
    before = torch.get_rng_state()
    batches(Streaming(dataset(), pictures(), batch_size=8, augment=augment(), workers=1))
    batches(Resident(dataset(), pictures(), batch_size=8, augment=augment()))
    assert torch.equal(before, torch.get_rng_state())


def test_an_epoch_holds_every_example_once_in_an_order_of_its_own():
    source = Resident(dataset(50), pictures(), batch_size=8)
    orders = [torch.cat([batch.index for batch in source.epoch(e)]) for e in (0, 1)]
    assert all(torch.equal(order.sort().values, torch.arange(50)) for order in orders)
    assert not torch.equal(*orders)
    for batch in source.epoch(0):
        assert torch.equal(batch.inputs, pictures().inputs(dataset().inputs[batch.index]))
        assert torch.equal(batch.targets, batch.index % 3)


def test_validation_is_in_order_and_whole():
    source = Resident(dataset(50), pictures(), batch_size=64, shuffle=False)
    assert (source.steps_per_epoch, source.examples) == (1, 50)
    assert torch.equal(batches(source)[0].index, torch.arange(50))


def test_augmentation_of_an_example_does_not_depend_on_its_batch():
    change = build_augment(["flip", {"crop": {"padding": 2}}, "rotate", "resized-crop", "noise"])
    seen = {}
    for size in (5, 8):
        for batch in Resident(dataset(), pictures(), batch_size=size, augment=change).epoch(7):
            for i, x in zip(batch.index.tolist(), batch.inputs, strict=True):
                assert torch.allclose(seen.setdefault(i, x), x, atol=1e-6)
    first = next(Resident(dataset(), pictures(), batch_size=5, augment=change).epoch(8))
    assert not torch.equal(first.inputs[0], seen[int(first.index[0])])


@pytest.mark.parametrize(
    ("n", "size", "options", "expected"),
    [
        (50, 8, {}, (7, 50)), (50, 8, {"drop_last": True}, (6, 48)), (48, 8, {"drop_last": True}, (6, 48)),
        (49, 8, {}, (6, 48)), (49, 8, {"shuffle": False}, (7, 49)), (5, 1, {}, (5, 5)), (1, 1, {}, (1, 1)),
    ],
)  # fmt: skip
def test_short_last_batches(n, size, options, expected):
    order = Order(n, size, **options)
    found = order.batches(0)
    assert (order.steps, order.used) == expected == (len(found), sum(map(len, found)))


def test_weights_draw_examples_in_their_proportion():
    weights = torch.tensor([1.0, 0.0, 3.0, 0.0])
    drawn = Order(4, 1, weights=weights)
    counts = torch.zeros(4)
    for epoch in range(2000):
        counts += torch.bincount(drawn.indices(epoch), minlength=4)
    assert counts[1] == counts[3] == 0
    assert counts[2] / counts.sum() == pytest.approx(0.75, abs=0.02)  # four standard errors
    assert torch.equal(drawn.indices(5), drawn.indices(5))


@pytest.mark.parametrize("bad", [[1.0], [0.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_impossible_weights(bad):
    with pytest.raises(ConfigError, match="weights"):
        Order(2, 1, weights=torch.tensor(bad))


@pytest.mark.parametrize("kind", [Resident, Streaming])
def test_a_batch_larger_than_the_data(kind):
    with pytest.raises(ConfigError, match=r"batch_size=64 is larger than the data \(50 examples\); use at most 50"):
        kind(dataset(50), pictures(), batch_size=64)
    with pytest.raises(ConfigError, match="expected 1 or more"):
        kind(dataset(50), pictures(), batch_size=0)
    with pytest.raises(DataError, match="no example"):
        kind(dataset(0), pictures(), batch_size=1)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (truncated, "OSError: image file is truncated {3 bytes}"),
        (lambda: (torch.zeros(3, 9, 7, dtype=torch.uint8), torch.tensor(0)), r"\(3, 9, 7\), where others have"),
    ],
)
def test_a_reader_s_failure_names_the_example(workers, failure, reason):
    source = Streaming(Bad(failure), pictures(), batch_size=4, shuffle=False, workers=workers)
    read = source.epoch(0)
    for _ in range(3):
        next(read)
    with pytest.raises(DataError, match=f"bad set: example 13 cannot be read.*{reason}"):
        next(read)


def test_a_killed_worker_is_said():
    source = Streaming(Bad(lambda: os._exit(9)), pictures(), batch_size=4, shuffle=False, workers=1)
    with pytest.raises(ResourceError, match=r"bad set was killed.*train\.workers"):
        batches(source)


def test_what_must_be_streamed_cannot_be_resident():
    with pytest.raises(DataError, match="stream it"):
        Resident(Bad(truncated), pictures(), batch_size=4)


def test_resident_prepares_once_unless_pixels_change(monkeypatch):
    calls, prepare = [], ImagePreprocessor.inputs
    monkeypatch.setattr(ImagePreprocessor, "inputs", lambda self, raw: calls.append(len(raw)) or prepare(self, raw))
    source = Resident(dataset(50), pictures(), batch_size=8, augment=Augment(mixing=augment().mixing, num_classes=3))
    assert [len(batches(source, epoch)) for epoch in (0, 1)] == [7, 7] and calls == [50]


def test_mixed_targets_are_shares_of_classes():
    batch = next(Resident(dataset(), pictures(), batch_size=8, augment=augment()).epoch(0))
    assert batch.targets.shape == (8, 3) and torch.allclose(batch.targets.sum(1), torch.ones(8))


@pytest.mark.parametrize("n", [11, 64, 65, 100])
def test_windows_of_training(n):
    tokens, context = torch.arange(n), 10
    source = Windows(tokens, context=context, batch_size=1)
    starts = set()
    for epoch in range(100):
        windows = batches(source, epoch)
        assert len(windows) == source.steps_per_epoch
        for batch in windows:
            assert batch.inputs.shape == (1, context) and batch.inputs.is_contiguous() and batch.targets.is_contiguous()
            assert torch.equal(batch.targets, batch.inputs + 1)
        read = torch.cat([batch.inputs.flatten() for batch in windows])
        assert len(read.unique()) == len(read)  # none overlap
        starts.add(int(read.min()) % context)
        same(windows[:1], batches(source, epoch)[:1])
    assert len(starts) == (1 if n == 11 else context)  # a token is seen at every place of a window


def test_windows_of_validation():
    source = Windows(torch.arange(35, dtype=torch.int32), context=10, batch_size=2, shuffle=False)
    *found, last = batches(source)
    assert torch.equal(torch.cat([b.inputs for b in found]).flatten(), torch.arange(30))
    assert torch.equal(torch.cat([b.targets for b in found]).flatten(), torch.arange(1, 31))
    assert last.inputs.tolist() == [[*range(24, 34)]] and last.targets.tolist() == [[-100] * 6 + [31, 32, 33, 34]]
    assert source.steps_per_epoch == 3 and source.examples == 4
    same([*found[1:], last], batches(source, 3, start=1))
    assert batches(source, start=3) == [] and source.examples == 4
    short = batches(Windows(torch.arange(4), context=10, batch_size=2, shuffle=False))
    assert torch.equal(short[0].targets, torch.tensor([[1, 2, 3]]))


def test_windows_refuse_what_cannot_be():
    with pytest.raises(DataError, match="10 tokens, and one window needs 11"):
        Windows(torch.arange(10), context=10, batch_size=1)
    with pytest.raises(ConfigError, match=r"train\.batch_size=9"):
        Windows(torch.arange(40), context=10, batch_size=9)


def test_a_batch_unpacks():
    inputs, targets, index = Batch(torch.zeros(1), None, None)
    assert targets is None and index is None and len(inputs) == 1


def test_rows_of_the_data_are_the_index_or_counted():
    x = torch.zeros(3, 2)
    assert Batch(x, None, torch.tensor([7, 1, 4])).rows(9).tolist() == [7, 1, 4]
    assert Batch((x, x), None, None).rows(9).tolist() == [9, 10, 11]
