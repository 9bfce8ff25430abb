"""The process that holds one model: takes calls over a socket, answers them in turns, ends when the socket does.

Protocol: one JSON object a line, UTF-8, both ways.
  to the worker    {"do": "open", "folder", "tensors", "dtype", "threads", "onednn", "attention", "at_once",
                   "batching"} first, once. `tensors`: null, or [name, dtype, shape, offset, length] of each in the
                   memory that came with the fork
                   {"do": "stream", "call", "messages", "sampling", "tools"}    {"do": "score", "call", "texts"}
                   {"do": "complete", "call", "text", "sampling"}    {"do": "count", "call", "messages", "tools"}
                   {"do": "perturbed", "call", "texts", "perturbations"}    {"do": "cancel", "call"}
  from the worker  {"ready": true, "config", "versions", "tools"}      after open
                   {"call", "piece": {...}}   {"call", "scored": {...}}   {"call", "counted": n}   {"call", "end": true}
                   {"call", "perturbed": [{...}, ...]}                       one for each perturbation
                   {"beat": true}                                       nothing to tell, but the work goes on
                   {"call", "error": {"code", "message", "remedy", "facts"}}      `call` is null for open

`at_once` answers run; further calls wait in the order they came. Batching "turns": token by token, each at batch 1, so
an answer does not depend on what else runs. "together": one pass for all (`batching`), where the network can.
Forked from the zygote; knows neither its parent's loop nor the vault.
"""

from __future__ import annotations

import json
import os
import platform
import queue
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emeritus.engines.base import Perturbation, Piece, Placed
from emeritus.engines.lines import read_message, read_sampling, write_piece
from emeritus.errors import EmeritusError, EngineFailed, OutOfMemory

if TYPE_CHECKING:
    from emeritus.engines.speaking import Asked

Json = dict[str, Any]
BEAT_S = 1.0  # after so long without a word, a worker that got something done says so


def run(connection: socket.socket, weights: int | None = None) -> None:
    """Serve one model until the other end of the socket is gone; then end at once, whatever is being computed.

    `weights`: a descriptor of memory that holds its tensors, where they are not to be read from files.
    """
    inbox: queue.SimpleQueue[Json] = queue.SimpleQueue()
    left: set[int] = set()
    lines = connection.makefile("rb")

    def read() -> None:
        try:
            for line in lines:
                order = json.loads(line)
                if order["do"] == "cancel":
                    left.add(order["call"])  # at once, for a pass that is under way
                inbox.put(order)
        finally:
            os._exit(0)

    def send(message: Json) -> None:  # waits while the other end does not read
        connection.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    threading.Thread(target=read, name="reader", daemon=True).start()
    try:
        worker = _Worker(inbox.get(), weights, send)
        worker.heed(left)
    except EmeritusError as error:
        send({"call": None, "error": error.as_dict()})
        connection.shutdown(socket.SHUT_WR)
        return
    worker.serve(inbox)


class _Left(Exception):
    """The caller is gone."""


class _Worker:
    """One loaded model and the calls it is answering."""

    def __init__(self, order: Json, weights: int | None, send: Any) -> None:
        import torch

        from emeritus.engines.batching import Together, can_batch
        from emeritus.engines.decoding import CHUNK, chunks
        from emeritus.engines.loading import load
        from emeritus.engines.precision import widen
        from emeritus.engines.prompt import shows_tools, template_name
        from emeritus.engines.tensors import map_shared

        self._send = send
        self._told = 0.0  # when the other end last heard something
        self._left: set[int] = set()
        self._current: int | None = None  # the call whose step is being computed
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
        widened = widen(network, prompts=not order["onednn"])
        together = order["batching"] == "together" and can_batch(self._model)
        self._together = Together(self._model, self._at_once) if together else None
        config = {
            "dtype": str(network.dtype).removeprefix("torch."),
            "score_dtype": "float32",
            "threads": order["threads"],
            "batch": self._at_once if together else 1,
            "chunk": CHUNK if chunks(self._model) else None,
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
            "machine": platform.machine(),
            "onednn": order["onednn"],
            "prompt_products": "float32" if widened and not order["onednn"] else "stored",
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

    def heed(self, left: set[int]) -> None:
        """End a pass between two layers when the call it is for is in `left`: a prompt or a text may take seconds."""

        # A function, not a method: copies of the network (`full_precision`) keep it, and would copy a method's owner.
        def look(*_: Any) -> None:
            reading = None if self._together is None else self._together.reading
            if (self._current if reading is None else reading) in left:
                raise _Left

        self._left = left
        for module in self._model.network.modules():
            if type(module).__name__ == "ModuleList":
                for layer in module:
                    layer.register_forward_pre_hook(look)

    def serve(self, inbox: queue.SimpleQueue[Json]) -> None:
        """For ever: take in what has come, then one step of each running call."""
        while True:
            idle = not self._under_way and not self._waiting
            while idle or not inbox.empty():
                self._take(inbox.get())
                idle = False
            while self._waiting and self._under_way < self._at_once:
                self._begin(self._waiting.popleft())
            for call in list(self._running):
                self._step(call)
            if self._together is not None:
                for call, found in self._together.step():
                    self._tell(call, found)
            if time.monotonic() - self._told > BEAT_S:
                self._say({"beat": True})

    @property
    def _under_way(self) -> int:
        return len(self._running) + (0 if self._together is None else len(self._together))

    def _take(self, order: Json) -> None:
        if order["do"] == "cancel":
            self._running.pop(order["call"], None)
            if self._together is not None:
                self._together.drop(order["call"])
            self._waiting = deque(waiting for waiting in self._waiting if waiting["call"] != order["call"])
            self._left.discard(order["call"])
        elif order["do"] == "count":
            self._running[order["call"]] = self._answer(order)  # takes no turn from an answer: nothing is computed
        else:
            self._waiting.append(order)

    def _begin(self, order: Json) -> None:
        if self._together is None or order["do"] not in ("stream", "complete"):
            self._running[order["call"]] = self._answer(order)
            return
        try:
            self._together.add(order["call"], self._prompt(order), read_sampling(order["sampling"]))
        except Exception as error:
            self._tell(order["call"], error)

    def _step(self, call: int) -> None:
        """One token, or one scored text, of one call. A call that fails takes no other with it."""
        self._current = call
        try:
            event = next(self._running[call])
        except StopIteration:
            event = {"end": True}
        except _Left:
            event = None  # what was asked for is dropped when the order to do so is taken in, which is next
        except Exception as error:
            event = _failure(error)
        finally:
            self._current = None
        if event is None:
            return
        if "end" in event or "error" in event:
            del self._running[call]
        self._say({"call": call, **event})

    def _tell(self, call: int, found: Piece | Exception) -> None:
        """What an answer among several has come to."""
        if isinstance(found, _Left):
            return
        if isinstance(found, Exception):
            self._say({"call": call, **_failure(found)})
            return
        self._say({"call": call, "piece": write_piece(found)})
        if found.finish_reason is not None:
            self._say({"call": call, "end": True})

    def _say(self, message: Json) -> None:
        self._send(message)
        self._told = time.monotonic()

    def _prompt(self, order: Json) -> Asked:
        from emeritus.engines.speaking import asked, raw

        if order["do"] == "complete":
            return raw(self._model, order["text"])
        return asked(self._model, [read_message(message) for message in order["messages"]], order["tools"])

    def _answer(self, order: Json) -> Iterator[Json | None]:
        from emeritus.engines.decoding import decode, score
        from emeritus.engines.perturbing import Perturbed
        from emeritus.engines.precision import full_precision

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
        prompt = self._prompt(order)
        if order["do"] == "count":
            yield {"counted": len(prompt.ids)}
            return
        for piece in decode(self._model, prompt, read_sampling(order["sampling"])):
            yield None if piece is None else {"piece": write_piece(piece)}


def _failure(error: Exception) -> Json:
    if not isinstance(error, EmeritusError):
        traceback.print_exception(error, file=sys.stderr)
        from emeritus.engines.loading import refused_memory

        error = (
            OutOfMemory("there is too little memory for what was asked")
            if refused_memory(error)
            else EngineFailed(f"the model failed while answering: {type(error).__name__}: {error}")
        )
    return {"error": error.as_dict()}
