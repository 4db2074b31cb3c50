"""What a run is asked for, once every name in its options has been looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.api import Dataset
from bench.core import config
from bench.core.apart import Faulty
from bench.core.config import Value
from bench.core.errors import BenchError, Mistakes
from bench.core.precision import FULL, Precision
from bench.core.registry import Registry
from bench.core.storage import PLAIN, Storage
from bench.data.no_data import NoData
from bench.data.spec import dataset_name, parse_dataset
from bench.plugins import Registries
from bench.running.asking import ask
from bench.running.options.kinds import Overrides, merged
from bench.running.options.options import JudgedOn, RunOptions


@dataclass(frozen=True)
class Request:
    """What a user asked for.

    Attributes:
        methods: names, in the order of the table's first appearance.
        datasets: parsed datasets.
        ipcs, seeds, settings: the axes; settings as the user wrote them.
        profile: a profile's name, or None for each dataset's default.
        overrides: method name to hyper-parameters given by the user.
        judged_on: the split to test on.
        protocol: a protocol's name, or None for the profile's.
        budgets: bytes that a set may take, in the place of ``ipcs``; each method then stores as many clips a class as fit.
        storages: how float tensors are stored; what a method stores as uint8 pixels is the same in each.
        nets: networks to train on each set, or none for the profile's.
        precision: in which number format networks compute.
        controls: whether each learned method's start is run beside it.
    """

    methods: tuple[str, ...]
    datasets: tuple[Dataset[Any], ...]
    ipcs: tuple[int, ...]
    seeds: tuple[int, ...]
    settings: tuple[str, ...]
    profile: str | None
    overrides: Mapping[str, Mapping[str, Value]]
    judged_on: JudgedOn = "test"
    protocol: str | None = None
    budgets: tuple[int, ...] = ()
    storages: tuple[Storage, ...] = (PLAIN,)
    nets: tuple[str, ...] = ()
    precision: Precision = FULL
    controls: bool = False
    probes: bool = True


def make_request(options: RunOptions, registries: Registries, mistakes: Mistakes) -> Request:
    """What is asked for, as far as it is right; what is wrong goes to ``mistakes``."""
    if options.protocol is not None:
        mistakes.attempt(registries.protocols.get, options.protocol)
    profile = None if options.profile is None else mistakes.attempt(registries.profiles.get, options.profile)
    _check_together(options, mistakes)
    methods = _methods(options, registries, mistakes)
    return Request(
        methods=methods,
        datasets=_datasets(options, registries, mistakes),
        ipcs=options.ipc or (1,),
        seeds=options.seeds or (0,),
        settings=options.settings or ("dense",),
        profile=None if profile is None else profile.name,
        overrides=merged(_starts(options, registries, methods, mistakes), _overrides(options, methods)),
        judged_on=options.judge_on,
        protocol=options.protocol,
        budgets=options.budget or (),
        storages=options.storage,
        nets=() if options.nets is None else _networks(options.nets, registries, mistakes),
        precision=options.precision,
        controls=options.controls,
        probes=options.probes,
    )


def networks(names: Sequence[str], registries: Registries) -> tuple[str, ...]:
    """The networks of these names, each once; all of them for ``all``.

    Raises:
        BenchError: none, or unknown ones.
    """
    mistakes = Mistakes()
    found = _networks(names, registries, mistakes)
    mistakes.tell()
    return found


def _check_together(options: RunOptions, mistakes: Mistakes) -> None:
    """Refuses options that exclude each other."""
    if options.tune_budget is not None and not options.tune:
        mistakes.add(BenchError("--tune-budget: it is the budget of --tune, which is not given"))
    if options.tune and options.judge_on != "test":
        mistakes.add(
            BenchError(
                "--tune: with --judge-on validation the values would be judged on the clips that chose them; "
                "leave one of the two out"
            )
        )
    if options.budget is not None and options.ipc is not None:
        mistakes.add(
            BenchError("--budget: --ipc is given too; clips per class follow from the bytes, leave one of the two out")
        )


def _methods(options: RunOptions, registries: Registries, mistakes: Mistakes) -> tuple[str, ...]:
    by_bytes = options.budget is not None
    ordinary = [name for name, method in registries.methods if method.in_all or (by_bytes and method.fills_budget)]
    groups = {"all": ordinary, "everything": registries.methods.names()}
    return _known(options.methods, "--methods", registries.methods, groups, mistakes)


def _networks(names: Sequence[str], registries: Registries, mistakes: Mistakes) -> tuple[str, ...]:
    return _known(names, "--nets", registries.networks, {"all": registries.networks.names()}, mistakes)


def _known(
    names: Sequence[str], option: str, registry: Registry[Any], groups: Mapping[str, Sequence[str]], mistakes: Mistakes
) -> tuple[str, ...]:
    """The names that are registered, each once; the name of a group, alone, stands for several."""
    if len(names) == 1 and names[0] in groups:
        return tuple(groups[names[0]])
    if not names:
        mistakes.add(BenchError(f"{option}: none given (valid: {', '.join([*groups, *registry.names()])})"))
    return tuple(name for name in dict.fromkeys(names) if mistakes.attempt(registry.get, name) is not None)


def _datasets(options: RunOptions, registries: Registries, mistakes: Mistakes) -> tuple[Dataset[Any], ...]:
    if not options.datasets:
        mistakes.add(BenchError(f"--datasets: none given (valid: {', '.join(registries.datasets.names())})"))
    datasets = [
        mistakes.attempt(_dataset, registries, text, options.root, options.stand_in) for text in options.datasets
    ]
    return tuple(dataset for dataset in datasets if dataset is not None)


def _dataset(registries: Registries, text: str, root: str | None, stand_in: bool) -> Dataset[Any]:
    """The dataset that a text names; one without clips if a plugin fails to make it.

    Raises:
        BenchError: there is no such dataset, or nothing can stand in for it.
    """
    name = dataset_name(text)
    if name not in registries.datasets.names():
        return parse_dataset(text, registries, root)  # says what is wrong
    try:
        return ask(registries, registries.plugin_modules(dataset=name), _opened, text, root, stand_in)
    except Faulty as error:
        return NoData(registries.datasets.get(name), error.fault)


def _opened(registries: Registries, text: str, root: str | None, in_its_place: bool) -> Dataset[Any]:
    dataset = parse_dataset(text, registries, root)
    if not in_its_place:
        return dataset
    from bench.data.standin import stand_in

    return stand_in(dataset)


def _overrides(options: RunOptions, methods: Sequence[str]) -> Overrides:
    of_file = {name: fields for name, fields in options.set_if_run.items() if name in methods}
    return merged(of_file, options.set)


def _starts(options: RunOptions, registries: Registries, methods: Sequence[str], mistakes: Mistakes) -> Overrides:
    """``--start`` as a hyper-parameter of each method that has the choice."""
    if options.start is None:
        return {}
    able = [name for name, method in registries.methods if config.offers(method.Config, "start", options.start)]
    if not set(able) & set(methods):
        mistakes.add(
            BenchError(f"--start {options.start}: none of the methods has the choice (these have: {', '.join(able)})")
        )
    return {name: {"start": options.start} for name in methods if name in able}
