"""A chat model behind an OpenAI-compatible HTTP endpoint: messages in, one answer out.

Takes a base URL and a model's name, returns `ChatAnswer`s and keeps count of what they cost.
Knows HTTP, retries and timeouts; knows nothing of ranking, prompts or training. The API key is
read from the environment when a request is made; it is never logged, stored or shown.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from reranker.errors import CancelledError, EndpointError, InputError
from reranker.progress import Cancelled

DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
MAX_ANSWER_BYTES = 8 * 2**20
_POLL_SECONDS = 0.05
_BUSY = frozenset({408, 409, 425, 429})
_T = TypeVar("_T")

Message = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointSettings:
    """Where a model is and how patient to be with it.

    base_url: up to and with "/v1". key_variable: the environment variable that holds the API
    key; where it is unset no key is sent (local servers want none). timeout_seconds bounds one
    attempt as a whole. retries: attempts after the first, each waiting about twice as long as
    the one before, from first_wait_seconds up to longest_wait_seconds; a server's Retry-After
    is kept to within that bound. Prices are per million tokens, for the cost record. extra:
    further fields of the request's body, as the model wants them.
    """

    base_url: str
    model: str
    key_variable: str = DEFAULT_KEY_VARIABLE
    timeout_seconds: float = 120.0
    retries: int = 4
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    prompt_price: float | None = None
    answer_price: float | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatAnswer:
    """One answer. `cut_off`: the model stopped at its token limit, so the text has no end.

    reasoning: what a reasoning model wrote apart from its answer, where the endpoint tells.
    attempts counts this request's tries. Token counts are the endpoint's own, 0 where it gives
    none. seconds includes waiting between tries.
    """

    text: str
    reasoning: str = ""
    cut_off: bool = False
    prompt_tokens: int = 0
    answer_tokens: int = 0
    attempts: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointUsage:
    """What all answers so far took. cost: in the prices' currency, None without prices."""

    answers: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    cost: float | None = None


class _Retry(Exception):
    """A failure that may pass. `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class ChatEndpoint:
    """A client of one model. May be used from several threads."""

    def __init__(self, settings: EndpointSettings) -> None:
        _check_settings(settings)
        self.settings = settings
        self._usage = EndpointUsage()
        self._lock = threading.Lock()

    @property
    def usage(self) -> EndpointUsage:
        """What was used so far; failed requests count their attempts only."""
        return self._usage

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = 0.0,
        seed: int | None = None,
        cancelled: Cancelled = lambda: False,
    ) -> ChatAnswer:
        """The model's answer to `messages` ({"role", "content"} each).

        None leaves a field out of the request: some models refuse a temperature. Timeouts, lost
        connections, the statuses 408, 409, 425, 429 and 5xx, and answers that are no JSON of
        the expected form are tried again. Raises EndpointError when no try succeeded or the
        endpoint refused the request, CancelledError within a moment of being stopped. Blocks,
        and must not be called from a thread that runs an asyncio loop.
        """
        body: dict[str, object] = {"model": self.settings.model, "messages": list(messages)}
        wanted = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        body |= {n: v for n, v in wanted.items() if v is not None} | dict(self.settings.extra)
        return asyncio.run(self._stoppable(self._complete(body), cancelled))

    async def _stoppable(self, work: Awaitable[_T], cancelled: Cancelled) -> _T:
        task = asyncio.ensure_future(work)
        while not (await asyncio.wait({task}, timeout=_POLL_SECONDS))[0]:
            if cancelled():
                task.cancel()
                await asyncio.wait({task})
                raise CancelledError("the request to the endpoint was stopped")
        return task.result()

    async def _complete(self, body: Mapping[str, object]) -> ChatAnswer:
        started = time.perf_counter()
        settings = self.settings
        failures: list[str] = []
        async with httpx.AsyncClient(timeout=settings.timeout_seconds) as client:
            for attempt in range(1, settings.retries + 2):
                try:
                    answer = await asyncio.wait_for(
                        self._try(client, body), settings.timeout_seconds
                    )
                except EndpointError:
                    self._count(None, attempt)
                    raise
                except (asyncio.TimeoutError, httpx.TimeoutException):
                    failure = _Retry(f"no answer within {settings.timeout_seconds:g} s")
                except httpx.RequestError as error:
                    failure = _Retry(f"{type(error).__name__}: {error}")
                except _Retry as error:
                    failure = error
                else:
                    answer = replace(
                        answer, attempts=attempt, seconds=time.perf_counter() - started
                    )
                    self._count(answer, attempt)
                    return answer
                failures.append(str(failure))
                if attempt <= settings.retries:
                    await asyncio.sleep(self._wait(attempt, failure.wait))
        self._count(None, len(failures))
        raise EndpointError(
            f"expected an answer from {settings.model!r} at {settings.base_url}, got none in "
            f"{len(failures)} attempts (the last: {failures[-1]}); check the server, or try later"
        )

    async def _try(self, client: httpx.AsyncClient, body: Mapping[str, object]) -> ChatAnswer:
        key = _read_key(self.settings.key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{self.settings.base_url.rstrip('/')}/chat/completions"
        async with client.stream("POST", url, json=body, headers=headers) as response:
            data = await _read_bounded(response)
        if response.status_code in _BUSY or response.status_code >= 500:
            wait = _read_wait(response.headers.get("Retry-After", ""))
            raise _Retry(_describe(response.status_code, data, key), wait)
        if response.status_code != 200:
            raise EndpointError(
                f"expected {url} to answer, got {_describe(response.status_code, data, key)}; "
                f"check the URL, the model's name and the key in ${self.settings.key_variable}"
            )
        return _read_answer(data)

    def _wait(self, attempt: int, asked: float) -> float:
        """Seconds before the next try: doubling, spread so that many clients do not meet."""
        settings = self.settings
        doubled = settings.first_wait_seconds * 2.0 ** (attempt - 1) * random.uniform(0.75, 1.25)
        return min(max(doubled, asked), settings.longest_wait_seconds)

    def _count(self, answer: ChatAnswer | None, attempts: int) -> None:
        with self._lock:
            usage = replace(self._usage, attempts=self._usage.attempts + attempts)
            if answer is not None:
                usage = replace(
                    usage,
                    answers=usage.answers + 1,
                    prompt_tokens=usage.prompt_tokens + answer.prompt_tokens,
                    answer_tokens=usage.answer_tokens + answer.answer_tokens,
                    seconds=usage.seconds + answer.seconds,
                )
            self._usage = replace(usage, cost=self._price(usage))

    def _price(self, usage: EndpointUsage) -> float | None:
        prompt, answer = self.settings.prompt_price, self.settings.answer_price
        if prompt is None or answer is None:
            return None
        return (usage.prompt_tokens * prompt + usage.answer_tokens * answer) / 1e6


def _read_key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise EndpointError(
            f"expected a key of plain letters and digits in ${variable}, got other characters; "
            "copy it again"
        )
    return key


async def _read_bounded(response: httpx.Response) -> bytes:
    """The whole body, up to MAX_ANSWER_BYTES: a server may send without end."""
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > MAX_ANSWER_BYTES:
            raise EndpointError(
                f"expected an answer of at most {MAX_ANSWER_BYTES:,} bytes, got more; ask for "
                "fewer tokens"
            )
    return bytes(data)


def _read_answer(data: bytes) -> ChatAnswer:
    try:
        record: Any = json.loads(data)
        choice = record["choices"][0]
        message = choice["message"]
        text = message["content"]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise _Retry(f"no chat completion in JSON ({type(error).__name__})") from error
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if text is None and choice.get("finish_reason") == "length":
        text = ""  # the limit was spent on reasoning
    if not isinstance(text, str):
        raise _Retry("a chat completion without text")
    usage = record.get("usage")
    return ChatAnswer(
        text=text,
        reasoning=reasoning if isinstance(reasoning, str) else "",
        cut_off=choice.get("finish_reason") == "length",
        prompt_tokens=_read_count(usage, "prompt_tokens"),
        answer_tokens=_read_count(usage, "completion_tokens"),
    )


def _read_count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value >= 0 else 0


def _read_wait(text: str) -> float:
    """Retry-After in seconds; 0 for its other form, a date, and for nonsense."""
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0.0


def _describe(status: int, data: bytes, key: str) -> str:
    """A refusal in a line. Some servers repeat the key they were sent; that is blotted out."""
    text = " ".join(data[:2_000].decode("utf-8", "replace").split())
    text = text.replace(key, "***") if key else text
    return f"status {status}: {text[:300]}" if text else f"status {status}"


def _check_settings(settings: EndpointSettings) -> None:
    try:
        parts = urlsplit(settings.base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        secret = bool(parts.username or parts.password)
    except ValueError:
        usable = secret = False
    if not usable or secret:
        raise InputError(
            "expected a base URL like http://localhost:8000/v1 without a name or password in it, "
            f"got {'one with a password' if secret else repr(settings.base_url)}; correct it"
        )
    if not settings.model.strip():
        raise InputError("expected a model's name, got none; write it as the endpoint does")
    waits = (settings.first_wait_seconds, settings.longest_wait_seconds)
    if settings.timeout_seconds <= 0 or settings.retries < 0 or min(waits) < 0:
        raise InputError(
            "expected a timeout above 0 and retries and waits of 0 or more, got "
            f"{settings.timeout_seconds}, {settings.retries} and {waits}; correct them"
        )
