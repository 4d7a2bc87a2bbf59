"""A client for the signalbox gateway, version 1 of its protocol (docs/protocol.md), on asyncio.

    client = Client("ws://127.0.0.1:8080/v1/connect", token)
    client.on("greet", lambda message: print(message.sender, message.data))
    await client.connect()
    await client.send("bob", "greet", {"hi": 1})
    await client.close()
"""
from __future__ import annotations

import asyncio
import inspect
import logging
import random
import time
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Optional, Union

import websockets

from wire import (
    CALL_CODES, NOTHING, CallError, Frame, FrameError, Payload, comes_back, decode_json, decode_msgpack, decode_payload,
    encode_json, encode_msgpack, encode_payload,
)

__all__ = ["NOTHING", "CallError", "Client", "Message", "Payload"]
log = logging.getLogger("signalbox")

Token = Union[str, Callable[[], Union[str, Awaitable[str]]]]
LONGEST_FRAME = 4 * 1024 * 1024  # that we take
REJECT_CODES = CALL_CODES - {"aborted", "closed", "offline", "queue_full", "bad_payload"}  # those never travel
CLOSE_NAMES = {
    1000: "closed", 1012: "restart", 1013: "overloaded", 4500: "bad_frame", 4501: "invalid_token", 4502: "forbidden",
    4503: "superseded", 4504: "kicked", 4505: "limit_exceeded", 4506: "unsupported_version", 4507: "replaced",
    4508: "duplicate_client", 4509: "too_many_errors",
}


@dataclass
class Message:
    """What another session sent: to us, to a room, or as a request."""

    sender: str
    session: str
    event: str
    data: Any
    id: Optional[str] = None  # None: volatile
    room: Optional[str] = None  # None: sent to us and not to a room
    trace: Optional[str] = None


@dataclass
class Presence:
    room: str
    joined: list[str]
    left: list[str]
    count: int


MessageHandler = Callable[[Message], Any]
PresenceHandler = Callable[[Presence], Any]


class Client:
    def __init__(self, url: str, token: Token, *, use_json: bool = False, agent: str = "signalbox-python/1") -> None:
        self._url, self._token, self._json, self._agent = url, token, use_json, agent
        self.welcome: dict[str, Any] = {}
        self.on_close: Callable[[int], Any] = lambda code: None  # each time a connection ends
        self._messages: dict[str, MessageHandler] = {}
        self._room_messages: dict[str, MessageHandler] = {}
        self._requests: dict[str, MessageHandler] = {}
        self._watches: dict[str, PresenceHandler] = {}
        self._rooms: set[str] = set()
        self._ref = 0
        self._calls: dict[int, tuple[asyncio.Future[Any], Frame]] = {}  # waiting for their answer
        self._numbers: dict[str, Optional[int]] = {}  # channel: last number stored; None: not known any more
        self._locks: dict[str, asyncio.Lock] = {}
        self._ws: Any = None
        self._online: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._goaway: Optional[Frame] = None
        self._closing = False
        self._runner: Optional[asyncio.Task[None]] = None
        self._tasks: set[asyncio.Future[Any]] = set()

    @property
    def session(self) -> str:
        return self.welcome["session"]

    # ------------------------------------------------------------ the connection (sections 1 and 6)

    async def connect(self) -> dict[str, Any]:
        """Waits for the first welcome; raises CallError where the gateway says that coming back is of no use."""
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        await asyncio.shield(self._online)
        return self.welcome

    async def close(self) -> None:
        """Ends the session for good."""
        self._closing = True
        if self._runner is None:
            return
        await self._write({"type": "bye"})
        await asyncio.wait({self._runner}, timeout=5 if self._ws else 0)
        self._runner.cancel()
        self._stop("closed")

    def drop(self) -> None:
        """Cuts the TCP connection, as a lost network does. For tests."""
        if self._ws is not None:
            self._ws.transport.abort()

    async def _run(self) -> None:
        attempt = 0
        while True:
            began = time.monotonic()
            self._goaway = None
            code = await self._one_connection()
            welcomed = self._ws is not None and self.welcome
            self._lost()
            self.on_close(code)
            if self._closing or not comes_back(code):
                return self._stop(CLOSE_NAMES.get(code, "closed"), f"the connection ended with {code}")
            if welcomed and time.monotonic() - began > 5:
                attempt = 0
            wait = random.uniform(0, min(30.0, 0.5 * 2 ** min(attempt, 10)))
            hint = self._goaway["retryAfterMs"] / 1000 if self._goaway else 0.0
            log.info("connection ended with %d, again in %.1f s", code, max(wait, hint))
            await asyncio.sleep(max(wait, hint))
            attempt += 1

    async def _one_connection(self) -> int:
        """Lives through one connection and tells the close code."""
        try:
            token = await self._fetch_token()
            self._ws = await websockets.connect(  # type: ignore[attr-defined]
                self._url, subprotocols=["signalbox.v1.json" if self._json else "signalbox.v1.msgpack"],
                compression=None, ping_interval=None, max_size=LONGEST_FRAME,
            )
        except websockets.InvalidStatusCode as error:  # type: ignore[attr-defined]
            log.warning("the gateway refused with HTTP %d", error.status_code)
            return 1006 if error.status_code == 429 or error.status_code >= 500 else 1008
        except Exception as error:
            log.warning("no connection: %s", error)
            return 1006
        resume = {"session": self.session, "key": self.welcome["resumeKey"]} if self.welcome else None
        await self._write({"type": "hello", "version": 1, "token": token, "resume": resume, "agent": self._agent})
        silence = 10.0
        try:
            while True:
                raw = await asyncio.wait_for(self._ws.recv(), silence)
                try:
                    frame = decode_json(raw) if isinstance(raw, str) else decode_msgpack(raw)
                except FrameError as error:
                    if error.code != "unknown_type":
                        log.warning("a frame that cannot be read: %s", error)
                    continue
                await self._handle(frame)
                silence = 2 * self.welcome["pingIntervalMs"] / 1000 if self.welcome else silence
        except asyncio.TimeoutError:
            self.drop()
            return 1006
        except websockets.ConnectionClosed:  # type: ignore[attr-defined]
            code = self._ws.close_code or 1006
            return self._goaway["close"] if self._goaway and code in (1005, 1006) else code

    async def _fetch_token(self) -> str:
        token = self._token() if callable(self._token) else self._token
        return await token if inspect.isawaitable(token) else token

    async def _write(self, frame: Frame) -> None:
        if self._ws is not None:
            try:
                await self._ws.send(encode_json(frame) if self._json else encode_msgpack(frame))
            except websockets.ConnectionClosed:  # type: ignore[attr-defined]
                pass  # the reader sees it too, and settles the calls

    def _lost(self) -> None:
        self._ws = None
        if self._online.done():
            self._online = asyncio.get_running_loop().create_future()
        for future, frame in self._calls.values():
            if not frame.get("seq") and not future.done():  # numbered ones are sent again
                future.set_exception(CallError("unknown_outcome", "the connection was lost"))

    def _stop(self, code: str, text: str = "") -> None:
        error = CallError(code, text)
        for future in [self._online, *(future for future, _ in self._calls.values())]:
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody needs to look at it

    async def _restore(self) -> None:
        """After a welcome: what the session must have before the application goes on."""
        try:
            if self.welcome["resumed"]:
                self._rooms = set(self.welcome["rooms"])
                for _, frame in list(self._calls.values()):
                    if frame.get("seq"):
                        await self._write(frame)
            else:
                self._numbers = {}
                for future, frame in self._calls.values():
                    if not future.done():
                        future.set_exception(CallError("unknown_outcome", "the session was lost"))
                for room in list(self._rooms):
                    await self._restore_one("join", room=room)
            for room in list(self._watches):
                await self._restore_one("watch", room=room, on=True)
        finally:
            if not self._online.done() and self._ws is not None:
                self._online.set_result(None)

    async def _restore_one(self, type_: str, **fields: Any) -> None:
        try:
            await self._call_now({"type": type_, **fields})
        except CallError as error:
            log.warning("%s of %s after coming back: %s", type_, fields["room"], error)

    # ------------------------------------------------------------ frames from the gateway

    async def _handle(self, frame: Frame) -> None:
        kind = frame["type"]
        if kind == "ping":
            await self._write({"type": "pong"})
        elif kind == "welcome":
            self.welcome = frame["info"]
            self._spawn(self._restore())
        elif kind in ("ok", "response", "error"):
            future, _ = self._calls.get(frame["ref"], (None, None))
            if future is None or future.done():
                return
            if kind == "ok":
                future.set_result(frame["result"])
            elif kind == "error":
                future.set_exception(CallError(frame["code"], frame["text"]))
            else:
                self._settle(future, frame["payload"])
        elif kind == "goaway":
            self._goaway = frame
        elif kind == "expiring":
            self._spawn(self.refresh_token())
        elif kind == "requested":
            self._spawn(self._answer(frame))
        elif kind == "presence":
            if frame["room"] in self._watches:
                presence = Presence(frame["room"], frame["joined"], frame["left"], frame["count"])
                self._deliver(self._watches[frame["room"]], presence)
        elif kind in ("message", "roomMessage"):
            handler = (self._messages if kind == "message" else self._room_messages).get(frame["event"])
            if handler is not None:
                try:
                    self._deliver(handler, self._message(frame))
                except CallError as error:
                    log.warning("a message of %s is dropped: %s", frame["from"], error)

    @staticmethod
    def _settle(future: asyncio.Future[Any], payload: Payload) -> None:
        try:
            future.set_result(decode_payload(payload))
        except CallError as error:
            future.set_exception(error)

    @staticmethod
    def _message(frame: Frame) -> Message:
        return Message(
            frame["from"], frame["session"], frame["event"], decode_payload(frame["payload"]), frame.get("id"),
            frame.get("room"), frame["options"].get("trace"),
        )

    def _deliver(self, handler: Callable[[Any], Any], value: Any) -> None:
        try:
            result = handler(value)
            if inspect.isawaitable(result):
                self._spawn(result)
        except Exception:
            log.exception("a handler failed")

    def _spawn(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, frame: Frame) -> None:
        handle = {"handle": frame["handle"]}
        try:
            handler = self._requests.get(frame["event"])
            if handler is None:
                raise CallError("no_handler", f"nobody answers {frame['event']}")
            result = handler(self._message(frame))
            result = await result if inspect.isawaitable(result) else result
            await self._write({"type": "reply", **handle, "payload": self._payload(result)})
        except CallError as error:
            code = error.code if error.code in REJECT_CODES else "rejected"
            await self._write({"type": "reject", **handle, "code": code, "text": error.text[:1024]})
        except Exception:
            log.exception("the handler of %s failed", frame["event"])
            await self._write({"type": "reject", **handle, "code": "rejected", "text": "the handler failed"})

    # ------------------------------------------------------------ calls (section 3)

    def _payload(self, data: Any) -> Payload:
        return encode_payload(data, self._json)

    async def _call_now(self, frame: Frame) -> Any:
        self._ref = self._ref % (2**32 - 1) + 1
        frame["ref"] = ref = self._ref
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[ref] = (future, frame)
        try:
            await self._write(frame)
            return await future
        finally:
            del self._calls[ref]

    async def _call(self, type_: str, **fields: Any) -> Any:
        await asyncio.shield(self._online)  # a call waits for the connection
        return await self._call_now({"type": type_, **fields})

    async def _numbered(self, channel: str, type_: str, **fields: Any) -> Any:
        """A kept message with a number, so that it is stored once even if the connection is lost meanwhile. One after
        the other for each channel: a number counts as used only when it was stored."""
        async with self._locks.setdefault(channel, asyncio.Lock()):
            await asyncio.shield(self._online)
            numbers, last = self._numbers, self._numbers.setdefault(channel, 0)
            if last is None:
                return await self._call(type_, seq=None, **fields)
            numbers[channel] = None  # until we know
            try:
                for pause in (0.2, 0.5, 1, 2, 0):
                    try:
                        result = await self._call(type_, seq=last + 1, **fields)
                        numbers[channel] = last + 1
                        return result
                    except CallError as error:
                        passing = error.code in ("unknown_outcome", "unavailable", "overloaded")
                        if not passing or not pause or numbers is not self._numbers:  # a new session counts anew
                            raise
                    await asyncio.sleep(pause)
            except CallError as error:
                if error.code not in ("unknown_outcome", "internal_error", "out_of_order"):
                    numbers[channel] = last  # refused: not stored
                raise

    async def send(
        self, to: Union[str, list[str]], event: str, data: Any = NOTHING, *, volatile: bool = False,
        trace: Optional[str] = None,
    ) -> Any:
        """Kept: `{"id"}` once it is stored, for a list of targets `{"absent"}`. Volatile: None, at once."""
        fields = {"options": {"trace": trace} if trace else {}, "to": to, "event": event, "payload": self._payload(data)}
        if volatile:
            return await self._write({"type": "send", "ref": 0, "seq": 0, **fields})
        if isinstance(to, list):
            return await self._call("send", seq=None, **fields)
        return await self._numbered("to " + to.partition("#")[0], "send", **fields)

    async def publish(
        self, room: str, event: str, data: Any = NOTHING, *, volatile: bool = False, to_self: bool = True,
        except_: Optional[list[str]] = None, trace: Optional[str] = None,
    ) -> Any:
        options: dict[str, Any] = {} if to_self else {"self": False}
        options.update({"except": except_} if except_ else {}, **({"trace": trace} if trace else {}))
        fields = {"options": options, "room": room, "event": event, "payload": self._payload(data)}
        if volatile:
            return await self._write({"type": "publish", "ref": 0, "seq": 0, **fields})
        return await self._numbered("in " + room, "publish", **fields)

    async def broadcast(self, event: str, data: Any = NOTHING) -> None:
        await self._call("broadcast", options={}, event=event, payload=self._payload(data))

    async def request(self, to: str, event: str, data: Any = NOTHING, *, timeout: float = 10.0) -> Any:
        """The answer's data; CallError with the code of a reject, `no_handler`, `timeout` …"""
        milliseconds = max(1, min(120_000, int(timeout * 1000)))
        fields = {"options": {}, "to": to, "event": event, "payload": self._payload(data)}
        return await self._call("request", timeoutMs=milliseconds, **fields)

    async def join(self, room: str) -> int:
        result = await self._call("join", room=room)
        self._rooms.add(room)
        return result["count"]

    async def leave(self, room: str) -> bool:
        self._rooms.discard(room)
        self._watches.pop(room, None)
        return await self._call("leave", room=room)

    async def leave_all(self) -> None:
        self._rooms.clear()
        self._watches.clear()
        await self._call("leaveAll")

    async def _pages(self, type_: str, rows: str, **fields: Any) -> list[Any]:
        found: list[Any] = []
        cursor = None
        while True:
            page = await self._call(type_, cursor=cursor, limit=1000, **fields)
            found += page[rows]
            cursor = page["cursor"]
            if cursor is None:
                return found

    async def members(self, room: str) -> dict[str, int]:
        """Client id: number of its sessions in the room."""
        return {row["client"]: row["sessions"] for row in await self._pages("members", "members", room=room)}

    async def count(self, room: str) -> int:
        return await self._call("count", room=room)

    async def clients(self, prefix: str = "") -> list[str]:
        return await self._pages("clients", "clients", prefix=prefix)

    async def online(self, client: str) -> bool:
        return await self._call("online", client=client)

    async def watch(self, room: str, handler: Optional[PresenceHandler]) -> None:
        """Tells who comes and goes in a room that we are in; None ends it."""
        if handler is None:
            self._watches.pop(room, None)
        await self._call("watch", room=room, on=handler is not None)
        if handler is not None:
            self._watches[room] = handler

    async def refresh_token(self) -> int:
        """Sends a new token, by itself when the old one expires soon. Milliseconds until the new one does."""
        return (await self._call("token", token=await self._fetch_token()))["expiresInMs"]

    # ------------------------------------------------------------ handlers: one for each event

    def on(self, event: str, handler: MessageHandler) -> None:
        self._messages[event] = handler

    def on_room(self, event: str, handler: MessageHandler) -> None:
        self._room_messages[event] = handler

    def on_request(self, event: str, handler: MessageHandler) -> None:
        """The handler's result (or what it awaits) is the reply. CallError(code, text) rejects with that code."""
        self._requests[event] = handler
