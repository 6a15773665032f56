"""A maximum beside a recurrent state: the same in any order, and one step after the other as all at once."""

import torch

from metarl.core.networks import apply, initial_parameters
from metarl.core.recurrent import GRU, SplitAggregator
from metarl.core.types import Params

B, L, X, H = 4, 9, 3, 7  # three of the outputs are maxima


def fresh() -> tuple[SplitAggregator, Params]:
    module = SplitAggregator(X, 0, H)
    random = torch.Generator().manual_seed(1)
    params = initial_parameters(module, random)
    return module, {
        name: value.double() + 0.3 * torch.randn(value.shape, generator=random) for name, value in params.items()
    }


def steps() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    mask = (torch.rand(B, L, generator=random) < 0.6).double()
    mask[0], mask[1] = 1, 0
    return torch.randn(B, L, X, generator=random).double(), mask


def test_a_sequence_is_a_loop_over_its_steps() -> None:
    module, params = fresh()
    x, mask = steps()
    start = torch.rand(B, H, generator=torch.Generator().manual_seed(3)).double()
    said, last = apply(module, params, x, start, mask)
    for b in range(B):
        state = start[b : b + 1]
        for t in range(L):
            if mask[b, t]:
                output, state = apply(module, params, x[b : b + 1, t], state)
                torch.testing.assert_close(output, state)
            torch.testing.assert_close(said[b, t], state[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(last[b], state[0], rtol=0, atol=1e-12)


def test_the_maximum_is_that_of_what_steps_say_alone_and_the_rest_a_gated_unit() -> None:
    module, params = fresh()
    x, mask = steps()
    said, _ = apply(module, params, x, torch.zeros(B, H).double(), mask)
    encoded = torch.relu(x @ params["encoding.weight"].T + params["encoding.bias"])
    for b in range(B):
        played = [t for t in range(L) if mask[b, t]]
        greatest = torch.stack([encoded[b, t] for t in played]).amax(dim=0) if played else torch.zeros(3)
        torch.testing.assert_close(said[b, -1, 4:], greatest.double())
    alone = {name.removeprefix("gru."): value for name, value in params.items() if name.startswith("gru.")}
    states, _ = apply(GRU(X, 4), alone, x, torch.zeros(B, 4).double(), mask)
    torch.testing.assert_close(said[..., :4], states)


def test_the_order_of_steps_changes_no_bit_of_the_maximum_and_all_of_the_rest() -> None:
    module, params = fresh()
    x, _ = steps()
    order = torch.randperm(L, generator=torch.Generator().manual_seed(4))
    ones, start = torch.ones(B, L).double(), torch.zeros(B, H).double()
    (_, straight), (_, mixed) = (apply(module, params, xs, start, ones) for xs in (x, x[:, order]))
    assert torch.equal(straight[:, 4:], mixed[:, 4:])
    assert (straight[:, :4] - mixed[:, :4]).abs().min() > 0
