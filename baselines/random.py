"""Random coreset: IPC training clips of each class, drawn at random. The floor that every method must beat."""

from typing import final

from typing_extensions import override

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice, random_choice


@final
class Random(Coreset[NoOptions]):
    """IPC random real clips a class."""

    name = "random"

    @override
    def choose(self, task: Task) -> Choice:
        return random_choice(task)
