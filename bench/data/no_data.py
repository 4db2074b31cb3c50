"""Stands where a plugin's dataset failed before it was there."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from typing_extensions import override

from bench.api import ClipIndex, ClipRef, Dataset, Geometry, NoOptions
from bench.core.apart import Faulty
from bench.core.traces import Fault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
class NoData(Dataset[NoOptions]):
    """A dataset of that name without clips.

    Args:
        kind: the dataset's class.
        fault: what it did wrong.
    """

    def __init__(self, kind: type[Dataset[object]], fault: Fault) -> None:
        super().__init__(NoOptions(), "")
        self.name = kind.name  # type: ignore[misc]
        self.default_profile = kind.default_profile
        self._fault = fault

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        return profile

    @override
    def index(self, geometry: Geometry) -> ClipIndex:
        """Raises:
        Faulty: always.
        """
        raise Faulty(self._fault)

    @override
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        raise Faulty(self._fault)
