"""A transformer's cache against whole sequences, and these against attention written out; what a cache never does."""

import math

import pytest
import torch

from metarl.core import transformer
from metarl.core.networks import apply, initial_parameters
from metarl.core.transformer import Cache, Transformer
from metarl.core.types import Params

B, L, X, H = 5, 23, 3, 32  # two heads


def fresh(window: int = 0, embedding_size: int = 6) -> tuple[Transformer, Params]:
    """A core that hangs on its past."""
    module = Transformer(X, embedding_size, H, 2, window)
    random = torch.Generator().manual_seed(1)
    params = initial_parameters(module, random)
    return module, {name: x + 0.2 * torch.randn(x.shape, generator=random) for name, x in params.items()}


def steps() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs, and masks with gaps anywhere; all steps, none, and the last one alone."""
    random = torch.Generator().manual_seed(2)
    mask = (torch.rand(B, L, generator=random) < 0.6).float()
    mask[0], mask[1], mask[2] = 1, 0, torch.eye(L)[-1]
    return torch.randn(B, L, X, generator=random), mask


def whole(module: Transformer, params: Params, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    said: torch.Tensor = apply(module, params, x, torch.zeros(len(x), 0), mask)[0]
    return said


@torch.no_grad()
def one_by_one(module: Transformer, params: Params, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    cache, said = module.begin(len(x)), []
    for t in range(x.shape[1]):
        output, cache = apply(module, params, x[:, t], cache, mask[:, t])
        said.append(output)
    return torch.stack(said, dim=1)


@pytest.mark.parametrize("room", [1, 8, 64])
@pytest.mark.parametrize("window", [0, 1, 2, 5, 40])
def test_the_cache_says_what_the_whole_sequence_does(window: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformer, "FIRST_ROOM", room)
    module, params = fresh(window)
    x, mask = steps()
    sequence, cached = whole(module, params, x, mask), one_by_one(module, params, x, mask)
    played = mask > 0
    assert (sequence - cached)[played].abs().max() < 1e-5
    assert sequence[played].std() > 0.5


def written_out(params: Params, x: torch.Tensor, window: int) -> torch.Tensor:
    """What is said after the last of the steps `[L, X]`: sums over the past, head by head and step by step."""

    def layer(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ params[f"{name}.weight"].T + params[f"{name}.bias"]

    def normal(name: str, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        spread = (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        return centred / spread * params[f"{name}.weight"] + params[f"{name}.bias"]

    h = layer("embedding.2", torch.relu(layer("embedding.0", x)))
    for block in ("blocks.0", "blocks.1"):
        query, key, value = layer(f"{block}.query_key_value", normal(f"{block}.before_attention", h)).split(H, dim=-1)
        read = torch.zeros_like(h)
        for head, slope in enumerate((2**-4, 2**-8)):  # Press et al. 2022: 2^(−8 m / M) of head m = 1 … M
            own = slice(16 * head, 16 * head + 16)
            for now in range(len(x)):
                past = range(max(0, now + 1 - window) if window else 0, now + 1)
                logits = [float(query[now, own] @ key[then, own]) / 4 - slope * (now - then) for then in past]
                total = sum(math.exp(logit) for logit in logits)
                for then, logit in zip(past, logits, strict=True):
                    read[now, own] += math.exp(logit) / total * value[then, own]
        h = h + layer(f"{block}.attended", read)
        h = h + layer(f"{block}.output", torch.relu(layer(f"{block}.units", normal(f"{block}.before_units", h))))
    return normal("last", h)[-1]


@pytest.mark.parametrize("window", [0, 3])
def test_what_is_said_is_attention_over_what_was_played(window: int) -> None:
    module, params = fresh(window)
    x, mask = steps()
    said = whole(module, params, x, mask)
    for b in range(B):
        played = [t for t in range(L) if mask[b, t]]
        for count, t in enumerate(played, start=1):
            if count in (1, 2, 5, len(played)):
                expected = written_out(params, x[b, played[:count]], window)
                torch.testing.assert_close(said[b, t], expected, rtol=0, atol=1e-5)
        waits = [t for t in range(1, L) if not mask[b, t]]
        assert all(torch.equal(said[b, t], said[b, t - 1]) for t in waits)
        assert mask[b, 0] or not said[b, 0].any()


def test_two_futures_of_a_cache_know_nothing_of_each_other() -> None:
    module, params = fresh()
    x, _ = steps()
    with torch.no_grad():

        def go_on(cache: Cache, inputs: torch.Tensor) -> tuple[torch.Tensor, Cache]:
            for t in range(inputs.shape[1]):
                said, cache = apply(module, params, inputs[:, t], cache, torch.ones(B))
            return said, cache

        _, start = go_on(module.begin(B), x[:, :5])
        first, one = go_on(start, x[:, 5:8])
        second, other = go_on(start, x[:, 8:11])
        assert torch.equal(go_on(start, x[:, 5:8])[0], first) and not torch.allclose(first, second)
        for cache, past in ((one, x[:, :8]), (other, torch.cat([x[:, :5], x[:, 8:11]], dim=1))):
            said, _ = go_on(cache, x[:, 11:13])
            everything = torch.cat([past, x[:, 11:13]], dim=1)
            expected = whole(module, params, everything, torch.ones(B, 10))[:, -1]
            torch.testing.assert_close(said, expected, rtol=0, atol=1e-5)


def test_a_cache_is_written_in_place_and_keeps_to_its_window() -> None:
    module, params = fresh(window=10)
    x, _ = steps()
    cache, turned = module.begin(B), 0
    with torch.no_grad():
        for t in range(200):
            before = cache.pages
            _, cache = apply(module, params, x[:, t % L], cache, torch.ones(B))
            turned += cache.pages is not before
            assert cache.pages.notes.shape[-2] == 20
    # 20 places are full before step 20; 9 notes go on to new pages, so again after 11 steps each: 20, 31, …, 196.
    assert turned == 17 and cache.steps.tolist() == [200] * B


def test_a_sequence_is_learned_from() -> None:
    # An output hangs on each step before it and on none after it: by its gradient.
    module, params = fresh()
    x, _ = steps()
    x = x.requires_grad_()
    (slope,) = torch.autograd.grad(whole(module, params, x, torch.ones(B, L))[:, 9].square().sum(), x)
    assert (slope[:, :10].abs().sum(dim=-1) > 0).all() and not slope[:, 10:].any()
