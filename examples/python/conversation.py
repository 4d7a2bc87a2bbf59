"""A live conversation of two clients: python3 conversation.py <url> [<token of alice> <token of bob>]

The tokens may also come as SIGNALBOX_ALICE and SIGNALBOX_BOB. Alice speaks MessagePack and Bob JSON."""
from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any, Awaitable, Callable

from signalbox import NOTHING, CallError, Client, Message, Presence

passed = failed = 0


def check(step: str, got: Any, wanted: Any = True) -> None:
    global passed, failed
    ok = got == wanted
    passed, failed = passed + ok, failed + (not ok)
    print(f"ok      {step}" if ok else f"FAILED  {step}\n        got {got!r}, wanted {wanted!r}", flush=True)


async def until(condition: Callable[[], Any], seconds: float = 10) -> bool:
    for _ in range(int(seconds * 50)):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


async def refusal(call: Awaitable[Any]) -> str:
    try:
        return f"answered: {await call!r}"
    except CallError as error:
        return error.code


class Inbox(list[Message]):
    async def next(self, seconds: float = 5) -> Message:
        await until(lambda: self, seconds)
        return self.pop(0) if self else Message("", "", "(nothing came)", None)


async def conversation(url: str, token_a: str, token_b: str) -> None:
    a, b = Client(url, token_a), Client(url, token_b, use_json=True)
    check("alice connects", (await a.connect())["resumed"], False)
    check("bob connects, with JSON frames", (await b.connect())["resumed"], False)
    alice, bob = a.welcome["client"], b.welcome["client"]
    to_a, to_b, rooms_a, rooms_b = Inbox(), Inbox(), Inbox(), Inbox()
    for client, inbox, rooms in ((a, to_a, rooms_a), (b, to_b, rooms_b)):
        client.on("note", inbox.append)
        client.on("news", inbox.append)
        client.on_room("chat", rooms.append)

    # Messages
    result = await a.send(bob, "note", {"hi": 1})
    got = await to_b.next()
    check("a kept message arrives", (got.sender, got.session, got.data), (alice, a.session, {"hi": 1}))
    check("its id is the one that the sender was told", got.id, result["id"])
    await b.send(alice, "note", {"grüß": ["dich", None, 1.5]}, trace="t-1")
    got = await to_a.next()
    check("and the other way, traced", (got.data, got.trace), ({"grüß": ["dich", None, 1.5]}, "t-1"))
    check("volatile: nothing is answered", await a.send(bob, "note", b"\x00\xff", volatile=True), None)
    got = await to_b.next()
    check("a volatile message arrives, without an id", (got.data, got.id), (b"\x00\xff", None))
    await a.send(f"{bob}#{b.session}", "note", "you")
    check("to one session", (await to_b.next()).data, "you")
    check("to a list", (await a.send([bob, "nobody"], "note", "list"))["absent"], ["nobody"])
    check("to a list: it arrives", (await to_b.next()).data, "list")
    check("to nobody", await refusal(a.send("nobody", "note")), "not_found")
    await asyncio.gather(*(a.send(bob, "note", n) for n in range(30)))
    check("30 at once arrive in order", [(await to_b.next()).data for _ in range(30)], list(range(30)))
    sdp = {"type": "offer", "sdp": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n" * 3}
    for data in (None, NOTHING, [b"in a list"], 2**60, -1.5, "x" * 5000, b"y" * 5000, {"a": {"b": [True]}}, sdp):
        await a.send(bob, "note", data)
        check(f"payload to bob: {data!r:.40}", (await to_b.next()).data, data)
        if data != [b"in a list"]:  # JSON has no bytes
            await b.send(alice, "note", data)
            check(f"payload to alice: {data!r:.40}", (await to_a.next()).data, data)
    await a.broadcast("news", "all")
    check("broadcast", (await to_b.next()).data, "all")

    # Requests
    async def slow(message: Message) -> None:
        await asyncio.sleep(3)

    def refuse(message: Message) -> None:
        raise CallError("limit", "too much")

    b.on_request("add", lambda message: sum(message.data))
    b.on_request("refuse", refuse)
    b.on_request("fail", lambda message: 1 // 0)
    b.on_request("slow", slow)
    check("request and reply", await a.request(bob, "add", [1, 2, 3]), 6)
    check("a reject keeps its code", await refusal(a.request(bob, "refuse")), "limit")
    check("a handler that fails", await refusal(a.request(bob, "fail")), "rejected")
    check("no handler", await refusal(a.request(bob, "other")), "no_handler")
    check("no answer in time", await refusal(a.request(bob, "slow", timeout=0.5)), "timeout")
    check("a request to nobody", await refusal(a.request("nobody", "add")), "not_found")

    # Rooms
    room = f"python/{a.session}"
    seen: list[Presence] = []
    check("watching needs joining", await refusal(a.watch(room, seen.append)), "not_joined")
    check("alice joins", await a.join(room), 1)
    await a.watch(room, seen.append)
    check("bob joins", await b.join(room), 2)
    check("alice sees bob come", await until(lambda: any(bob in p.joined for p in seen)))
    check("count", await a.count(room), 2)
    check("members", await a.members(room), {alice: 1, bob: 1})
    check("publish tells an id", "id" in await a.publish(room, "chat", "hello"))
    check("the room gets it: alice", (await rooms_a.next()).data, "hello")
    got = await rooms_b.next()
    check("the room gets it: bob", (got.data, got.room, got.sender), ("hello", room, alice))
    await a.publish(room, "chat", "not me", to_self=False)
    check("publish without oneself: the others", (await rooms_b.next()).data, "not me")
    await a.publish(room, "chat", "not bob", except_=[bob])
    await a.publish(room, "chat", "volatile", volatile=True)
    texts = [(await rooms_a.next()).data for _ in range(2)]
    check("publish, except bob, and volatile: alice", texts, ["not bob", "volatile"])
    check("publish, except bob, and volatile: bob", (await rooms_b.next()).data, "volatile")

    # Who is there
    check("clients", {alice, bob} <= set(await a.clients()))
    check("clients with a prefix", await b.clients(alice[:-1] + "~none"), [])
    check("online", (await a.online(bob), await a.online("nobody")), (True, False))
    check("a new token", await a.refresh_token() > 0)

    # The connection is lost
    session, closes = b.session, []
    b.on_close = closes.append
    b.drop()
    check("bob's connection drops", (await until(lambda: closes), closes), (True, [1006]))
    check("bob asks on a new connection", await b.online(alice), True)
    check("the same session goes on", (b.welcome["resumed"], b.session, b.welcome["rooms"]), (True, session, [room]))
    await a.send(f"{bob}#{session}", "note", "again")
    check("messages reach it", (await to_b.next()).data, "again")
    await a.publish(room, "chat", "again", to_self=False)
    check("and those of its room", (await rooms_b.next()).data, "again")

    session = a.session
    asking = asyncio.create_task(refusal(a.request(bob, "slow")))
    await asyncio.sleep(0.3)
    sending = asyncio.create_task(a.send(bob, "note", "once"))
    await asyncio.sleep(0)
    a.drop()
    check("a request that lost its connection", await asking, "unknown_outcome")
    await sending
    check("alice resumes", (a.welcome["resumed"], a.session), (True, session))
    await a.send(bob, "note", "then")
    check("a kept message on its way is stored once", [(await to_b.next()).data for _ in range(2)], ["once", "then"])
    del seen[:]
    check("bob leaves", await b.leave(room), True)
    check("alice watches again by herself", await until(lambda: any(bob in p.left for p in seen), 15))
    check("leaving twice", await b.leave(room), False)
    await a.leave_all()
    check("alice leaves all", await a.count(room), 0)

    # The end
    twin, closes = Client(url, token_b), []
    twin.welcome, b.on_close = dict(b.welcome), closes.append
    check("a second connection takes bob's session over", (await twin.connect())["resumed"], True)
    check("the first is closed, and does not come back", (await until(lambda: closes), closes), (True, [4503]))
    check("calls on it end", await refusal(b.online(alice)), "superseded")
    await twin.close()
    check("bye ends the session", await until_offline(a, bob), True)
    wrong = Client(url, "not.a.token")
    check("a wrong token", await refusal(wrong.connect()), "invalid_token")
    closes = []
    a.on_close = closes.append
    await a.close()
    check("alice says bye", closes, [1000])
    await b.close()


async def until_offline(client: Client, other: str) -> bool:
    for _ in range(50):
        if not await client.online(other):
            return True
        await asyncio.sleep(0.2)
    return False


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("signalbox").setLevel(logging.CRITICAL)  # handlers fail here on purpose
    tokens = sys.argv[2:4] or [os.environ["SIGNALBOX_ALICE"], os.environ["SIGNALBOX_BOB"]]
    asyncio.run(asyncio.wait_for(conversation(sys.argv[1], *tokens), 120))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
