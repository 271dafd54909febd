"""Healthy programs stay free of errors, and nearly of warnings; and the doctor leaves no trace on what it looked at."""

import copy

import healthy
import pytest
import torch

from netwright.doctor.check import check

# A warning is right here: the fault is mild, or cannot be told from the unusual.
ALLOWED = {"one_batch": set(), "least_squares_gan": {"not-shuffled"}}


@pytest.mark.parametrize("name", sorted(healthy.PROGRAMS))
def test_healthy_program(name: str) -> None:
    torch.manual_seed(0)
    findings = check(**healthy.PROGRAMS[name]())
    assert not [str(f) for f in findings if f.severity == "error" or f.fault == "internal"]
    assert not [str(f) for f in findings if f.severity == "warning" and f.fault not in ALLOWED.get(name, set())]


@pytest.mark.parametrize("name", ["batchnorm_resnet", "vae", "tied_language_model", "lstm"])
def test_nothing_is_changed(name: str) -> None:
    program = healthy.PROGRAMS[name]()
    net, optimizer = program["net"], program["optimizer"]
    program["loss"]((net(program["inputs"])), program["targets"]).backward()
    net.train()
    weights, grads = copy.deepcopy(net.state_dict()), [p.grad.clone() for p in net.parameters()]
    versions, modes = [p._version for p in net.parameters()], [m.training for m in net.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    random, groups = torch.get_rng_state(), copy.deepcopy(optimizer.state_dict())
    seen: list[object] = []
    net.register_forward_hook(lambda *_: seen.append(1))
    check(**program)
    assert torch.equal(random, torch.get_rng_state()) and not seen
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), net.state_dict().values(), strict=True))
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, net.parameters(), strict=True))
    assert versions == [p._version for p in net.parameters()] and modes == [m.training for m in net.modules()]
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()][1:] == hooks[1:]
    assert str(groups) == str(optimizer.state_dict())
