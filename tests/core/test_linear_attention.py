"""Linear attention against sums over notes, written out; steps against sequences; what it forgets and what not."""

import pytest
import torch

from metarl.core import linear_attention
from metarl.core.linear_attention import HEADS, SHARPNESS, LinearAttention
from metarl.core.networks import apply, initial_parameters
from metarl.core.types import Params
from metarl.runtime.randomness import Address

B, L, X, H = 5, 11, 3, 16
D = H // HEADS


def fresh(embedding_size: int = 6) -> tuple[LinearAttention, Params]:
    """A core in double precision, with biases."""
    module = LinearAttention(X, embedding_size, H)
    params = initial_parameters(module, Address(0).torch_generator())
    random = torch.Generator().manual_seed(1)
    return module, {
        name: value.double() + 0.3 * torch.randn(value.shape, generator=random) for name, value in params.items()
    }


def sequences() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs, and masks with gaps anywhere; all steps, none, and the last one alone."""
    random = torch.Generator().manual_seed(2)
    x, mask = torch.randn(B, L, X, generator=random).double(), (torch.rand(B, L, generator=random) < 0.6).double()
    mask[0], mask[1], mask[2] = 1, 0, torch.eye(L)[-1]
    return x, mask


def written_out(params: Params, steps: torch.Tensor, size: int) -> torch.Tensor:
    """What is said after the last of the steps `[L, X]`, from the definition: sums over all notes, head by head."""

    def layer(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ params[f"{name}.weight"].T + params[f"{name}.bias"]

    embedded = torch.relu(layer("embedding.0", steps)) if size else steps
    averages, trusts = [], []
    for head in range(HEADS):
        own = slice(head * D, (head + 1) * D)
        query = torch.softmax(SHARPNESS * layer("query", steps[-1])[own], dim=0)
        keys, values = torch.softmax(SHARPNESS * layer("key", steps)[:, own], dim=1), layer("value", embedded)[:, own]
        weights = [float(query @ key) for key in keys]
        total = sum(weight * value for weight, value in zip(weights, values, strict=True))
        averages.append(total / (sum(weights) + 1 / D))
        trusts.append(sum(weights) / (1 + sum(weights)))
    seen = torch.cat([*averages, torch.tensor(trusts, dtype=torch.float64), embedded[-1]])
    return torch.relu(layer("output", seen))


@pytest.mark.parametrize("at_once", [1, 4, 128])
@pytest.mark.parametrize("size", [0, 6])
def test_a_sequence_says_after_each_step_what_its_notes_add_up_to(
    size: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_attention, "STEPS_AT_ONCE", at_once)
    module, params = fresh(size)
    x, mask = sequences()
    said, table = apply(module, params, x, torch.zeros(B, module.state_size).double(), mask)
    assert said.shape == (B, L, H) and table.shape == (B, module.state_size)
    checked = 0
    for b in range(B):
        for t in range(L):
            if mask[b, t]:  # what is said at a step that was not played is of no use
                played = x[b, : t + 1][mask[b, : t + 1] > 0]
                torch.testing.assert_close(said[b, t], written_out(params, played, size), rtol=0, atol=1e-12)
                checked += 1
    assert checked == mask.sum()
    assert not table[1].any()  # nothing was noted


@pytest.mark.parametrize("size", [0, 6])
def test_steps_are_a_sequence_and_a_table_is_all_that_goes_on(size: int) -> None:
    module, params = fresh(size)
    x, _ = sequences()
    random = torch.Generator().manual_seed(3)
    start, whole = torch.rand(B, module.state_size, generator=random).double(), torch.ones(B, L).double()
    said, last = apply(module, params, x, start, whole)
    table = start
    for t in range(L):
        now, table = apply(module, params, x[:, t], table)
        torch.testing.assert_close(now, said[:, t], rtol=0, atol=1e-12)
    torch.testing.assert_close(table, last, rtol=0, atol=1e-12)
    first, between = apply(module, params, x[:, :4], start, whole[:, :4])
    second, end = apply(module, params, x[:, 4:], between, whole[:, 4:])
    torch.testing.assert_close(torch.cat([first, second], dim=1), said, rtol=0, atol=1e-12)
    torch.testing.assert_close(end, last, rtol=0, atol=1e-12)


def test_what_was_not_played_reaches_nothing_later() -> None:
    module, params = fresh()
    x, mask = sequences()
    x.requires_grad_()
    said, table = apply(module, params, x, torch.zeros(B, module.state_size).double(), mask)
    (said * mask[..., None]).sum().backward(retain_graph=True)
    assert x.grad is not None and ((x.grad.abs().sum(dim=2) > 0) == (mask > 0)).all()
    x.grad = None
    table.sum().backward()
    assert ((x.grad.abs().sum(dim=2) > 0) == (mask > 0)).all()


def test_notes_of_one_key_do_not_change_what_is_read_of_another() -> None:
    # Keys and queries by hand: input i has key i and asks for key i, and is its own value in the first head.
    module = LinearAttention(2, 0, HEADS * 2)
    params = {name: torch.zeros_like(value) for name, value in module.named_parameters()}
    for name in ("query.weight", "key.weight"):
        params[name][:2] = 100 * torch.eye(2)
    params["value.weight"][:2] = torch.eye(2)
    params["output.weight"][:2, :2] = torch.eye(2)
    a, b = torch.eye(2).split(1)
    _, once = apply(module, params, a, torch.zeros(1, module.state_size))
    _, then = apply(module, params, b, once)
    for table in (once, then):
        said, _ = apply(module, params, a, table)
        torch.testing.assert_close(said[0, :2], torch.tensor([2 / 2.5, 0]))  # two notes of 1, an empty one of 1/2
