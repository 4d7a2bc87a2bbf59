"""Runs every vector of a protocol-vectors.json: python3 test_vectors.py <file>"""
from __future__ import annotations

import base64
import hashlib
import json
import sys
from datetime import datetime
from typing import Any, Callable

import wire

passed = failed = 0


def check(name: str, got: Any, wanted: Any) -> None:
    global passed, failed
    if got == wanted and type(got) is type(wanted):
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}\n  got    {got!r}\n  wanted {wanted!r}")


def outcome(run: Callable[[], Any]) -> Any:
    """What a call gives, or the code that it is refused with."""
    try:
        return run()
    except (wire.CallError, wire.FrameError) as error:
        return f"refused: {error.code}"


def meaning(frame: wire.Frame) -> dict[str, Any]:
    """A frame as the vectors write it."""
    return {k: {"encoding": v.encoding, "hex": v.data.hex()} if isinstance(v, wire.Payload) else v for k, v in frame.items()}


def from_meaning(frame: dict[str, Any]) -> wire.Frame:
    return {k: to_payload(v) if k == "payload" else v for k, v in frame.items()}


def to_payload(vector: dict[str, Any]) -> wire.Payload:
    return wire.Payload(vector["encoding"], bytes.fromhex(vector["hex"]))


def read(vector: dict[str, Any], key: str) -> dict[str, Any]:
    table = wire.CLIENT_FRAMES if vector["from"] == "client" else wire.GATEWAY_FRAMES
    if key == "json":
        return meaning(wire.decode_json(vector["json"], table))
    return meaning(wire.decode_msgpack(bytes.fromhex(vector["msgpack"]), table))


def main(file: str) -> int:
    with open(file, encoding="utf-8") as opened:
        vectors = json.load(opened)
    check("version", vectors["version"], 1)

    for name, vector in vectors["dictionaries"].items():
        data = base64.b64decode(vector["base64"])
        check(f"dictionary {name}", data, {"1": wire.DICTIONARY_1}.get(name))
        check(f"dictionary {name}: sha256", hashlib.sha256(data).hexdigest(), vector["sha256"])

    frames = {vector["name"]: vector["frame"] for vector in vectors["frames"]}
    for vector in vectors["frames"]:
        name, frame = vector["name"], from_meaning(vector["frame"])
        for key in ("msgpack", "json"):
            check(f"{name}: {key} decoded", outcome(lambda: read(vector, key)), vector["frame"])
        check(f"{name}: msgpack encoded", wire.encode_msgpack(frame).hex(), vector["msgpack"])
        again = {**vector, "json": wire.encode_json(frame)}
        check(f"{name}: json encoded", outcome(lambda: read(again, "json")), vector["frame"])

    for vector in vectors["alsoValid"]:
        for key in ("msgpack", "json"):
            check(f"{vector['name']}: {key}", outcome(lambda: read(vector, key)), frames[vector["frame"]])

    for vector in vectors["payloads"]:
        value = vector.get("value", wire.NOTHING)
        check(f"payload: {vector['name']}", outcome(lambda: wire.decode_payload(to_payload(vector))), value)
        encoded = wire.encode_payload(value, as_json=vector["encoding"] == 2)
        check(f"payload: {vector['name']}: encoded", encoded.encoding, vector["encoding"])
        check(f"payload: {vector['name']}: there and back", outcome(lambda: wire.decode_payload(encoded)), value)

    for vector in vectors["timestamps"]:
        time = datetime.fromisoformat(vector["time"].replace("Z", "+00:00"))
        check(f"timestamp: {vector['name']}", outcome(lambda: wire.decode_payload(to_payload(vector))), time)

    for vector in vectors["compression"]:
        check(f"compression: {vector['name']}", outcome(lambda: wire.inflate(to_payload(vector)).hex()), vector["inflated"])
        dictionary = bool(vector["encoding"] >> 5)
        ours = wire.Payload(vector["encoding"], wire._deflate(bytes.fromhex(vector["inflated"]), dictionary))
        check(f"compression: {vector['name']}: ours", outcome(lambda: wire.inflate(ours).hex()), vector["inflated"])
    for vector in vectors["invalidCompression"]:
        check(f"invalid: {vector['name']}", outcome(lambda: wire.inflate(to_payload(vector)).hex()), "refused: bad_payload")

    # What the gateway writes must give the same data as the payload itself.
    for vector in vectors["shownToJsonClients"]:
        shown = wire.decode_json(f'[23,1,{vector["json"]}]')["payload"]
        wanted = outcome(lambda: wire.decode_payload(to_payload(vector)))
        check(f"shown: {vector['name']}", outcome(lambda: wire.decode_payload(shown)), wanted)

    # These are answers of a gateway; our decoder is strict enough to give the same.
    for vector in vectors["invalid"]:
        for key in ("msgpack", "json"):
            if key in vector:
                try:
                    got: Any = read(vector, key)
                except wire.FrameError as error:
                    got = (error.code, error.ref)
                check(f"invalid: {vector['name']}: {key}", got, (vector["code"], vector["ref"]))

    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
