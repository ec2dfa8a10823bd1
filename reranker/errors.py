"""The errors the core raises. Each message reads "expected X, got Y, do Z".

Takes nothing and knows nothing of the interface: `app/messages.py` is the one place that
turns these into what a person reads on the page, `reranker/cli.py` the one that turns them
into exit codes.
"""

from __future__ import annotations


class DearError(Exception):
    """Base of every error this project raises on purpose."""


class InputError(DearError):
    """Something a person supplied cannot be used (file, corpus, query, setting).

    `where` names the file and, when known, the 1-based line: "notes.csv:12".
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class StudentError(DearError):
    """A student cannot be located, verified or loaded."""


class QuantizationError(StudentError):
    """The requested quantisation does not work on this machine; another one is named."""


class TraceError(DearError):
    """A trace cannot be read back, or belongs to other data than it claims."""


class EndpointError(DearError):
    """A model behind an HTTP endpoint gave no usable answer, after every retry."""


class HubError(DearError):
    """The Hugging Face hub refused something, or did not answer."""


class CancelledError(DearError):
    """The person asked for the work to stop. What was finished is in the trace so far."""
