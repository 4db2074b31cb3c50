"""The memory that a planned cell will take at its peak, and whether the device has as much. Loads no torch.

What a pass of a network keeps was counted (`bench.nets.memory`); how many clips are in a pass at a time, each method says
(`Method.footprint`). Not known here are the workspaces of a GPU's convolutions.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.api import Footprint, Profile, Workload
from bench.core import config
from bench.core.apart import Faulty
from bench.core.errors import BenchError
from bench.core.text import printable
from bench.nets.memory import Kept, kept
from bench.plugins import Registries
from bench.results.cells import Cell
from bench.running.asking import ask
from bench.running.plan.plan import PlannedCell
from bench.running.plan.planned_dataset import profile_with

PROCESS = 450 << 20
"""What a process with PyTorch takes on a CPU before it has computed anything; a GPU's memory holds tensors alone."""

# What `bench.nets.microbatch`, `bench.data.pixels` and `bench.judging` allow, which cannot be imported without torch.
PASS_BYTES, SHARE, CACHED, TEST_BATCH = 4 << 30, 0.25, 1 << 30, 128


@dataclass(frozen=True)
class Room:
    """The memory of a device.

    Attributes:
        name: the device: ``cpu`` or ``cuda:N``.
        total: all of it, bytes.
        free: what is free now.
    """

    name: str
    total: int
    free: int


def room_of(device: str) -> Room | None:
    """The memory of the device that ``--device`` names on this machine; None if it cannot be known."""
    if device != "cpu":
        gpu = _gpu(int(device.partition(":")[2] or 0))
        if gpu is not None or device != "auto":
            return gpu
    import psutil

    memory = psutil.virtual_memory()
    return Room("cpu", memory.total, memory.available)


def _gpu(number: int) -> Room | None:
    """A GPU's memory by NVIDIA's own tool: PyTorch would take a second, and memory of the GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits", "-i", str(number)]
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=5).stdout
        total, free = (int(part) << 20 for part in answer.split(","))
        return Room(f"cuda:{number}", total, free)
    return None


def peaks(cells: Iterable[PlannedCell], registries: Registries, room: Room) -> dict[str, int]:
    """Bytes that each cell will take at its peak, by id; 0 for one that is skipped."""
    return {planned.cell.id(): peak(planned, registries, room) for planned in cells}


def peak(planned: PlannedCell, registries: Registries, room: Room) -> int:
    """Bytes that a cell will take on a device at its peak; 0 if it is skipped, or a plugin cannot say."""
    if planned.declined is not None or planned.fault is not None:
        return 0
    cell = planned.cell
    profile = profile_with(registries.profiles.get(cell.profile), cell.protocol.partition("/")[0])
    work = planned.size.workload(planned.setting, cell.ipc or 1)
    try:
        return ask(
            registries, planned.modules, _peak, cell, profile, work, planned.size.tested, planned.stored_bytes, room
        )
    except (Faulty, BenchError):  # running it says what is wrong
        return 0


def _peak(
    registries: Registries, cell: Cell, profile: Profile, work: Workload, tested: int, stored_bytes: int, room: Room
) -> int:
    """See `peak`; ``tested`` clips test each network."""
    networks = registries.networks
    learning, judging = (kept(networks.get(name)(), work.clip) for name in (cell.network, cell.judge()))
    frames = kept(networks.get(profile.frame_network)(), replace(work.clip, frames=1))
    recipe = registries.protocols.get(profile.protocol).recipe
    method_type = registries.methods.get(cell.method)
    method: Any = method_type(config.build(method_type.Config, cell.config, method_type.name))
    footprint: Footprint = method.footprint(work)
    if "trained-network" in method_type.shares:
        footprint = replace(footprint, through=max(footprint.through, min(recipe.batch, work.train)), networks=3.0)
    in_set = work.classes * work.ipc if method_type.uses_ipc else work.train
    stored = stored_bytes if method_type.uses_ipc else 0  # else they stay in the clip store
    real = work.train * work.views * work.clip.values()
    resident = real if room.name != "cpu" and real <= SHARE * room.free else 0
    distilling = distil_bytes(footprint, work, learning, frames, room) + 3 * stored
    judged = judge_bytes(in_set, tested * work.views, min(recipe.batch, in_set), work, judging, room) + stored
    return (PROCESS if room.name == "cpu" else 0) + resident + max(distilling, judged)


def distil_bytes(footprint: Footprint, work: Workload, network: Kept, frames: Kept, room: Room) -> int:
    """What passes and weights take while a set is distilled.

    Args:
        footprint: of the method.
        work: its sizes.
        network, frames: what the profile's networks keep of a clip, and of a frame.
        room: of the device.
    """
    clips = network.scaled(1 / work.setting.segments)
    passing = max(
        _cut(footprint.forward, clips.forward, clips, room),
        _cut(footprint.through, clips.through, clips, room),
        footprint.training * clips.training,
        footprint.double * clips.double,
        footprint.frames * frames.training,
    )
    copies = footprint.networks + (footprint.host_networks if room.name == "cpu" else 0.0)
    return round(passing + copies * network.weights(work.classes))


def judge_bytes(in_set: int, tested: int, batch: int, work: Workload, network: Kept, room: Room) -> int:
    """What passes, weights and clips that stay in memory take while networks are trained on a set and tested.

    Args:
        in_set: clips of the set.
        tested: windows of clips that networks are tested on.
        batch: clips per update.
        work: sizes of the cell.
        network: what the judging network keeps of a clip.
        room: of the device.
    """
    clip = 4 * work.clip.values()
    staying = sum(clips * clip for clips in (in_set, tested) if clips * clip <= CACHED)
    training = _cut(batch, network.training, network, room)
    testing = _cut(min(TEST_BATCH, tested), network.forward, network, room)
    return round(staying + max(training, testing) + 3 * network.weights(work.classes))


def _cut(clips: float, each: int, network: Kept, room: Room) -> float:
    """Bytes of a pass of which no more clips are taken at a time than may keep what a gradient needs."""
    fitting = max(1, min(PASS_BYTES, int(SHARE * room.total)) // max(1, network.training))
    return min(clips, fitting) * each


def too_large(cells: Iterable[PlannedCell], peaks: Mapping[str, int], room: Room, at_once: int) -> str | None:
    """A sentence on the cells that will not fit beside as many others, or None if all do.

    Args:
        cells: those that are to run.
        peaks: bytes of each, by id.
        room: what there is.
        at_once: cells that share it.
    """
    largest = sorted(cells, key=lambda planned: peaks[planned.cell.id()], reverse=True)
    over = [planned for planned in largest if peaks[planned.cell.id()] * at_once > room.free]
    if not over:
        return None
    worst = peaks[over[0].cell.id()]
    count = "one cell" if len(over) == 1 else f"{len(over)} cells"
    each = f" each, {at_once} at a time" if at_once > 1 else ""
    return (
        f"{count} may not fit into memory: {printable(over[0].title())} takes about {worst / 2**30:.1f} GiB{each}, "
        f"and {room.free / 2**30:.1f} of the {room.total / 2**30:.1f} GiB of {room.name} are free"
    )
