"""Augmentations: each changes what it should, as often as it should, and mistakes in its config are said."""

import pytest
import torch

from netwright.core.errors import ConfigError
from netwright.data.augment import Draws, build_augment, catalog
from netwright.data.augment.colour import Brightness, Contrast, Noise, Saturation
from netwright.data.augment.geometry import Crop, Erase, Flip, ResizedCrop, Rotate
from netwright.data.augment.mixing import CutMix, Mixup
from netwright.data.catalog import AUGMENTATIONS

B, SHAPE = 400, (3, 12, 10)
INDEX = torch.arange(B)
ON_IMAGES = ["brightness", "contrast", "crop", "erase", "flip", "noise", "resized-crop", "rotate", "saturation"]


def images(b=B):
    return torch.rand(b, *SHAPE, generator=torch.Generator().manual_seed(0))


def draws(epoch=0, index=INDEX, place=0):
    return Draws(5, epoch, index, place)


def changed(a, b):
    return (a != b).flatten(1).any(1)


def kolmogorov_distance(sample, cdf):
    """Largest distance between the empirical distribution and `cdf`; 1.95/sqrt(n) is exceeded once in a thousand."""
    x = sample.double().sort().values
    steps = torch.arange(len(x) + 1, dtype=torch.float64) / len(x)
    return max((cdf(x) - steps[:-1]).abs().max().item(), (cdf(x) - steps[1:]).abs().max().item())


@pytest.mark.parametrize("name", ON_IMAGES)
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_image_augmentations_keep_shape_and_range_and_respect_p(name, p):
    change, x = build_augment([{name: {"p": p}}], input_shape=SHAPE), images()
    before = x.clone()
    y = change.images(x, INDEX, 0, 1)
    assert y.shape == x.shape and y.dtype == x.dtype and y.min() >= 0 and y.max() <= 1
    assert torch.equal(x, before), "the argument was changed"
    share = changed(x, y).float().mean().item()
    # A crop may land where it came from: once in (2 padding + 1)².
    assert share == {0.0: 0.0}.get(p, pytest.approx(p * (24 / 25 if name == "crop" else 1), abs=0.09))


@pytest.mark.parametrize("name", [name for name in sorted(AUGMENTATIONS) if ".text:" not in AUGMENTATIONS[name]])
def test_a_pure_function_of_seed_epoch_and_index(name):
    change, x = build_augment([name], input_shape=SHAPE, num_classes=3), images()

    def apply(x, index, epoch=0, seed=1):
        return change.mix(change.images(x, index, epoch, seed), index % 3, index, epoch, seed)[0]

    whole = apply(x, INDEX)
    assert torch.equal(whole, apply(x, INDEX))
    assert not torch.equal(whole, apply(x, INDEX, epoch=1)) and not torch.equal(whole, apply(x, INDEX, seed=2))
    if change.on_images:
        order = torch.randperm(B, generator=torch.Generator().manual_seed(1))[:37]
        assert torch.allclose(whole[order], apply(x[order], order), atol=1e-6)


def test_two_of_a_kind_decide_differently():
    x = images()
    once = build_augment(["flip"]).images(x, INDEX, 0, 1)
    twice = build_augment(["flip", "flip"]).images(x, INDEX, 0, 1)
    assert 0.1 < changed(once, x).float().mean() < 0.9 and not torch.equal(twice, x) and not torch.equal(twice, once)


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 3), ("vertical", 2)])
def test_flip(direction, axis):
    x = images()
    assert torch.equal(Flip(direction, p=1.0)(x, draws()), x.flip(axis))


def test_crop_shifts_by_up_to_the_padding_equally_often():
    x = torch.zeros(B, 1, 9, 9)
    x[:, :, 4, 4] = 1
    y = Crop(padding=1)(x, draws())
    where = y.flatten(1).argmax(1)
    counts = torch.bincount(where, minlength=81).view(9, 9)
    assert y.flatten(1).sum(1).eq(1).all() and counts[3:6, 3:6].sum() == B
    assert counts[3:6, 3:6].min() > B / 9 - 4 * (B / 9) ** 0.5


def test_crop_fills():
    one = torch.ones(B, 1, 6, 6)
    assert Crop(2)(one, draws()).min() == 0 and Crop(2, fill="edge")(one, draws()).min() == 1
    assert Crop(2, fill="reflect")(one, draws()).min() == 1


def test_rotate_turns_by_up_to_its_degrees_and_keeps_the_centre():
    x = torch.zeros(B, 1, 41, 61)  # not square: the angle must be one of pixels, not of grid coordinates
    x[:, :, 20, 30] = 1
    x[:, :, 20, 45] = 1
    y = Rotate(degrees=30)(x, draws())
    assert torch.allclose(y[:, 0, 20, 30], torch.ones(B), atol=1e-4)
    y[:, :, 18:23, 28:33] = 0
    mass = y[:, 0] / y[:, 0].sum((1, 2), keepdim=True)
    rows, columns = torch.arange(41.0) - 20, torch.arange(61.0) - 30
    down, right = (mass.sum(2) * rows).sum(1), (mass.sum(1) * columns).sum(1)
    angle = torch.rad2deg(torch.atan2(down, right))
    assert torch.allclose(torch.hypot(down, right), torch.full((B,), 15.0), atol=0.3)
    assert kolmogorov_distance(angle, lambda a: ((a + 30) / 60).clamp(0, 1)) < 0.1


def test_resized_crop_shows_a_part_of_the_stated_area():
    rows, columns = torch.meshgrid(torch.arange(40.0) + 0.5, torch.arange(40.0) + 0.5, indexing="ij")
    x = torch.stack([rows, columns])[None].expand(B, -1, -1, -1) / 40
    y = ResizedCrop(scale=0.3, ratio=1.0)(x, draws())
    tall = (y[:, 0, 30, 20] - y[:, 0, 10, 20]) * 2
    wide = (y[:, 1, 20, 30] - y[:, 1, 20, 10]) * 2
    assert torch.allclose(tall, wide, atol=1e-3)
    assert kolmogorov_distance(tall * wide, lambda a: ((a - 0.3) / 0.7).clamp(0, 1)) < 0.1
    assert torch.allclose(ResizedCrop(scale=1.0, ratio=1.0)(x, draws()), x, atol=1e-5)


def test_erase_covers_one_rectangle_of_the_stated_area():
    y = Erase(largest=0.3, smallest=0.1, ratio=1.0, p=1.0)(torch.zeros(B, 2, 40, 40) + 0.5, draws())
    gone = y.eq(0)
    assert torch.equal(gone[:, 0], gone[:, 1])
    tall, wide = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
    area = gone[:, 0].sum((1, 2))
    assert torch.equal(area, tall * wide) and (tall - wide).abs().max() <= 1
    assert 0.08 < (area / 1600).min() < 0.13 and 0.27 < (area / 1600).max() < 0.33
    assert Erase(value=1.0, p=1.0)(torch.zeros(B, 1, 8, 8), draws()).amax((1, 2, 3)).eq(1).all()


def test_brightness_contrast_saturation():
    x = images() * 0.4 + 0.3  # nothing is clipped
    factor = Brightness(0.2)(x, draws()) / x
    assert torch.allclose(factor, factor[:, :1, :1, :1].expand_as(factor), atol=1e-5)
    assert kolmogorov_distance(factor[:, 0, 0, 0], lambda f: ((f - 0.8) / 0.4).clamp(0, 1)) < 0.1
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    grey = (x * weights).sum(1)
    contrast = Contrast(0.3)(x, draws())
    assert torch.allclose((contrast * weights).sum(1).mean((1, 2)), grey.mean((1, 2)), atol=1e-5)
    spread = contrast.flatten(1).std(1) / x.flatten(1).std(1)
    assert 0.69 < spread.min() < 0.75 and 1.25 < spread.max() < 1.31
    coloured = Saturation(0.3)(x, draws())
    assert torch.allclose((coloured * weights).sum(1), grey, atol=1e-5) and changed(coloured, x).all()
    flat = x[:, :1].expand(-1, 3, -1, -1)
    assert torch.allclose(Saturation(1.0)(flat, draws()), flat, atol=1e-6)


def test_noise():
    noise = Noise(0.1)(torch.full((B, *SHAPE), 0.5), draws()) - 0.5
    assert noise.mean().abs() < 0.002 and noise.std() == pytest.approx(0.1, rel=0.02)
    assert len(noise[0].unique()) > 300 and not torch.equal(noise[0], noise[1])


def test_draws_are_uniform_and_independent():
    index = torch.arange(20_000)
    source = draws(index=index)
    a, b = source.uniform(), source.uniform()
    limit = 1.95 / len(index) ** 0.5
    assert kolmogorov_distance(a, lambda u: u) < limit and kolmogorov_distance(b, lambda u: u) < limit
    assert torch.corrcoef(torch.stack([a, b]))[0, 1].abs() < 0.03
    other = draws(index=index, place=1).uniform()
    assert torch.corrcoef(torch.stack([a, other]))[0, 1].abs() < 0.03
    assert torch.bincount(source.integer(4)).sub(5000).abs().max() < 250
    assert source.chance(0.3).float().mean() == pytest.approx(0.3, abs=0.015)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 2.0, 8.0])
def test_beta_draws(alpha):
    scipy = pytest.importorskip("scipy.stats")
    sample = draws(index=torch.arange(20_000)).beta(alpha)
    assert sample.isfinite().all() and sample.min() >= 0 and sample.max() <= 1
    x = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)  # not at the ends, where float32 rounds to 0 and 1
    found = torch.searchsorted(sample.double().sort().values, x) / len(sample)
    assert (found - torch.from_numpy(scipy.beta(alpha, alpha).cdf(x.numpy()))).abs().max() < 1.95 / 20_000**0.5
    assert sample.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.04)


def test_mixup_mixes_inputs_and_targets_alike():
    shares = torch.nn.functional.one_hot(INDEX % 3, 3).float()
    x = shares[:, :, None, None].expand(-1, -1, 4, 4).contiguous()
    mixed, targets = Mixup(alpha=1.0)(x, shares, draws())
    assert torch.allclose(mixed[:, :, 2, 2], targets, atol=1e-6)
    assert torch.allclose(targets.sum(1), torch.ones(B), atol=1e-6)
    assert kolmogorov_distance(targets[INDEX, INDEX % 3], lambda u: u) < 1.95 / B**0.5
    assert torch.all(targets[INDEX, (INDEX + 2) % 3] == 0)  # the partner is the next one
    same, kept = Mixup(p=0.0)(x, shares, draws())
    assert torch.equal(same, x) and torch.equal(kept, shares)


def test_cutmix_targets_are_the_share_of_pixels():
    shares = torch.nn.functional.one_hot(INDEX % 3, 3).float()
    x = shares[:, :, None, None].expand(-1, -1, 12, 10).contiguous()
    mixed, targets = CutMix()(x, shares, draws())
    assert torch.allclose(mixed.mean((2, 3)), targets, atol=1e-6)
    assert set(mixed.unique().tolist()) == {0.0, 1.0} and 0.15 < targets[INDEX, INDEX % 3].std() < 0.3
    pasted = mixed[INDEX, INDEX % 3].eq(0)
    assert torch.equal(pasted.sum((1, 2)), pasted.any(2).sum(1) * pasted.any(1).sum(1))  # one rectangle


def test_mixing_of_numbers_and_of_tables():
    change = build_augment([{"mixup": 0.4}], input_shape=(5,))
    table, prices = torch.rand(B, 5), torch.rand(B, 1)
    x, y = change.mix(table, prices, INDEX, 0, 1)
    assert x.shape == (B, 5) and y.shape == (B, 1) and not torch.equal(y, prices)
    with pytest.raises(ConfigError, match="need classes or numbers"):
        change.mix(table, INDEX, INDEX, 0, 1)


def test_of_several_mixings_each_example_takes_one():
    change = build_augment(["cutmix", {"mixup": 1.0}], input_shape=(3, 12, 10), num_classes=3)
    x = torch.nn.functional.one_hot(INDEX % 3, 3).float()[:, :, None, None].expand(-1, -1, 12, 10).contiguous()
    mixed, targets = change.mix(x, INDEX % 3, INDEX, 0, 1)
    assert torch.allclose(mixed.mean((2, 3)), targets, atol=1e-5)
    cut = mixed.sub(mixed.round()).abs().amax((1, 2, 3)) < 1e-6
    assert 0.4 < cut.float().mean() < 0.65


def test_every_way_to_write_an_entry():
    entries = ["flip", {"flip": None}, {"rotate": 15}, {"crop": {"padding": 3}}, {"name": "noise", "std": 0.1}]
    change = build_augment(entries)
    assert change.pictures == (Flip(), Flip(), Rotate(15), Crop(3), Noise(0.1))
    assert not change.mixing and change.on_images
    assert not build_augment([]) and not build_augment(None) and not build_augment(["mixup"]).on_images


def test_all_mistakes_are_told_at_once():
    rotate, erase = {"rotate": {"degrees": 500, "p": 2}}, {"erase": {"smallest": 0.5}}
    wrong = ["flipp", {"crop": {"pading": 2}}, rotate, 3, "flip", erase]
    with pytest.raises(ConfigError) as caught:
        build_augment(wrong, input_shape=SHAPE)
    said = str(caught.value).splitlines()
    assert [problem.path for problem in caught.value.problems] == [
        "augment[0]", "augment[1].crop.pading", "augment[2].rotate.degrees", "augment[2].rotate.p", "augment[3]",
        "augment[5].erase",
    ]  # fmt: skip
    assert "did you mean flip" in said[0] and "padding" in said[1] and "180" in said[2]
    assert "smallest=0.5 is more than largest=0.25" in said[5]


@pytest.mark.parametrize(
    ("entry", "shape", "words"),
    [
        ("flip", (5,), "is for pictures"), ("cutmix", (5,), "is for pictures"), ("saturation", (1, 8, 8), "1 channel"),
        ({"crop": {"padding": 8, "fill": "reflect"}}, (1, 8, 8), "at most 7"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_data(entry, shape, words):
    with pytest.raises(ConfigError, match=words):
        build_augment([entry], input_shape=shape)


@pytest.mark.parametrize("specs", ["flip", {"flip": {}}, 3])
def test_a_list_is_wanted(specs):
    with pytest.raises(ConfigError, match="expected a list"):
        build_augment(specs)


def test_the_catalog_loads_everything():
    assert {catalog().load(name).__name__.lower() for name in catalog().names()} == {
        name.replace("-", "") for name in AUGMENTATIONS
    }
