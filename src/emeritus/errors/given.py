"""Errors 1xx: what was given is not usable."""

from __future__ import annotations

from emeritus.errors.base import EmeritusError


class InputError(EmeritusError):
    """The input is wrong; nothing was made."""

    code, title = "EM100", "Bad input"
    default_remedy = "Correct the input and run the command again; nothing was changed."


class NotAModel(InputError):
    """The directory holds no model."""

    code, title = "EM101", "Not a model directory"
    default_remedy = "Give a directory with a config.json and at least one weight file."


class BadTensorFile(InputError):
    """A weight file's header is truncated, or does not describe the bytes that follow."""

    code, title = "EM102", "Damaged weight file"
    default_remedy = "Fetch the file again from its source and compare its sha256 before preserving it."


class MissingTokenizer(InputError):
    """A model that is to be revived has no tokenizer."""

    code, title = "EM103", "Missing tokenizer"
    default_remedy = "Put the tokenizer's files (tokenizer.json or tokenizer.model) beside the weights."


class BadName(InputError):
    """A name could escape its folder or clash with a reserved word."""

    code, title = "EM104", "Unusable name"
    default_remedy = "Use 1-64 lowercase letters, digits, '.', '_' or '-', beginning with a letter or digit."


class BadRequest(InputError):
    """A request to the API cannot be read."""

    code, title = "EM105", "Unreadable request"
    default_remedy = "Send a JSON object with the fields the API documents."


class BadSettings(InputError):
    """A setting has an unusable value."""

    code, title = "EM106", "Unusable setting"
    default_remedy = "See docs/settings.md for each setting's type and default."


class BadTable(InputError):
    """A CSV file or another table lacks a column or holds an unreadable row."""

    code, title = "EM107", "Unreadable table"
    default_remedy = "Correct the row named and import the file again; nothing was imported."


class NotFound(InputError):
    """What was named does not exist."""

    code, title = "EM108", "Not found"
    default_remedy = "`emeritus status` lists what exists."


class AlreadyExists(InputError):
    """What was to be made exists already."""

    code, title = "EM109", "Already exists"
    default_remedy = "Use another name, or go on with what exists."


class BadProtocol(InputError):
    """An interview protocol breaks its own rules."""

    code, title = "EM110", "Unusable interview protocol"
    default_remedy = "Correct the line named in the protocol's TOML file."


class RequestTooLarge(InputError):
    """A request's body is larger than the API reads."""

    code, title = "EM111", "Request too large"
    default_remedy = "Send less, or raise max_body_bytes."


class BadScenarios(InputError):
    """A set of safety scenarios breaks its own rules."""

    code, title = "EM112", "Unusable set of scenarios"
    default_remedy = "Correct the line named in the scenarios' TOML file."
