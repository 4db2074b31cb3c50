"""Distribution functions that tables need, written out: importing SciPy takes longer than a whole table may."""

from __future__ import annotations

import functools
import math


def t_tail(t: float, dof: float) -> float:
    """``P(|T| >= |t|)`` for Student's T with ``dof`` degrees of freedom, which need not be whole.

    The regularised incomplete beta function I_x(dof/2, 1/2) at x = dof / (dof + t^2) (Abramowitz & Stegun 26.7.1).

    Raises:
        ValueError: ``dof`` is not above 0.
    """
    if not dof > 0:
        raise ValueError(f"needs dof > 0, not {dof}")
    square = t * t
    if math.isinf(square):
        return 0.0
    x, rest = dof / (dof + square), square / (dof + square)
    if x < (dof + 2) / (dof + 5):  # where the continued fraction converges fast; beyond, by symmetry
        return _incomplete_beta(x, rest, dof / 2, 0.5)
    return 1 - _incomplete_beta(rest, x, 0.5, dof / 2)


@functools.lru_cache(maxsize=4096)
def t_quantile(level: float, dof: float) -> float:
    """The t with ``P(|T| <= t) = level`` for Student's T with ``dof`` degrees of freedom.

    Halley's method, which triples the right digits with each step, from between the quantiles of the whole numbers around ``dof``.

    Raises:
        ValueError: ``level`` is not in (0, 1), or ``dof`` not above 0.
    """
    if not 0 < level < 1 or not dof > 0:
        raise ValueError(f"needs 0 < level < 1 and dof > 0, not level {level} and dof {dof}")
    log_peak = math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - math.log(dof * math.pi) / 2
    t = _between_whole(level, dof)
    while True:
        density = math.exp(log_peak - (dof + 1) / 2 * math.log1p(t * t / dof))
        newton = (t_tail(t, dof) - (1 - level)) / (2 * density)
        bend = 1 - newton * (dof + 1) * t / (dof + t * t) / 2
        step = newton / bend if bend > 0.5 else newton  # far away, from below: Newton's stays below
        t += step
        if abs(step) <= 1e-5 * t:  # then the next would be in the 14th digit or so
            return t


def _between_whole(level: float, dof: float) -> float:
    """A start for `t_quantile`: linear in 1 / dof between whole numbers; 0 for one of these, and above it below 1."""
    above, below = math.ceil(dof), math.floor(dof)
    if above == below:
        return 0.0
    high = t_quantile(level, above)
    if not below:
        return high
    part = (1 / dof - 1 / above) / (1 / below - 1 / above)
    return high + part * (t_quantile(level, below) - high)


def chi_squared_tail(value: float, dof: int) -> float:
    """``P(X >= value)`` for chi-squared X with a whole number of degrees of freedom (Abramowitz & Stegun 26.4.4, 26.4.5)."""
    half = value / 2
    if half <= 0:
        return 1.0
    term = math.exp(-half) * (1.0 if dof % 2 == 0 else math.sqrt(half) / math.gamma(1.5))
    total = 0.0 if dof % 2 == 0 else math.erfc(math.sqrt(half))
    for k in range(dof // 2):
        total += term
        term *= half / (k + (1.0 if dof % 2 == 0 else 1.5))
    return total


@functools.lru_cache(maxsize=4096)
def range_quantile(level: float, count: int) -> float:
    """The q with ``P(largest - smallest <= q) = level`` for ``count`` standard normal draws, at least 2.

    This is the studentised range for infinitely many degrees of freedom.
    """
    low, high = 0.0, 20.0
    while low < (middle := (low + high) / 2) < high and high - low > 1e-12:
        low, high = (middle, high) if _range_probability(middle, count) < level else (low, middle)
    return high


def _range_probability(width: float, count: int) -> float:
    """``count`` times the integral, over the smallest draw z, of its density and of all others lying in [z, z + width].

    By the trapezoid rule, which for such bell-shaped integrands is exact to rounding.
    """
    step = 1 / 8
    root = math.sqrt(2)
    total = 0.0
    for k in range(-72, 73):
        z = k * step
        inside = (math.erf((z + width) / root) - math.erf(z / root)) / 2
        total += math.exp(-z * z / 2) * inside ** (count - 1)
    return count * step * total / math.sqrt(2 * math.pi)


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """I_x(a, b) by its continued fraction 1/(1 + d_1/(1 + d_2/(1 + ...))) (Abramowitz & Stegun 26.5.8), by Lentz's method.

    Args:
        x: in [0, 1), below about (a + 1) / (a + b + 2).
        rest: 1 - x, given apart because the difference may have lost its digits.
        a, b: above 0.
    """
    if x <= 0:
        return 0.0
    front = a * math.log(x) + b * math.log(rest) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    value = above = 1.0
    below = 0.0
    for m in range(1000):
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        even = (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2))
        below = 1 / (1 + odd * below)
        above = 1 + odd / above
        change = above * below
        below = 1 / (1 + even * below)
        above = 1 + even / above
        change *= above * below
        value *= change
        if abs(change - 1) < 1e-14:
            break
    return math.exp(front) / (a * value)
