"""The hierarchical bootstrap of a crossed design: the named alternative to Student's interval, on SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.tables.stats import LEVEL, Interval, coverage, shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 9999


def bootstrap_interval(
    values: Sequence[Sequence[float]], level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The percentile interval of the mean over resampled seeds and, apart from them, resampled networks.

    Owen's pigeonhole bootstrap: rows and columns are drawn with replacement, each training counts as often as its row times
    its column. It speaks of what Student's interval over the same figures speaks of. With few seeds it covers too rarely
    (docs/statistics.md); it is here for comparison with papers that use it.

    Args:
        values: one row per distillation seed with one value per network.
        level: confidence level, in (0, 1).
        resamples: how many means are drawn.
        seed: of the generator that draws them; the same figures always get the same interval.

    Raises:
        ValueError: there is no value, or a row lacks some.
    """
    import numpy as np
    from scipy import stats

    seeds, networks = shape(values)
    table = np.asarray(values, dtype=np.float64)
    mean, covers = float(table.mean()), coverage(seeds, networks)
    if covers is None:
        return Interval(mean, None, None, seeds, networks, level, None)

    def mean_of_places(rows: NDArray[np.int64], columns: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        return np.asarray(table[rows[..., :, None], columns[..., None, :]].mean(axis=(-2, -1)))

    # Places in the table are resampled, so that SciPy draws rows and columns apart.
    both = covers == "both"
    ends = stats.bootstrap(
        tuple(map(np.arange, table.shape)) if both else (table.mean(axis=1 if covers == "seeds" else 0),),
        mean_of_places if both else np.mean,
        n_resamples=resamples,
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(ends.low), float(ends.high), seeds, networks, level, covers)
