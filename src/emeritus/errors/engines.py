"""Errors 4xx: engines."""

from __future__ import annotations

from emeritus.errors.base import EmeritusError


class EngineError(EmeritusError):
    """A model could not be made to answer."""

    code, title = "EM400", "Engine error"
    default_remedy = "See the engine's log under logs/ in the home folder."


class EngineUnknown(EngineError):
    """No engine of that name exists."""

    code, title = "EM401", "Unknown engine"
    default_remedy = "Use one of the engines the message lists."


class EngineFailed(EngineError):
    """The engine did not start, could not load the model, or failed at an answer and goes on."""

    code, title = "EM402", "Engine failed"


class EngineDied(EngineError):
    """The engine ended while it was answering."""

    code, title = "EM403", "Engine died while answering"
    default_remedy = "Send the request again; the resident is revived from the vault. Its log is under logs/."


class UpstreamRefused(EngineError):
    """A remote API refused the request or answered with something unreadable."""

    code, title = "EM404", "Upstream API refused"
    default_remedy = "Check the address, the model's name there and the key."


class ContextTooLong(EngineError):
    """The prompt does not fit the model's context."""

    code, title = "EM405", "Prompt too long"
    default_remedy = "Shorten the messages or lower max_tokens."


class CanaryFailed(EngineError):
    """A woken resident does not behave like its reference; no answer was given out."""

    code, title = "EM406", "Woken resident differs from its reference"
    default_remedy = "Run `emeritus verify` and compare the engine's build with the reference's."


class Busy(EngineError):
    """There is no room to wake the resident now."""

    code, title = "EM407", "No room to wake the resident"
    default_remedy = "Try again after the Retry-After time, or raise the memory budget."


class NotSupported(EngineError):
    """The engine cannot do what was asked."""

    code, title = "EM408", "Not supported by this engine"
    default_remedy = "Use an engine that declares the capability the message names."


class OutOfMemory(EngineFailed):
    """The system refused the memory that a load or an answer takes; what else the engine answers goes on."""

    code, title = "EM409", "Too little memory"
    default_remedy = "Try again after the Retry-After time, or shorten the prompt; other answers may hold the memory."


class AnswerTooLong(EngineError):
    """An answer took longer than any may; it was ended, so that others are not kept waiting without a bound."""

    code, title = "EM410", "Answer took too long"
    default_remedy = "Lower max_tokens, or read a streamed answer faster; the operator's setting is longest_answer_s."
