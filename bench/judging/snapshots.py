"""The state of a training under way as plain tensors, and back: what a checkpoint inside it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

_NETWORK, _OPTIMISER, _DRAWS = "network.", "optimiser.", "draws."


def snapshot(
    network: torch.nn.Module, optimiser: torch.optim.Optimizer, draws: Sequence[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Weights, buffers, what the optimiser remembers, and the states of all generators.

    Args:
        network, optimiser: see there; the optimiser's rates are no part of it.
        draws: states of generators, as ``get_state`` gives them, beside those that the network holds itself.
    """
    state = {_NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    for number, parameter in enumerate(_parameters(optimiser)):
        for name, value in optimiser.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):  # momentum that is not there yet is None
                state[f"{_OPTIMISER}{number}.{name}"] = value
    own = [generator.get_state() for generator in generators(network)]
    return state | {f"{_DRAWS}{number}": drawn for number, drawn in enumerate([*draws, *own])}


def restore(
    state: Mapping[str, torch.Tensor],
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    draws: Sequence[torch.Generator],
) -> None:
    """Puts everything back in place, of networks, optimisers and generators made like those of `snapshot`.

    Raises:
        KeyError, RuntimeError: the state is one of something else.
    """
    weights = {name.removeprefix(_NETWORK): value for name, value in state.items() if name.startswith(_NETWORK)}
    network.load_state_dict(weights)
    for number, parameter in enumerate(_parameters(optimiser)):
        prefix = f"{_OPTIMISER}{number}."
        remembered = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if remembered:
            optimiser.state[parameter] = {name: _like(parameter, name, value) for name, value in remembered.items()}
    for number, generator in enumerate([*draws, *generators(network)]):
        generator.set_state(state[f"{_DRAWS}{number}"].cpu())


def generators(network: torch.nn.Module) -> list[torch.Generator]:
    """The generators that a network draws from (dropout masks), each once, in definition order."""
    values = (value for module in network.modules() for value in vars(module).values())
    drawn_from = [value for value in values if isinstance(value, torch.Generator)]
    return list({id(generator): generator for generator in drawn_from}.values())


def _parameters(optimiser: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    for group in optimiser.param_groups:
        yield from group["params"]


def _like(parameter: torch.Tensor, name: str, value: torch.Tensor) -> torch.Tensor:
    """A remembered tensor where an unbroken run has it: counters on the CPU, others laid out in memory as the parameter.

    Sums over another layout may round differently in the last digit.
    """
    if name == "step":
        return value.cpu()
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
