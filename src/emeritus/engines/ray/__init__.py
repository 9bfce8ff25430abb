"""A resident on a Ray cluster: Serve places it, starts it again and moves it; when it is there stays our decision.

`engine` is the gateway's side and speaks HTTP alone; `steward` and `replica` run in the cluster; `words` is what they
say to each other.
"""

from emeritus.engines.ray.engine import RayEngine, open_engine
from emeritus.engines.ray.options import RayOptions

__all__ = ["RayEngine", "RayOptions", "open_engine"]
