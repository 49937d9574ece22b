"""Rules that treat requests as independent, or look at one number: what they make of the same windows."""

from collections.abc import Callable, Mapping
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rule = Callable[[Floats, Floats], bool]
"""Says of the latencies without and with the fault whether the flow became slower."""

_SURE = 0.05
_RESAMPLED = 40


def mann_whitney(control: Floats, fault: Floats) -> bool:
    """Rank all requests; more than half a win for those under the fault is an alarm, by the normal approximation."""
    before, under = len(control), len(fault)
    ranks = np.argsort(np.argsort(np.concatenate([control, fault]))) + 1
    wins = float(ranks[before:].sum()) - under * (under + 1) / 2
    z = (wins - before * under / 2) / sqrt(before * under * (before + under + 1) / 12)
    return _two_sided(z) < _SURE


def welch(control: Floats, fault: Floats) -> bool:
    """Compare the means of all requests, each counted as independent."""
    error = sqrt(float(control.var(ddof=1)) / len(control) + float(fault.var(ddof=1)) / len(fault))
    return _two_sided(float(fault.mean() - control.mean()) / error) < _SURE


def iid_bootstrap(control: Floats, fault: Floats) -> bool:
    """Draw single requests again and look whether the interval of the ratio of the p95s leaves 1 out."""
    random = np.random.default_rng(1)
    drawn = [np.quantile(random.choice(rows, (_RESAMPLED, len(rows))), 0.95, axis=1) for rows in (control, fault)]
    low, high = np.quantile(drawn[1] / drawn[0], (_SURE / 2, 1 - _SURE / 2))
    return bool(low > 1 or high < 1)


def changed_by_a_fifth(control: Floats, fault: Floats) -> bool:
    """Compare the two p95s and nothing else."""
    return bool(np.quantile(fault, 0.95) > 1.2 * np.quantile(control, 0.95))


def _two_sided(z: float) -> float:
    return 2 * (1 - NormalDist().cdf(abs(z)))


NAIVE: Mapping[str, Rule] = {
    "Mann-Whitney on requests": mann_whitney,
    "Welch on requests": welch,
    "iid bootstrap of the p95": iid_bootstrap,
    "p95 changed by more than 1.2x": changed_by_a_fifth,
}
