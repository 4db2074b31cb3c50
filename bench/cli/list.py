"""List methods, datasets, networks, protocols, profiles and settings, and where each comes from."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from tabulate import tabulate

from bench.cli.shared import add_plugin, load_parts
from bench.core import config, temporal
from bench.core.apart import Faulty
from bench.core.errors import BenchError
from bench.core.registry import Registry
from bench.core.text import first_paragraph
from bench.plugins import Registries
from bench.profiles import PAPER
from bench.running.asking import ask

SUMMARY = "list methods, datasets, networks, protocols, profiles or settings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``list``."""
    parser.add_argument("what", nargs="?", choices=(*_KINDS, "all"), default="all", help="which kind (default: all)")
    parser.add_argument("--verbose", action="store_true", help="also show hyper-parameters, their values and sources")
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the lists."""
    registries = load_parts(args.plugin)
    kinds = tuple(_KINDS) if args.what == "all" else (args.what,)
    for number, kind in enumerate(kinds):
        if number:
            print()
        print(f"{kind}:")
        _KINDS[kind](registries, args.verbose)
    return 0


def _methods(registries: Registries, verbose: bool) -> None:
    _print_registry(registries.methods)
    if not verbose:
        return
    for name, method in registries.methods:
        defaults = _defaults(registries, method.Config, registries.plugin_modules(method=name))
        if not method.presets and not defaults:
            continue
        print(f"\n{name}" + (f" ({method.paper})" if method.paper else ""))
        print(f"  defaults: {defaults}")
        if method.tuned:
            print(f"  --tune searches: {', '.join(method.tuned)}")
        for preset in method.presets:
            where = {"profile": preset.profile, "dataset": preset.dataset, "ipc": preset.ipc, "setting": preset.setting}
            conditions = _values({key: value for key, value in where.items() if value is not None}) or "everywhere"
            print(f"  {conditions}: {_values(dict(preset.values))}")
            lent = ("other datasets and IPCs take these if they have none",) * preset.lends
            print(f"    source: {'; '.join(filter(None, (preset.source, preset.note, *lent)))}")


def _datasets(registries: Registries, verbose: bool) -> None:
    _print_registry(registries.datasets)
    if verbose:
        for name, dataset in registries.datasets:
            options = _defaults(registries, dataset.Config, registries.plugin_modules(dataset=name))
            form = f"{name}:PATH" if dataset.takes_argument else name
            print(f"\n{form}" + (f"[{options}]" if options else "") + f"  (profile {dataset.default_profile})")


def _networks(registries: Registries, verbose: bool) -> None:
    _print_registry(registries.networks)


def _protocols(registries: Registries, verbose: bool) -> None:
    _print_registry(registries.protocols)
    if verbose:
        for name, protocol in registries.protocols:
            print(
                f"\n{name}/{protocol.version}: {protocol.networks} networks; {_values(config.as_dict(protocol.recipe))}"
            )


def _profiles(registries: Registries, verbose: bool) -> None:
    _print(
        [profile.name, profile.summary, f"network {profile.network}, protocol {profile.protocol}"]
        for _, profile in registries.profiles
    )


def _settings(registries: Registries, verbose: bool) -> None:
    """Prints the presets and the taxonomy for clips of the paper's length, and what each setting stores."""
    frames = PAPER.geometry.frames
    grid = temporal.taxonomy(frames)
    rows = dict.fromkeys(temporal.presets(frames).values(), "preset")
    rows |= {setting: f"taxonomy: {factor}" for factor, settings in grid.items() for setting in settings}
    rows[temporal.dense(frames)] = "taxonomy: centre"
    table = [
        [setting.label(frames), str(setting), setting.n_syn, setting.n_real, setting.segments, setting.interpolation,
         "as learned" if setting.interpolation == "adaptive" else f"{setting.n_syn / frames:.1%}", where]
        for setting, where in rows.items()
    ]  # fmt: skip
    headers = ["name", "written", "stored", "real", "segments", "interpolation", f"bytes of {frames} frames", "part of"]
    print(tabulate(table, headers=headers, tablefmt="plain", disable_numparse=True))


_KINDS: dict[str, Callable[[Registries, bool], None]] = {
    "methods": _methods,
    "datasets": _datasets,
    "networks": _networks,
    "protocols": _protocols,
    "profiles": _profiles,
    "settings": _settings,
}


def _print_registry(registry: Registry[Any]) -> None:
    rows = [[name, first_paragraph(part.__doc__), registry.origin(name).where] for name, part in registry]
    rows += [[plugin.name, f"UNAVAILABLE: {plugin.reason}", plugin.where] for plugin in registry.unavailable()]
    _print(rows)


def _print(rows: Any) -> None:
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))


def _defaults(registries: Registries, kind: type, modules: frozenset[str]) -> str:
    """The defaults of hyper-parameters or options, or why there are none."""
    try:
        return _values(ask(registries, modules, _config, kind))
    except (BenchError, Faulty) as error:
        return f"UNAVAILABLE: {error}"


def _config(registries: Registries, kind: type) -> dict[str, Any]:
    return config.as_dict(kind())


def _values(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
