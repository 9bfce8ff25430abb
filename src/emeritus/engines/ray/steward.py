"""What deploys residents in the cluster and lets go of them: one small application of Ray Serve, asked over HTTP.

So the gateway needs neither Ray nor a driver: a driver ends with the cluster's head, an HTTP client waits. It keeps no
state that a restart would lose: a resident whose wish to stay is not renewed within its lease is taken down.

`python -m emeritus.engines.ray.steward HOST PORT`, as a job of the cluster, starts it (and Serve, listening there).
  POST /emeritus  {"do": "deploy", "name", "lease_s", "replicas", "actor", "given"}   {"do": "renew", "name", "lease_s"}
                  {"do": "delete", "name"}
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from typing import Any

from emeritus.engines.ray import asgi
from emeritus.engines.ray.words import APPLICATION, STEWARD

Json = dict[str, Any]
LOOK_S = 1.0
FIRST_LEASE_S = 60.0  # of residents that a steward finds when it starts
AT_ONCE = 1000  # calls in a replica; the engine in it has a queue of its own


class Steward:
    """The leases, and Serve."""

    def __init__(self) -> None:
        from ray import serve

        now = time.monotonic()
        self._leases = {
            name: now + FIRST_LEASE_S for name in serve.status().applications if name.startswith(f"{APPLICATION}-")
        }
        self._looking = asyncio.get_event_loop().create_task(self._look())

    def check_health(self) -> None:
        """Asked by Serve every few seconds."""
        if self._looking.done():
            raise RuntimeError("nobody looks after the leases")

    def __serve_build_asgi_app__(self) -> Any:
        async def application(scope: Json, receive: asgi.Receive, send: asgi.Send) -> None:
            await self.answer_http(scope, receive, send)

        return application  # a function: a bound method would be taken for an older kind of application

    async def answer_http(self, scope: Json, receive: asgi.Receive, send: asgi.Send) -> None:
        """POST does what the body says; GET says that it is there."""
        if scope["type"] == "lifespan":
            await asgi.live(receive, send)
            return
        try:
            order = await asgi.body(receive) if scope["method"] == "POST" else {"do": "nothing"}
            await self._obey(order)
        except Exception as error:
            traceback.print_exc()
            await asgi.say(send, {"error": f"{type(error).__name__}: {error}"}, 500)
            return
        await asgi.say(send, {"done": True})

    async def _obey(self, order: Json) -> None:
        match order["do"]:
            case "deploy":
                await asyncio.to_thread(_deploy, order)
                self._leases[order["name"]] = time.monotonic() + order["lease_s"]
            case "renew":
                if order["name"] not in self._leases:
                    raise LookupError(f"{order['name']} was taken down")
                self._leases[order["name"]] = time.monotonic() + order["lease_s"]
            case "delete":
                await self._delete(order["name"])

    async def _delete(self, name: str) -> None:
        from ray import serve

        await asyncio.to_thread(serve.delete, name, _blocking=False)
        self._leases.pop(name, None)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for name in [name for name, until in self._leases.items() if until < time.monotonic()]:
                try:
                    await self._delete(name)
                except Exception:  # the controller may be starting again: the next look tries it once more
                    traceback.print_exc()


def _deploy(order: Json) -> None:
    from ray import serve

    from emeritus.engines.ray.replica import Replica

    made = serve.deployment(serve.ingress()(Replica)).options(
        name="resident",
        num_replicas=order["replicas"],
        ray_actor_options=order["actor"],
        max_ongoing_requests=AT_ONCE,
        health_check_period_s=1,
        health_check_timeout_s=30,
        graceful_shutdown_timeout_s=2,
        user_config=order["given"],
    )
    target = serve.RunTarget(made.bind(), order["name"], f"/{order['name']}")
    serve.run_many([target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)


def main(host: str, port: str) -> None:
    """Start it. Serve that runs already keeps its own address."""
    from ray import serve

    from emeritus.engines.ray.steward import Steward as Kept  # by its module's name, not as __main__'s

    serve.start(http_options={"host": host, "port": int(port)})
    made = serve.deployment(serve.ingress()(Kept)).options(
        name="steward", num_replicas=1, ray_actor_options={"num_cpus": 0}, health_check_period_s=2
    )
    serve.run(made.bind(), name=APPLICATION, route_prefix=STEWARD)


if __name__ == "__main__":
    main(*sys.argv[1:])
