"""A Ray cluster as seen over HTTP: its jobs and Serve's state at the dashboard, the steward and replicas at the proxy.

Knows no model.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from emeritus.engines.ray.options import RayOptions
from emeritus.engines.ray.words import APPLICATION, STEWARD
from emeritus.errors import EngineFailed

if TYPE_CHECKING:
    from aiohttp.client import _RequestContextManager

Json = dict[str, Any]
POLL_S = 0.25
ORDER_S = 30.0  # longest time for one order to the steward
LOCAL = ("127.0.0.1", "localhost", "::1")


class Cluster:
    """The connections to one cluster. One event loop owns it."""

    def __init__(self, options: RayOptions) -> None:
        import aiohttp

        self._options = options
        # Connections are not kept: the proxy may be another one after a node's end.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=options.timeout_s),
            read_bufsize=64 << 20,  # a score of a long text is one line
        )
        self.last_said = "nothing was heard of it"

    @property
    def closed(self) -> bool:
        """Whether it was."""
        return self._session.closed

    async def start(self) -> None:
        """Have a steward there. Raises EngineFailed where the cluster cannot be reached or the job fails."""
        if (await self._applications()).get(APPLICATION, {}).get("status") == "RUNNING":
            return
        parts = urlsplit(self._options.base_url)
        host = "127.0.0.1" if parts.hostname in LOCAL else "0.0.0.0"  # noqa: S104  # as far as calls come from
        words = [self._options.python, "-m", "emeritus.engines.ray.steward", host, str(parts.port or 80)]
        url = f"{self._options.dashboard}/api/jobs/"
        told = await self._json("POST", url, {"entrypoint": shlex.join(words)})
        while True:
            state = await self._json("GET", f"{url}{told['submission_id']}")
            self.last_said = f"the steward's job is {state['status']}"
            if state["status"] == "SUCCEEDED":
                return
            if state["status"] in ("FAILED", "STOPPED"):
                raise EngineFailed(
                    f"the steward did not start: {state.get('message') or state['status']}",
                    remedy="The cluster's interpreter needs Emeritus with the extras `ray` and `local`.",
                    job=told["submission_id"],
                )
            await asyncio.sleep(POLL_S)

    async def order(self, order: Json) -> None:
        """Have the steward do something. Raises EngineFailed."""
        try:
            async with asyncio.timeout(ORDER_S):
                await self._json("POST", self._options.base_url + STEWARD, order)
        except TimeoutError as error:
            raise EngineFailed(f"the steward said nothing for {ORDER_S:g} s") from error

    async def lacks(self, name: str) -> bool:
        """Whether the cluster says that it has no such application. False where it cannot be asked."""
        try:
            async with asyncio.timeout(ORDER_S):
                return name not in await self._applications()
        except (EngineFailed, TimeoutError):
            return False

    async def wait_until_running(self, name: str) -> None:
        """Until Serve says that it runs. Raises EngineFailed when it cannot be deployed."""
        while True:
            found = (await self._applications()).get(name, {})
            status = found.get("status")
            self.last_said = f"the application is {status}: {found.get('message') or 'no reason given'}"
            if status == "RUNNING":
                return
            if status == "DEPLOY_FAILED":
                raise EngineFailed(f"the cluster could not deploy it: {_why(found)}", application=name)
            await asyncio.sleep(POLL_S)

    async def facts(self, name: str) -> Json:
        """What a replica says of itself. Raises EngineFailed."""
        return await self._json("GET", f"{self._options.base_url}/{name}")

    def ask(self, name: str, order: Json) -> _RequestContextManager:
        """A call to a replica: the response, to be read as lines."""
        return self._session.post(f"{self._options.base_url}/{name}", json=order, allow_redirects=False)

    async def close(self) -> None:
        """Drop the connections. Safe to repeat."""
        await self._session.close()

    async def _applications(self) -> Json:
        found = await self._json("GET", f"{self._options.dashboard}/api/serve/applications/")
        applications: Json = found.get("applications", {})
        return applications

    async def _json(self, method: str, url: str, body: Json | None = None) -> Json:
        import aiohttp

        try:
            async with self._session.request(method, url, json=body, allow_redirects=False) as response:
                said = await response.read()
                if response.status != 200:
                    raise EngineFailed(
                        f"the cluster answered {response.status}", url=url, sent=said[:500].decode(errors="replace")
                    )
                found = json.loads(said)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise EngineFailed(
                f"the cluster cannot be reached: {str(error) or type(error).__name__}",
                remedy="Start it, or correct the options `base_url` and `dashboard`.",
                url=url,
            ) from error
        if not isinstance(found, dict):
            raise EngineFailed("the cluster sent what is no JSON object", url=url)
        return found


def _why(application: Json) -> str:
    """What Serve says, the deployments' own words among it."""
    said = [application.get("message") or ""]
    said += [each.get("message") or "" for each in application.get("deployments", {}).values()]
    return " ".join(part.strip() for part in said if part.strip())[-2000:] or "no reason given"
