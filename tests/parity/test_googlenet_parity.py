"""GoogLeNet held to torchvision's with the same random weights, its auxiliary heads in training too."""

from pathlib import Path
from typing import Any

import pytest
import torch
from references import TOLERANCE, difference, perturbed, torchvision
from torch import Tensor, nn

from netwright.blocks.heads import AuxiliaryLogits
from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.weights.googlenet import LAYOUTS
from netwright.models.weights.loading import load_pretrained, pretrained

LAYOUT = LAYOUTS[0]


def _reference(aux_logits: bool = True, **more: Any) -> nn.Module:
    options = {"num_classes": 7, "init_weights": False, **more}
    return perturbed(torchvision().models.GoogLeNet(aux_logits=aux_logits, **options))


def _ours(theirs: nn.Module, **more: Any) -> nn.Module:
    tensors = theirs.state_dict()
    assert LAYOUT.identify(tensors, {}) == "googlenet"
    ours = build("googlenet", **{**LAYOUT.sizes(tensors, {}), **more})
    ours.load_state_dict(LAYOUT.rename(tensors))
    return ours


def _images(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(15, 15), (64, 97), (224, 224)])
def test_evaluation(size: tuple[int, int]) -> None:
    theirs = _reference(aux_logits=False)
    x = _images(2, 3, *size)
    with torch.no_grad():
        assert difference(_ours(theirs).eval()(x), theirs.eval()(x)) <= TOLERANCE


def test_weights_with_auxiliary_heads_fit_with_and_without() -> None:
    theirs = _reference()
    x = _images(2, 3, 64, 64)
    with torch.no_grad():
        wanted = theirs.eval()(x)
        for auxiliary in (False, True):
            ours = _ours(theirs, auxiliary=auxiliary)
            assert difference(ours.eval()(x), wanted) <= TOLERANCE
            assert isinstance(ours.train()(x), AuxiliaryLogits if auxiliary else Tensor)
    with pytest.raises(RuntimeError, match="auxiliary"):  # they are not invented where the file has none
        _ours(_reference(aux_logits=False), auxiliary=True)


def test_a_training_step_with_auxiliary_heads() -> None:
    theirs = _reference(dropout=0.0, dropout_aux=0.0).train()
    ours = _ours(theirs, auxiliary=True, dropout=0.0, auxiliary_dropout=0.0).train()
    x, targets = _images(4, 3, 64, 64), torch.tensor([0, 3, 6, 2])
    said, reference = ours(x), theirs(x)
    assert difference(said.logits, reference.logits) <= TOLERANCE
    assert difference(said.auxiliary[0], reference.aux_logits1) <= TOLERANCE
    assert difference(said.auxiliary[1], reference.aux_logits2) <= TOLERANCE
    loss = nn.functional.cross_entropy
    (loss(said.logits, targets) + said.weight * sum(loss(aside, targets) for aside in said.auxiliary)).backward()
    aside = loss(reference.aux_logits1, targets) + loss(reference.aux_logits2, targets)
    (loss(reference.logits, targets) + 0.3 * aside).backward()
    assert difference(ours.lower.conv1.conv.weight.grad, theirs.conv1.conv.weight.grad) <= TOLERANCE
    for key, tensor in LAYOUT.rename(theirs.state_dict()).items():
        torch.testing.assert_close(ours.state_dict()[key], tensor, rtol=2e-5, atol=1e-6, msg=key)


def test_their_transform_of_the_input_is_preprocessing() -> None:
    """Pixels of 0..1 normalised to -1..1 give ours what torchvision's makes of its own normalisation."""
    theirs = _reference(aux_logits=False, transform_input=True).eval()
    pixels = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        wanted = theirs((pixels - mean) / deviation)
        assert difference(_ours(theirs).eval()((pixels - 0.5) / 0.5), wanted) <= TOLERANCE


def test_a_new_head_is_new_everywhere() -> None:
    net = build("googlenet", num_classes=4, auxiliary=True, width=0.125)
    net.reset_head(6)
    said = net.train()(_images(2, 3, 32, 32))
    assert [scores.shape for scores in (said.logits, *said.auxiliary)] == [(2, 6)] * 3
    (said.logits.sum() + sum(scores.sum() for scores in said.auxiliary)).backward()
    assert all(weight.grad is not None for weight in net.parameters())
    assert net.eval()(_images(2, 3, 32, 32)).shape == (2, 6)


def test_published_counts() -> None:
    with torch.device("meta"):
        plain, whole = build("googlenet"), build("googlenet", auxiliary=True)
    assert sum(weight.numel() for weight in plain.parameters()) == 6_624_904
    assert sum(weight.numel() for weight in whole.parameters()) == 13_004_888


@pytest.mark.parametrize(("stem", "least"), [("imagenet", 15), ("small", 4)])
def test_the_least_size_is_the_least(stem: str, least: int) -> None:
    net = build("googlenet", width=0.1, stem=stem, num_classes=3).eval()
    assert net(_images(1, 3, least, least)).shape == (1, 3)
    with pytest.raises(RuntimeError, match="too small"):
        net.lower(_images(1, 3, least - 1, least))
    with pytest.raises(ConfigError, match=f"pool3; use images of at least {least}x{least}"):
        net(_images(1, 3, least - 1, least))


def test_load_pretrained_passes_over_auxiliary_heads(tmp_path: Path) -> None:
    theirs = _reference()
    torch.save(theirs.state_dict(), tmp_path / "googlenet.pth")
    found = pretrained("googlenet", tmp_path / "googlenet.pth", {})
    assert found.normalisation == ([0.5] * 3, [0.5] * 3), "the published weights want pixels of -1..1"
    assert not found.network.auxiliary
    whole = load_pretrained("googlenet", tmp_path / "googlenet.pth", auxiliary=True)
    x = _images(2, 3, 32, 32)
    with torch.no_grad():
        for net in (found.network.eval(), whole):
            assert difference(net(x), theirs.eval()(x)) <= TOLERANCE
        assert len(whole.train()(x).auxiliary) == 2
