"""The process that holds one model: takes calls over a socket, answers them in turns, ends when the socket does.

Protocol: one JSON object a line, UTF-8, both ways.
  to the worker    {"do": "open", "folder", "tensors", "dtype", "threads", "onednn", "attention", "at_once"}
                   first, once. `tensors`: null, or [name, dtype, shape, offset, length] of each in the memory that
                   came with the fork
                   {"do": "stream", "call", "messages", "sampling", "tools"}    {"do": "score", "call", "texts"}
                   {"do": "complete", "call", "text", "sampling"}    {"do": "count", "call", "messages", "tools"}
                   {"do": "perturbed", "call", "texts", "perturbations"}    {"do": "cancel", "call"}
  from the worker  {"ready": true, "config", "versions", "tools"}      after open
                   {"call", "piece": {...}}   {"call", "scored": {...}}   {"call", "counted": n}   {"call", "end": true}
                   {"call", "perturbed": [{...}, ...]}                       one for each perturbation
                   {"call", "error": {"code", "message", "remedy", "facts"}}      `call` is null for open

Answers take turns token by token, `at_once` of them; further calls wait in the order they came. Each keeps batch 1, so
an answer does not depend on what else runs. Forked from the zygote; knows neither its parent's loop nor the vault.
"""

from __future__ import annotations

import json
import os
import platform
import queue
import socket
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emeritus.engines.base import Message, Perturbation, Placed, Sampling
from emeritus.errors import EmeritusError, EngineFailed

Json = dict[str, Any]


def run(connection: socket.socket, weights: int | None = None) -> None:
    """Serve one model until the other end of the socket is gone; then end at once, whatever is being computed.

    `weights`: a descriptor of memory that holds its tensors, where they are not to be read from files.
    """
    inbox: queue.SimpleQueue[Json] = queue.SimpleQueue()
    lines = connection.makefile("rb")

    def read() -> None:
        try:
            for line in lines:
                inbox.put(json.loads(line))
        finally:
            os._exit(0)

    def send(message: Json) -> None:
        connection.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    threading.Thread(target=read, name="reader", daemon=True).start()
    try:
        worker = _Worker(inbox.get(), weights, send)
    except EmeritusError as error:
        send({"call": None, "error": error.as_dict()})
        connection.shutdown(socket.SHUT_WR)
        return
    worker.serve(inbox)


class _Worker:
    """One loaded model and the calls it is answering."""

    def __init__(self, order: Json, weights: int | None, send: Any) -> None:
        import torch

        from emeritus.engines.loading import load
        from emeritus.engines.prompt import shows_tools, template_name
        from emeritus.engines.tensors import map_shared

        self._send = send
        self._at_once: int = order["at_once"]
        self._running: dict[int, Iterator[Json | None]] = {}
        self._waiting: deque[Json] = deque()
        # Fixed before anything runs: each of these can change the last bits of a logit.
        torch.set_num_threads(order["threads"])
        set_flags: Any = torch.backends.mkldnn.set_flags  # untyped in the library
        set_flags(order["onednn"])
        state = None if weights is None else map_shared(weights, [Placed(*each) for each in order["tensors"]])
        self._model = load(Path(order["folder"]), order["dtype"], order["attention"], state)
        network = self._model.network
        config = {
            "dtype": str(network.dtype).removeprefix("torch."),
            "score_dtype": "float32",
            "threads": order["threads"],
            "batch": 1,
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
            "machine": platform.machine(),
            "onednn": order["onednn"],
            "attention": str(network.config._attn_implementation),
            "architecture": type(network).__name__,
            "template": template_name(self._model.tokenizer),
            "context": self._model.context,
            "loading": self._model.way,
        }
        versions = {name: version(name) for name in ("emeritus", "torch", "transformers", "tokenizers", "safetensors")}
        versions["python"] = platform.python_version()
        tools = shows_tools(self._model.tokenizer)
        self._send({"ready": True, "config": config, "versions": versions, "tools": tools})

    def serve(self, inbox: queue.SimpleQueue[Json]) -> None:
        """For ever: take in what has come, then one step of each running call."""
        while True:
            idle = not self._running and not self._waiting
            while idle or not inbox.empty():
                self._take(inbox.get())
                idle = False
            while self._waiting and len(self._running) < self._at_once:
                order = self._waiting.popleft()
                self._running[order["call"]] = self._answer(order)
            for call in list(self._running):
                self._step(call)

    def _take(self, order: Json) -> None:
        if order["do"] == "cancel":
            self._running.pop(order["call"], None)
            self._waiting = deque(waiting for waiting in self._waiting if waiting["call"] != order["call"])
        elif order["do"] == "count":
            self._running[order["call"]] = self._answer(order)  # takes no turn from an answer: nothing is computed
        else:
            self._waiting.append(order)

    def _step(self, call: int) -> None:
        """One token, or one scored text, of one call. A call that fails takes no other with it."""
        try:
            event = next(self._running[call])
        except StopIteration:
            event = {"end": True}
        except EmeritusError as error:
            event = {"error": error.as_dict()}
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            failed = EngineFailed(f"the model failed while answering: {type(error).__name__}: {error}")
            event = {"error": failed.as_dict()}
        if event is None:
            return
        if "end" in event or "error" in event:
            del self._running[call]
        self._send({"call": call, **event})

    def _answer(self, order: Json) -> Iterator[Json | None]:
        from emeritus.engines.decoding import asked, decode, raw, score
        from emeritus.engines.loading import full_precision
        from emeritus.engines.perturbing import Perturbed

        if order["do"] == "score":
            network = full_precision(self._model.network)
            for text in order["texts"]:
                ids, logprobs = score(self._model, network, text)
                yield {"scored": {"token_ids": ids, "logprobs": logprobs}}
            return
        if order["do"] == "perturbed":
            copy = Perturbed(self._model.network)
            for given in order["perturbations"]:
                copy.become(Perturbation(**given))
                found = (score(self._model, copy.network, text) for text in order["texts"])
                yield {"perturbed": [{"token_ids": ids, "logprobs": logprobs} for ids, logprobs in found]}
            return
        if order["do"] == "complete":
            prompt = raw(self._model, order["text"])
        else:
            messages = [_read_message(message) for message in order["messages"]]
            prompt = asked(self._model, messages, order["tools"])
        if order["do"] == "count":
            yield {"counted": len(prompt.ids)}
            return
        sampling = Sampling(**{**order["sampling"], "stop": tuple(order["sampling"]["stop"])})
        for piece in decode(self._model, prompt, sampling):
            yield (
                None
                if piece is None
                else {"piece": {key: value for key, value in asdict(piece).items() if key != "raw"}}
            )


def _read_message(fields: Json) -> Message:
    return Message(fields["role"], fields["content"], tuple(fields.get("tool_calls", ())), fields.get("tool_call_id"))
