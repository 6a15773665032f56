"""The convolutional network against torch's own layers, and tasks at once against one after the other."""

from typing import Any

import torch
from support.problems import generator, relative_difference
from torch.func import functional_call, grad
from torch.nn import functional

from metarl.algorithms import config_class, make_algorithm
from metarl.core.networks import initial_parameters
from metarl.core.types import FewShot, Labelled, Params
from metarl.fewshot.models import ConvolutionalNetwork, ConvolutionBlock, batch_norm
from metarl.fewshot.problem import Problem
from metarl.runtime.randomness import Address

N, B, CLASSES = 3, 6, 3


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def test_batch_norm_is_torchs_with_the_batchs_own_statistics() -> None:
    x, gain, bias = 3 + 2 * random(5, 4, 3, 7), random(7, seed=1), random(7, seed=2)
    channels_second = functional.batch_norm(x.permute(0, 3, 1, 2), None, None, gain, bias, training=True)
    assert torch.allclose(batch_norm(x, gain, bias), channels_second.permute(0, 2, 3, 1))


def test_a_block_is_torchs_convolution_of_stride_2_with_normalisation() -> None:
    for size in (28, 14, 7):  # odd and even
        block = ConvolutionBlock(2, 5).double()
        params = {"weight": random(5, 2, 3, 3), "gain": random(5, seed=1), "bias": random(5, seed=2)}
        x = random(4, size, size, 2, seed=3)
        convolved = functional.conv2d(x.permute(0, 3, 1, 2), params["weight"], stride=2, padding=1)
        normalised = functional.batch_norm(convolved, None, None, params["gain"], params["bias"], training=True)
        expected = normalised.relu().permute(0, 2, 3, 1)
        assert torch.allclose(functional_call(block, params, (x,)), expected)


def test_an_empty_context_leaves_the_network_as_it_is_and_a_full_one_does_not() -> None:
    network = ConvolutionalNetwork(1, CLASSES, 4, context_size=2)
    params = initial_parameters(network, generator(0))
    plain = {name: value for name, value in params.items() if not name.startswith(("context", "film"))}
    x = torch.rand(B, 28, 28, 1, generator=generator(1))
    assert torch.equal(
        functional_call(network, params, (x,)), functional_call(ConvolutionalNetwork(1, CLASSES, 4), plain, (x,))
    )
    full = {**params, "context": torch.ones(2)}
    assert not torch.allclose(functional_call(network, params, (x,)), functional_call(network, full, (x,)), atol=1e-3)


def test_a_second_order_step_of_all_tasks_is_the_mean_of_one_after_the_other() -> None:
    config = config_class("maml", labelled=True)(filters=4, inner_lr=0.4)
    learner: Any = make_algorithm("maml", config, Problem((28, 28, 1), CLASSES, True), torch.device("cpu"))

    def loss(meta: Params, task: FewShot) -> torch.Tensor:
        return learner.learned.judge(learner.inner.trail(meta, (task.support,)), task.query)[0]

    meta = {name: value.double() for name, value in learner.initial_state(Address(0))["model"].items()}
    targets = torch.arange(B).remainder(CLASSES).expand(N, B)
    tasks = FewShot(*(Labelled(random(N, B, 28, 28, 1, seed=seed), targets) for seed in (1, 2)))
    gradient, (_, scores) = learner.inner.meta_gradient(learner.learned.judge, meta, (tasks.support,), tasks.query)
    for name in meta:
        alone = []
        for n in range(N):
            task = FewShot(*(Labelled(*(field[n] for field in side)) for side in tasks))
            alone.append(grad(loss)(meta, task)[name])
        assert relative_difference(gradient[name], torch.stack(alone).mean(dim=0)) < 1e-9, name
    assert scores["loss"].shape == scores["accuracy"].shape == (N, 2)


def test_answers_depend_on_what_else_is_asked() -> None:
    # Batch statistics are transductive: an image gets another answer beside other images, and alone another one.
    network = ConvolutionalNetwork(1, CLASSES, 4)
    params, images = initial_parameters(network, generator(0)), torch.rand(B, 28, 28, 1, generator=generator(1))
    beside, others, alone = (
        functional_call(network, params, (x,))[0] for x in (images[:4], images[[0, 4, 5]], images[:1])
    )
    assert (beside - others).abs().max() > 1e-3 and (beside - alone).abs().max() > 1e-3
