"""The recurrent unit against its equations, written step by step; and the streams that it reads."""

from unittest import mock

import pytest
import torch

from metarl.core.networks import apply, initial_parameters
from metarl.core.parts import part_of
from metarl.core.recurrent import GRU, EmbeddedGRU, of_previous_step, streams
from metarl.core.types import Params, Rollout, Trial
from metarl.runtime.randomness import Address

B, L, X, H = 5, 9, 3, 4


def fresh(address: int = 0) -> tuple[GRU, Params]:
    """A unit in double precision, with biases."""
    module = GRU(X, H)
    params = initial_parameters(module, Address(address).torch_generator())
    random = torch.Generator().manual_seed(1)
    return module, {
        name: value.double() + 0.3 * torch.randn(value.shape, generator=random) for name, value in params.items()
    }


def written_out(params: Params, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Cho et al. 2014, eqs. 5-8, with the state's bias inside the reset gate's product."""
    reset, update, candidate = (x @ params["weight_input"].T + params["bias_input"]).split(H)
    reset_h, update_h, candidate_h = (h @ params["weight_hidden"].T + params["bias_hidden"]).split(H)
    r, z = torch.sigmoid(reset + reset_h), torch.sigmoid(update + update_h)
    return (1 - z) * torch.tanh(candidate + r * candidate_h) + z * h


def random_masks() -> torch.Tensor:
    """Gaps anywhere; all steps, none, and the last one alone."""
    mask = (torch.rand(B, L, generator=torch.Generator().manual_seed(2)) < 0.6).double()
    mask[0], mask[1], mask[2] = 1, 0, torch.eye(L)[-1]
    return mask


@pytest.mark.parametrize("grad", [True, False])
def test_a_sequence_is_called_for_training_where_it_is_differentiated(grad: bool) -> None:
    # What cuDNN demands: without it, it keeps nothing for the derivative.
    module, params = fresh()
    with mock.patch.object(torch, "gru", wraps=torch.gru) as called, torch.set_grad_enabled(grad):
        sequence = torch.ones(B, L, X).double(), torch.zeros(B, H).double(), torch.ones(B, L)
        apply(module, params, *sequence)
        torch.func.grad(lambda some: apply(module, some, *sequence)[0].sum())(params)
    *_, dropout, train, _, _ = called.call_args_list[0].args
    assert train is grad and dropout == 0
    assert called.call_args_list[1].args[-3] is True


def test_a_step_is_the_units_equations() -> None:
    module, params = fresh()
    random = torch.Generator().manual_seed(3)
    x, h = torch.randn(B, X, generator=random).double(), torch.randn(B, H, generator=random).double()
    expected = torch.stack([written_out(params, x[b], h[b]) for b in range(B)])
    torch.testing.assert_close(apply(module, params, x, h)[0], expected, rtol=0, atol=1e-12)


def test_a_masked_sequence_is_a_loop_that_passes_over_what_was_not_played() -> None:
    module, params = fresh()
    random = torch.Generator().manual_seed(4)
    x, start = torch.randn(B, L, X, generator=random).double(), torch.randn(B, H, generator=random).double()
    mask = random_masks()
    states, last = apply(module, params, x, start, mask)
    for b in range(B):
        h = start[b]
        for t in range(L):
            h = written_out(params, x[b, t], h) if mask[b, t] else h
            torch.testing.assert_close(states[b, t], h, rtol=0, atol=1e-12)
        torch.testing.assert_close(last[b], h, rtol=0, atol=1e-12)


def test_what_was_not_played_reaches_no_gradient() -> None:
    module, params = fresh()
    x = torch.randn(B, L, X, generator=torch.Generator().manual_seed(5)).double().requires_grad_()
    mask = random_masks()
    apply(module, params, x, torch.zeros(B, H).double(), mask)[0][:, -1].sum().backward()
    assert x.grad is not None
    assert ((x.grad.abs().sum(dim=2) > 0) == (mask > 0)).all()


def test_the_first_weights_come_from_the_generator_alone_and_are_orthogonal_from_the_state() -> None:
    module, size = GRU(X, H), (6 / (X + H)) ** 0.5  # Glorot & Bengio 2010, eq. 16, for each gate
    first, same, other = (initial_parameters(module, Address(key).torch_generator()) for key in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["weight_input"], other["weight_input"])
    assert 0.5 * size < first["weight_input"].abs().max() <= size
    assert not first["bias_input"].any() and not first["bias_hidden"].any()
    for gate in first["weight_hidden"].split(H):
        torch.testing.assert_close(gate @ gate.T, torch.eye(H))
    assert not torch.equal(*first["weight_hidden"].split(H)[:2])


@pytest.mark.parametrize("lane", range(B))
def test_the_previous_step_is_the_last_one_that_was_played(lane: int) -> None:
    mask = random_masks()
    values = torch.arange(1, B * L * 2 + 1).reshape(B, L, 2).double()
    found = of_previous_step(values, mask)[lane]
    last = torch.zeros(2).double()
    for t in range(L):
        assert torch.equal(found[t], last)
        if mask[lane, t]:
            last = values[lane, t]


def test_a_stream_is_a_lanes_rounds_in_order_and_empty_where_the_lane_diverged() -> None:
    N, E, T, K = 2, 3, 4, 3
    rollouts = []
    for k in range(K):
        # A number that says where it stands: round, task, lane, step.
        n, e, t = torch.meshgrid(torch.arange(N), torch.arange(E), torch.arange(T), indexing="ij")
        number = (1000.0 * k + 100 * n + 10 * e + t)[..., None]
        flags = torch.zeros(N, E, T, dtype=torch.bool)
        mask = torch.ones(N, E, T)
        mask[1, 0, 2:] = 0  # ends early
        scalar = number[..., 0]
        rollouts.append(Rollout(number, number, scalar, scalar, flags, flags, flags, mask, number))
    rollouts[1].mask[0, 2] = 0  # diverged in round 1: masked out there, by `collect`
    stream = streams(Trial(rollouts))
    assert stream.observation.shape == (N * E, K * T, 1)
    expected = [0, 1, 2, 3, 1000, 1001, 1002, 1003, 2000, 2001, 2002, 2003]
    for n in range(N):
        for e in range(E):
            assert stream.reward[n * E + e].tolist() == [100 * n + 10 * e + x for x in expected]
    assert stream.mask[3].tolist() == [1, 1, 0, 0] * 3
    assert stream.mask[2].tolist() == [0] * 12
    assert (stream.mask[[0, 1, 4, 5]] == 1).all()


def test_a_part_of_parameters_has_the_names_that_its_module_knows() -> None:
    one = torch.ones(())
    assert part_of({"gru.a": one, "gru2.a": 2 * one, "actor.gru.b": 3 * one}, "gru") == {"a": one}


def test_one_step_behind_a_layer_is_the_start_of_a_sequence() -> None:
    module = EmbeddedGRU(2, 3, 4)
    params = initial_parameters(module, Address(0).torch_generator())
    x = torch.randn(B, L, 2, generator=torch.Generator().manual_seed(4))
    start, mask = torch.zeros(B, 4), torch.ones(B, L)
    states, last = apply(module, params, x, start, mask)
    hidden = start
    for t in range(L):
        hidden, _ = apply(module, params, x[:, t], hidden)
        torch.testing.assert_close(states[:, t], hidden, rtol=0, atol=1e-6)
    assert torch.equal(last, states[:, -1])
