"""How many models are busy at once, whatever the policy: what swapping models per request cannot go below. Pure.

A model with calls at random at rate r (per second), each served in T seconds, has at least one in service a share
1 - exp(-rT) of the time (M/G/infinity; Aegaeon, SOSP'25, section 3: 100 models at 0.037/s and 16.8 s: 46 of them).
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def active_models(calls_per_s: Iterable[float], service_s: float) -> float:
    """The expected number of models with a call in service, for each model's rate."""
    return math.fsum(-math.expm1(-rate * service_s) for rate in calls_per_s)
