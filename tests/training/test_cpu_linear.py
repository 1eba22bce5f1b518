"""The layer's product with oneDNN is nn.Linear's, values and gradients, and nothing else of the layer differs."""

import copy

import pytest
import torch
from torch import nn

from xqa_lib.training import cpu_linear
from xqa_lib.training.cpu_linear import CpuLinear

pytestmark = pytest.mark.skipif(not cpu_linear.available(), reason="this PyTorch has no oneDNN product")


def layers(inputs=24, outputs=40, *, bias=True, seed=0):
    """(ordinary, ours) with equal weights."""
    torch.manual_seed(seed)
    ordinary = nn.Linear(inputs, outputs, bias=bias)
    ours = cpu_linear.use(nn.Sequential(copy.deepcopy(ordinary)))[0]
    assert type(ours) is CpuLinear
    return ordinary, ours


def gradients(layer, x, calls=1):
    """(output, gradients of the input and of the parameters) of the layer's use `calls` times on different inputs."""
    x = x.detach().clone().requires_grad_()
    output = sum(layer(x * (1 + call)) for call in range(calls))
    (output * torch.arange(output.numel()).view(output.shape).cos()).sum().backward()
    found = [x.grad, *(parameter.grad for parameter in layer.parameters())]
    layer.zero_grad()
    return output.detach(), found


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("calls", [1, 3])
@pytest.mark.parametrize(
    "x",
    [
        *(torch.randn(shape) for shape in [(7, 24), (2, 5, 24), (2, 3, 5, 24), (24,), (1, 24), (0, 24), (3, 0, 24)]),
        *(torch.randn(24, 7).t(), torch.randn(5, 2, 24).transpose(0, 1), torch.randn(1, 1, 24).expand(2, 5, 24)),
        torch.randn(6, 48)[::2, ::2],
    ],
    ids=lambda x: "x".join(map(str, x.shape)) + ("" if x.is_contiguous() else " strided"),
)
def test_values_and_gradients(x, bias, calls):
    ordinary, ours = layers(bias=bias)
    (expected, expected_gradients), (found, found_gradients) = gradients(ordinary, x, calls), gradients(ours, x, calls)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert found.shape == expected.shape
    assert len(found_gradients) == 2 + bias
    for ours_, expected_ in zip(found_gradients, expected_gradients, strict=True):
        torch.testing.assert_close(ours_, expected_, rtol=1e-5, atol=1e-5)


def test_gradients_only_where_they_are_wanted():
    _, ours = layers()
    ours.weight.requires_grad_(False)
    x = torch.randn(3, 24)
    ours(x).sum().backward()
    assert ours.weight.grad is None
    assert x.grad is None
    assert torch.equal(ours.bias.grad, torch.full((40,), 3.0))
    ours.bias.requires_grad_(False)
    assert not ours(x).requires_grad
    with torch.inference_mode():
        assert ours(x).shape == (3, 40)


def test_the_same_bits_twice():
    _, ours = layers(128, 512)
    x = torch.randn(50, 128)
    (first, first_gradients), (second, second_gradients) = gradients(ours, x), gradients(ours, x)
    assert torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(first_gradients, second_gradients, strict=True))


def test_the_product_is_used_where_it_fits_and_only_there(monkeypatch):
    ordinary, ours = layers()
    calls = []
    original = cpu_linear._product
    monkeypatch.setattr(cpu_linear, "_product", lambda *a: (calls.append(1), original(*a))[1])
    x = torch.randn(3, 24)
    ours(x)
    assert len(calls) == 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ours(x), ordinary(x))
    assert torch.equal(copy.deepcopy(ours).double()(x.double()), ordinary.double()(x.double()))
    assert copy.deepcopy(ours).to("meta")(x.to("meta")).device.type == "meta"
    assert len(calls) == 1


def test_layers_of_few_outputs_and_other_classes_stay():
    class Own(nn.Linear):
        pass

    model = nn.ModuleDict({"few": nn.Linear(8, cpu_linear.SMALLEST - 1), "own": Own(8, 99), "many": nn.Linear(8, 99)})
    assert [type(layer) for layer in cpu_linear.use(model).values()] == [nn.Linear, Own, CpuLinear]


def test_copies_and_state():
    ordinary, ours = layers()
    assert list(ours.state_dict()) == list(ordinary.state_dict())
    assert type(copy.deepcopy(ours)) is CpuLinear
    ordinary.load_state_dict(ours.state_dict())
    assert repr(ours).removeprefix("Cpu") == repr(ordinary)
