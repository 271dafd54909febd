"""Masks: read beside their pictures, moved with them, described, split by blocks; what is wrong with them is said."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from netwright.core.errors import ConfigError, DataError, MissingExtra
from netwright.data import describe, load_data, load_like
from netwright.data.audit import audit
from netwright.data.augment import Draws, ImageAugmentation, build_augment
from netwright.data.batching import Resident, Streaming
from netwright.data.dataset import PairedFiles
from netwright.data.masks import IGNORED, colours, read_mask, whole_mask, write_mask
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.data.split import apart


def folders(base: Path, count: int = 20, size: tuple[int, int] = (12, 10), classes: int = 3) -> dict:
    """Pictures whose grey values are 40 times the class of their masks, so that a pair is known by its pixels."""
    chance = np.random.default_rng(0)
    for place in range(count):
        codes = chance.integers(0, classes, size).astype(np.uint8)
        save(base / "images" / f"{place:02d}.png", codes * 40)
        save(base / "masks" / f"{place:02d}.png", codes)
    return {"path": str(base / "images"), "masks": str(base / "masks")}


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def in_step(inputs: torch.Tensor, masks: torch.Tensor) -> bool:
    return torch.equal(inputs[:, 0], masks * 40)


def test_two_folders_go_together_by_name(tmp_path: Path) -> None:
    data = load_data(folders(tmp_path))
    assert data.schema == Schema.from_dict(data.schema.to_dict())
    assert data.schema.target.kind == "mask" and data.schema.target.classes == ("0", "1", "2")
    assert data.schema.input_shape == (1, 12, 10) and data.schema.sizes()["num_classes"] == 3
    assert data.schema.default_task() == "image-segmentation"
    inputs, masks = data.train.tensors()
    assert masks.dtype == torch.uint8 and in_step(inputs, masks) and len(data.train) == 16


def test_one_folder_with_images_and_masks_in_it(tmp_path: Path) -> None:
    folders(tmp_path)
    assert load_data(str(tmp_path)).split["sizes"] == load_data(folders(tmp_path)).split["sizes"]


def test_names_folders_and_official_parts(tmp_path: Path) -> None:
    for part, people in {"train": "ab", "val": "c", "test": "d"}.items():
        for person in people:
            for place in range(3):
                codes = np.full((8, 8), place % 2, np.uint8)
                save(tmp_path / "images" / part / person / f"{place}.png", codes)
                save(tmp_path / "masks" / part / person / f"{place}.png", codes)
    data = load_data({"path": str(tmp_path), "classes": ["sky", "cloud"]})
    assert data.split["sizes"] == {"train": 6, "validation": 3, "test": 3} and data.split["method"] == "official"
    assert data.schema.target.classes == ("sky", "cloud") and data.split["classes"] == {"sky": 256, "cloud": 128}
    assert data.keys["folder"].unique().numel() == 4


def test_parts_with_images_and_masks_in_each(tmp_path: Path) -> None:
    for part, count in {"train": 6, "val": 3, "test": 2}.items():
        folders(tmp_path / part, count)
    data = load_data(str(tmp_path))
    assert data.split["sizes"] == {"train": 6, "validation": 3, "test": 2} and data.split["method"] == "official"
    assert in_step(*data.train.tensors()) and data.schema.target.classes == ("0", "1", "2")


def test_a_part_without_masks_is_told_by_its_own_path(tmp_path: Path) -> None:
    for part in ("train", "test"):
        folders(tmp_path / part, 3)
        (tmp_path / part / "masks").rename(tmp_path / part / "labels")
    with pytest.raises(DataError, match=r"train holds the folder images and no classes; set data.path=.*train/images"):
        load_data(str(tmp_path))


def test_pictures_that_stream_read_their_masks_too(tmp_path: Path) -> None:
    spec = folders(tmp_path)
    whole, streamed = load_data(spec), load_data(spec | {"memory_gb": 0})
    assert isinstance(streamed.train, PairedFiles) and streamed.split["classes"] == whole.split["classes"]
    assert torch.equal(streamed.train.labels(), whole.train.labels())
    assert describe(streamed)["statistics"]["pixels"] == describe(whole)["statistics"]["pixels"]
    augment = build_augment(["flip", {"rotate": 30}, "brightness"], input_shape=(1, 12, 10), masks=True)
    preprocess = Preprocessor.fit(whole.train)
    options = {"batch_size": 4, "augment": augment, "seed": 3}
    resident, streaming = (made(data.train, preprocess, **options).epoch(1) for made, data in (
        (Resident, whole), (Streaming, streamed)))  # fmt: skip
    for one, two in zip(resident, streaming, strict=True):
        assert torch.equal(one.inputs, two.inputs) and torch.equal(one.targets, two.targets)
        assert one.targets.dtype == torch.int64 and one.targets.shape == (4, 12, 10)


def test_pictures_of_several_sizes_are_stretched_whole_with_their_masks(tmp_path: Path) -> None:
    for place in range(10):
        side = 16 + 4 * place
        codes = np.zeros((side, 2 * side), np.uint8)
        codes[:, side:] = 1
        save(tmp_path / "images" / f"{place}.png", codes * 40)
        save(tmp_path / "masks" / f"{place}.png", codes)
    data = load_data({"path": str(tmp_path), "image_size": 8})
    masks = data.train.labels()
    assert masks.shape[1:] == (8, 8) and bool((masks[:, :, 4:] == 1).all()) and not bool(masks[:, :, :4].any())


def test_black_and_white_is_two_classes_and_255_among_others_is_ignored(tmp_path: Path) -> None:
    codes = np.kron(np.eye(4, dtype=np.uint8), np.ones((3, 3), np.uint8))
    for place in range(5):
        save(tmp_path / "images" / f"{place}.png", codes)
        save(tmp_path / "masks" / f"{place}.png", codes * 255)
    two = load_data({"path": str(tmp_path)})
    assert two.schema.target.classes == ("0", "1") and set(two.train.labels().unique().tolist()) == {0, 1}
    streamed = load_data({"path": str(tmp_path), "memory_gb": 0})
    assert torch.equal(streamed.train.labels(), two.train.labels())
    assert streamed.split["classes"] == two.split["classes"]
    codes[0, 0], codes[0, 1] = 2, 3
    save(tmp_path / "masks" / "0.png", np.where(codes == 3, 255, codes).astype(np.uint8))
    for place in range(1, 5):
        save(tmp_path / "masks" / f"{place}.png", codes * (codes < 3))
    three = load_data({"path": str(tmp_path), "split": {"validation": 0, "test": 0}})
    assert three.schema.target.classes == ("0", "1", "2") and int((three.train.labels() == IGNORED).sum()) == 1
    assert describe(three)["statistics"]["pixels"]["ignored"] > 0


def damaged(base: Path) -> dict:
    spec = folders(base, 40)
    (base / "masks" / "03.png").unlink()
    (base / "images" / "05.png").unlink()
    (base / "images" / "07.png").write_bytes(b"")
    save(base / "masks" / "09.png", np.zeros((5, 5), np.uint8))
    save(base / "masks" / "11.png", np.zeros((12, 10, 3), np.uint8) + np.arange(3, dtype=np.uint8))
    half = (base / "masks" / "13.png").read_bytes()
    (base / "masks" / "13.png").write_bytes(half[: len(half) // 2])
    Image.fromarray(np.zeros((12, 10), np.uint8)).save(base / "masks" / "15.jpg")
    (base / "masks" / "15.png").unlink()
    return spec


def test_what_is_wrong_with_a_pair_is_counted_and_named(tmp_path: Path) -> None:
    spec = damaged(tmp_path)
    save(tmp_path / "masks" / "17.png", np.full((12, 10), 7, np.uint8))
    data = load_data(spec | {"bad": "skip", "classes": ["a", "b", "c"]})
    reasons = {Path(problem.place).name: problem.reason for problem in data.problems}
    assert reasons.pop("13.png")
    assert reasons == {
        "03.png": "it has no mask", "05.png": "the mask of no picture", "07.png": "empty file",
        "09.png": "a mask of 5x5 pixels for a picture of 10x12",
        "11.png": "a mask in colours; expected one channel that holds class codes",
        "15.jpg": "a JPEG smears the class codes of a mask; write it as PNG",
        "17.png": "class code 7 is outside the 3 classes (0 to 2)",
    }  # fmt: skip
    assert sum(data.split["sizes"].values()) == 32
    with pytest.raises(DataError, match=r"7 of 40 examples are bad, more than the 5 %.*it has no mask.*data\.bad"):
        load_data(damaged(tmp_path / "again"))


@pytest.mark.parametrize(
    ("images", "masks", "words"),
    [
        ({}, {"a": [[0, 1]]}, "holds no pictures"),
        ({"a": [[0, 1]]}, {}, r"holds no pictures .*check data\.masks"),
        ({"a": [[0, 1]]}, {"b": [[0, 1]]}, "no file below .*masks has the name of one below .*images .a."),
        ({"a": [[0, 1]]}, {"a": [[2, 2]]}, "the class 2 only"),
        ({"a": [[0, 1]]}, {"a": [[255, 255]]}, "every pixel of the masks is ignored"),
        ({"a": [[0, 1]]}, {"a": [[0, 128]]}, "the values 0, 128, which are no class codes"),
    ],
)
def test_folders_without_use_end_in_one_line(images: dict, masks: dict, words: str, tmp_path: Path) -> None:
    for folder, files in (("images", images), ("masks", masks)):
        (tmp_path / folder).mkdir()
        for name, pixels in files.items():
            save(tmp_path / folder / f"{name}.png", np.array(pixels, np.uint8))
    with pytest.raises(DataError, match=words) as error:
        load_data({"path": str(tmp_path / "images"), "masks": str(tmp_path / "masks")})
    assert "\n" not in str(error.value)


def test_a_masks_folder_that_is_not_there_and_an_unknown_key(tmp_path: Path) -> None:
    spec = folders(tmp_path)
    with pytest.raises(DataError, match="does not exist; did you mean masks"):
        load_data(spec | {"masks": str(tmp_path / "mask")})
    with pytest.raises(ConfigError, match="did you mean classes"):
        load_data(spec | {"clases": ["a"]})


def test_arrays_with_a_class_a_pixel_are_masks() -> None:
    pictures, masks = torch.rand(20, 3, 6, 8), torch.randint(0, 4, (20, 6, 8))
    data = load_data((pictures, masks))
    assert data.schema.kind == "image" and data.schema.target.classes == ("0", "1", "2", "3")
    floats = load_data((torch.randn(20, 5, 6, 8), (masks > 1)[:, None].float()), target_kind="class")
    assert floats.schema.kind == "array" and floats.schema.target.kind == "mask"
    left_out = load_data((pictures, masks.where(masks > 0, -100)), validation=0.0, test=0.0)
    assert torch.equal(left_out.train.labels() == IGNORED, masks == 0)
    black_white = load_data(((pictures * 255).byte().numpy(), ((masks > 1) * 255).byte().numpy()))
    assert set(black_white.train.labels().unique().tolist()) == {0, 1}
    pairs = load_data(torch.utils.data.TensorDataset(pictures, masks))
    assert torch.equal(pairs.train.labels(), data.train.labels())


def test_other_targets_of_pictures_stay_what_they_were() -> None:
    pictures = torch.rand(20, 1, 6, 6)
    assert load_data((pictures, torch.arange(20) % 3)).schema.target.kind == "class"
    assert load_data((pictures, torch.rand(20, 6, 6))).schema.target.kind == "number"
    assert load_data((torch.randn(20, 7, 3), torch.randint(0, 3, (20, 7)))).schema.target.kind == "class"


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (
            torch.zeros(9, 5, 5, dtype=torch.int64),
            r"targets of shape \(9, 5, 5\) are no masks of inputs \(9, 1, 6, 6\)",
        ),
        (torch.full((9, 6, 6), -1).index_fill(0, torch.tensor([0]), 1), "codes from -1 to 1; expected 0 to 254"),
        (torch.full((9, 6, 6), 300), "codes from 300 to 300"),
        (torch.ones(9, 6, 6, dtype=torch.int64), "the class 1 only"),
    ],
)
def test_arrays_that_are_no_masks_end_in_one_line(masks: torch.Tensor, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_data((torch.rand(9, 1, 6, 6), masks))


SHAPE = (1, 16, 14)


@pytest.mark.parametrize(
    "name", ["flip", {"flip": "vertical"}, "rotate", {"rotate": 90}, "crop", "resized-crop",
             {"crop": {"padding": 3, "fill": "edge"}}, {"crop": {"padding": 3, "fill": "reflect"}}],
    ids=str,
)  # fmt: skip
def test_masks_move_with_their_pictures(name: object) -> None:
    """Of a picture that is its own mask, no pixel is the opposite: its neighbour has a quarter of the colour."""
    index = torch.arange(64)
    masks = torch.zeros(64, *SHAPE[1:], dtype=torch.uint8)
    masks[:, 3:9, 2:6], masks[:, 10:15, 5:12] = 9, 9
    augment = build_augment([name], input_shape=SHAPE, masks=True)
    moved = augment.moved(masks, index, 2, 1)
    pictures = augment.images(masks[:, None] / 9.0, index, 2, 1)[:, 0]
    known = moved != IGNORED
    assert moved.dtype == torch.uint8 and not torch.equal(moved, masks)
    assert set(moved.unique().tolist()) <= {0, 9, IGNORED}, "the nearest neighbour makes no new class"
    distance = (pictures - moved.float() / 9).abs()[known]
    assert float(distance.max()) < 0.76 and float(distance.mean()) < 0.1 and float(known.float().mean()) > 0.6
    other = augment.moved(masks, index, 3, 1)
    apart_from_it = (pictures - other.float() / 9).abs()[other != IGNORED]
    assert float(apart_from_it.mean()) > 1.2 * float(distance.mean()), "other chances, another place"


def test_what_comes_in_from_outside_is_ignored() -> None:
    augment = build_augment([{"crop": {"padding": 4}}], input_shape=SHAPE, masks=True)
    masks = torch.ones(30, *SHAPE[1:], dtype=torch.uint8)
    moved = augment.moved(masks, torch.arange(30), 0, 0)
    black = augment.images(masks[:, None].float(), torch.arange(30), 0, 0)[:, 0] == 0
    assert bool(black.any()) and torch.equal(moved == IGNORED, black)


@pytest.mark.parametrize("name", ["brightness", "contrast", "noise", "erase"])
def test_light_leaves_masks_alone(name: str) -> None:
    augment = build_augment([name], input_shape=SHAPE, masks=True)
    masks = torch.randint(0, 3, (9, *SHAPE[1:]), dtype=torch.uint8)
    assert torch.equal(augment.moved(masks, torch.arange(9), 0, 0), masks)


def test_cutmix_pastes_the_mask_with_the_picture_and_mixup_is_refused() -> None:
    augment = build_augment(["cutmix"], input_shape=SHAPE, num_classes=50, masks=True)
    masks = torch.arange(50)[:, None, None].expand(-1, *SHAPE[1:])
    pictures, pasted = augment.mix(masks[:, None].float(), masks, torch.arange(50), 0, 0)
    assert torch.equal(pictures[:, 0].long(), pasted) and pasted.dtype == torch.int64
    assert 0.2 < float((pasted != masks).float().mean()) < 0.8
    with pytest.raises(ConfigError, match=r"augment\[0\]\.mixup blends targets.*use cutmix"):
        build_augment(["mixup"], input_shape=SHAPE, masks=True)


def test_a_change_of_places_that_says_nothing_of_masks_is_refused() -> None:
    class Mirror(ImageAugmentation):
        def __call__(self, x_BCHW: torch.Tensor, draws: Draws) -> torch.Tensor:
            return x_BCHW.flip(3)

    with pytest.raises(ConfigError, match=r"Mirror does not say what becomes of masks; .* Geometric"):
        Mirror().on_masks(torch.zeros(2, 4, 4), Draws(0, 0, torch.arange(2), 0))


def test_blocks_keep_neighbours_together_and_gaps_keep_parts_apart() -> None:
    pictures, masks = torch.rand(100, 1, 4, 4), torch.randint(0, 2, (100, 4, 4))
    data = load_data({"x": pictures, "y": masks, "split": {"by": "block", "block": 10, "gap": 2}})
    rows = {name: set(part.tolist()) for name, part in data.rows.items()}
    assert len(rows["validation"]) == len(rows["test"]) == 10
    for one, two in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert min(abs(a - b) for a in rows[one] for b in rows[two]) > 2
    assert 72 <= len(rows["train"]) <= 78 and "blocks of 10, 2 apart" in data.split["method"]
    with pytest.raises(ConfigError, match=r"data\.split\.gap=2 needs data\.split\.by: block"):
        load_data({"x": pictures, "y": masks, "split": {"gap": 2}})
    with pytest.raises(DataError, match=r"data\.split\.block=60 makes 2 blocks"):
        load_data({"x": pictures, "y": masks, "split": {"by": "block", "block": 60}})


def test_training_gives_way_to_the_held_out_parts() -> None:
    parts = {"train": torch.arange(0, 6), "validation": torch.arange(6, 9), "test": torch.arange(9, 12)}
    kept = apart(parts, 1)
    assert [part.tolist() for part in kept.values()] == [[0, 1, 2, 3, 4], [6, 7], [9, 10, 11]]


def test_new_data_are_read_by_the_classes_of_training(tmp_path: Path) -> None:
    data = load_data(folders(tmp_path / "old") | {"classes": ["a", "b", "c"]})
    new = load_like(folders(tmp_path / "new", 6, classes=2), data.schema)
    assert new.schema == data.schema and in_step(*new.tensors())
    with pytest.raises(DataError, match="class code 3 is outside the 3 classes"):
        load_like(folders(tmp_path / "other", 6, classes=4), data.schema)
    with pytest.raises(DataError, match="does not know the class 3"):
        codes = torch.arange(9 * 120).view(9, 12, 10) % 4
        load_like((torch.zeros(9, 1, 12, 10, dtype=torch.uint8), codes), data.schema)


def test_the_audit_finds_a_picture_that_stands_in_two_parts(tmp_path: Path) -> None:
    spec = folders(tmp_path)
    for place in range(1, 20):
        (tmp_path / "images" / f"{place:02d}.png").write_bytes((tmp_path / "images" / "00.png").read_bytes())
    for memory in (0, 1):
        assert {leak.where for leak in audit(load_data(spec | {"memory_gb": memory}))} >= {"train/test"}


def test_a_written_mask_is_read_back(tmp_path: Path) -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_mask(codes, tmp_path / "masks" / "1.png")
    assert np.array_equal(read_mask(tmp_path / "masks" / "1.png").numpy(), codes)
    assert len(set(colours(12))) == 12 and colours(12)[0] == (0, 0, 0)


def test_a_predicted_mask_comes_at_the_size_of_its_picture(tmp_path: Path) -> None:
    codes = np.array([[0, 1], [2, 3]], np.uint8)
    save(tmp_path / "a.png", np.zeros((4, 6), np.uint8))
    for picture in (tmp_path / "a.png", np.zeros((4, 6)), torch.zeros(3, 4, 6), np.zeros((4, 6, 3))):
        whole = whole_mask(codes, picture)
        assert whole.shape == (4, 6) and whole[0].tolist() == [0, 0, 0, 1, 1, 1] and whole[-1, -1] == 3


def test_the_brain_is_upright_and_split_by_blocks() -> None:
    pytest.importorskip("nibabel")
    if importlib.util.find_spec("nilearn") is None:  # which takes seconds to import
        pytest.skip("nilearn is not installed")
    data = load_data("mni152")
    assert data.schema.target.classes == ("background", "grey matter", "white matter")
    assert data.schema.input_shape == (1, 192, 160) and data.split["method"] == "official"
    rows = data.rows
    for one, two in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert int((rows[one][:, None] - rows[two][None]).abs().min()) > 3
    inputs, masks = data.train.tensors()
    light = [float(inputs[:, 0][masks == code].float().mean()) for code in range(3)]
    assert light[0] < light[1] < light[2], "white matter is the lightest on T1, grey matter less"
    sides = masks[:, :, :80].bool().sum() / masks[:, :, 80:].bool().sum()
    assert 0.95 < float(sides) < 1.05, "left and right are alike"


def test_the_brain_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingExtra, match=r"pip install 'netwright\[brain\]'"):
        load_data("mni152")


def test_a_grey_mask_may_carry_transparency(tmp_path: Path) -> None:
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for mode, channels in (("LA", 2), ("RGBA", 4)):
        pixels = np.repeat(codes[..., None], channels, axis=2)
        pixels[..., -1] = 255
        Image.fromarray(pixels, mode).save(tmp_path / "mask.png")
        assert np.array_equal(read_mask(tmp_path / "mask.png").numpy(), codes)


def test_pictures_of_several_sizes_get_the_median_of_all_of_them(tmp_path: Path) -> None:
    for place, side in enumerate((8, 8, 8, 8, 40, 60)):
        codes = np.eye(side, dtype=np.uint8)
        save(tmp_path / "images" / f"{place}.png", codes)
        save(tmp_path / "masks" / f"{place}.png", codes)
    assert load_data({"path": str(tmp_path)}).schema.input_shape == (1, 8, 8)


def test_255_is_the_second_class_of_two_only(tmp_path: Path) -> None:
    """New masks that happen to hold one class and ignored pixels are not black and white to a network of three."""
    data = load_data(folders(tmp_path / "old"))
    new = folders(tmp_path / "new", 3)
    for place in range(3):
        save(tmp_path / "new" / "masks" / f"{place:02d}.png", np.tri(12, 10, dtype=np.uint8) * 255)
    assert set(load_like(new, data.schema).labels().unique().tolist()) == {0, IGNORED}
    with pytest.raises(DataError, match="the class 0 only"):
        load_data(new | {"classes": ["a", "b", "c"]})


def test_a_name_for_two_codes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data.classes names 'a' twice"):
        load_data(folders(tmp_path) | {"classes": ["a", "b", "a"]})


@pytest.mark.parametrize("other", ["labels", "Annotations", None])
def test_folders_of_pictures_and_masks_are_not_taken_for_classes(other: str | None, tmp_path: Path) -> None:
    folders(tmp_path, 4)
    (tmp_path / "masks").rename(tmp_path / (other or ".elsewhere"))
    if other is None:
        (tmp_path / ".elsewhere").rename(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    with pytest.raises(DataError, match=r"holds the folder images and no classes; .*images, and data.masks"):
        load_data({"path": str(tmp_path)})


def test_masks_of_arrays_come_in_the_layouts_of_other_libraries() -> None:
    pictures, codes = torch.rand(12, 3, 4, 6), torch.arange(12 * 24).view(12, 4, 6) % 3
    shares = torch.nn.functional.one_hot(codes, 3)
    for masks in (codes, codes[:, None], codes[..., None].numpy(), shares, shares.movedim(3, 1).float()):
        data = load_data((pictures, masks), target_kind="class", validation=0, test=0)
        assert data.schema.target.kind == "mask" and torch.equal(data.train.labels().long(), codes)
    assert load_data((pictures, shares.movedim(3, 1).float()), test=0).schema.target.kind == "number"
