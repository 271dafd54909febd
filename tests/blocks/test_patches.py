"""Patch embedding and the resizing of position tables, against their definitions."""

import torch
from torch import nn

from netwright.blocks.patches import PatchEmbedding, resize_positions


def test_each_patch_is_a_linear_map_of_its_pixels() -> None:
    embed = PatchEmbedding(in_channels=3, hidden_size=5, patch_size=2)
    image = torch.randn(2, 3, 5, 6)
    out = embed(image)
    assert out.shape == (2, 2, 3, 5)
    matrix = embed.project.weight.flatten(1)
    for row, column in [(0, 0), (1, 2)]:
        pixels = image[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(1)
        torch.testing.assert_close(out[:, row, column], pixels @ matrix.T + embed.project.bias)


def test_a_fresh_embedding_keeps_the_scale() -> None:
    torch.manual_seed(0)
    out = PatchEmbedding(1, 256, 4)(torch.randn(8, 1, 28, 28))
    assert 0.8 < out.std() < 1.2


def test_a_table_of_the_same_side_is_left_alone() -> None:
    table = torch.randn(1 + 9, 4)
    torch.testing.assert_close(resize_positions(table, 3), table)


def test_a_larger_table_keeps_the_class_token_and_the_plane() -> None:
    """Away from the border, which it repeats, bicubic interpolation gives a plane back within a twentieth of a step."""
    down, right = torch.meshgrid(torch.arange(6.0), torch.arange(6.0), indexing="ij")
    table = torch.cat((torch.full((1, 2), 77.0), torch.stack((down, right), dim=-1).flatten(0, 1)))
    big = resize_positions(table, 12)
    assert big.shape == (145, 2)
    assert torch.equal(big[0], table[0])
    grid = big[1:].unflatten(0, (12, 12))
    place = (torch.arange(12.0) + 0.5) / 2 - 0.5
    torch.testing.assert_close(grid[4:8, 3, 0], place[4:8], rtol=0, atol=0.05)
    torch.testing.assert_close(grid[5, 4:8, 1], place[4:8], rtol=0, atol=0.05)


def test_it_is_a_part_of_a_network() -> None:
    assert isinstance(PatchEmbedding(1, 2, 2), nn.Module)
    assert {name for name, _ in PatchEmbedding(1, 2, 2).named_parameters()} == {"project.weight", "project.bias"}
