"""How figures are written in tables that people read: digits, units, and the signs they carry."""

from __future__ import annotations

from bench.results.history import Objective
from bench.tables.probe_figures import Probed
from bench.tables.published import Reported
from bench.tables.rows import Extent, Figures
from bench.tables.stats import Interval

TIED = "†"
SECOND_HAND = "‡"
WORSE = "▼"

_MIB = 2**20
_GIB = 2**30


def accuracy(figures: Figures) -> str:
    """In percent, marked where it is the best or not distinguishable from it."""
    text = percent(figures.accuracy)
    return f"{text} {TIED}" if figures.rank is not None and figures.tied else text


def percent(interval: Interval | None, signed: bool = False) -> str:
    """A share, or a difference of shares, with its interval."""
    if interval is None:
        return ""
    text = points(interval.mean, signed)
    return text if interval.half_width is None else f"{text} ± {100 * interval.half_width:.1f}"


def own_gain(interval: Interval) -> str:
    """A gain over the start of a learned set, marked where learning made the set worse."""
    text = percent(interval, signed=True)
    return f"{text} {WORSE}" if interval.mean < 0 else text


def objective(found: Objective) -> str:
    """The objective at both ends of learning."""
    return " → ".join(f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" for value in (found.before, found.after))


def points(value: float, signed: bool = False) -> str:
    """A share, or a difference of shares, in percent."""
    rounded = round(100 * value, 1) + 0.0  # not -0.0
    return f"{rounded:+.1f}" if signed else f"{rounded:.1f}"


def reported(figure: Reported) -> str:
    """As printed, to one or two digits, with what it measures if that is not the accuracy."""
    numbers = [f"{100 * value:.2f}" for value in (figure.mean, figure.std) if value is not None]
    text = " ± ".join(number.removesuffix("0") for number in numbers)
    text += " (top-5)" if figure.metric == "top5" else ""
    return f"{text} {SECOND_HAND}" if figure.confidence == "secondary" else text


def trainings(figures: Figures) -> str:
    """Seeds times networks, or how many of these there are."""
    if figures.complete:
        return f"{figures.seeds} × {figures.networks}"
    return f"{figures.trainings} of {figures.seeds * figures.networks}"


def mebibytes(extent: Extent | None) -> str:
    """Three digits; two figures where the seeds differ in these."""
    if extent is None:
        return ""
    low, high = (_three_digits(value / _MIB) for value in (extent.low, extent.high))
    return low if low == high else f"{low}–{high}"


def seconds(value: float | None) -> str:
    """Whole ones from ten on."""
    return "" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def peak_memory(figures: Figures) -> str:
    """Of the GPU if there was one, else of the process."""
    peak, where = (figures.peak_device, "GPU") if figures.peak_device else (figures.peak_host, "RSS")
    if not peak:
        return ""
    return f"{peak / _GIB:.1f} GiB {where}" if peak >= _GIB else f"{peak / _MIB:.0f} MiB {where}"


def probed(figures: Probed | None) -> str:
    """Accuracy on altered test clips and, in brackets, the difference to the clips as they are."""
    return "" if figures is None else f"{points(figures.accuracy)} ({percent(figures.difference, signed=True)})"


def motion(of_set: float | None, of_real: float | None) -> str:
    """The motion energy of a set / of the real clips, both or neither."""
    return "" if of_set is None else f"{of_set:.4f} / {of_real:.4f}"


def _three_digits(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:#.3g}" if value else "0"
