"""Runs every vector of a protocol-vectors.json: python3 test_vectors.py <file>"""
from __future__ import annotations

import base64
import hashlib
import json
import sys
from typing import Any, Callable

import signalbox as sb

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
    except (sb.CallError, sb.FrameError) as error:
        return f"refused: {error.code}"


def meaning(frame: sb.Frame) -> dict[str, Any]:
    """A frame as the vectors write it."""
    return {k: {"encoding": v.encoding, "hex": v.data.hex()} if isinstance(v, sb.Payload) else v for k, v in frame.items()}


def from_meaning(frame: dict[str, Any]) -> sb.Frame:
    return {k: to_payload(v) if k == "payload" else v for k, v in frame.items()}


def to_payload(vector: dict[str, Any]) -> sb.Payload:
    return sb.Payload(vector["encoding"], bytes.fromhex(vector["hex"]))


def read(vector: dict[str, Any], key: str) -> dict[str, Any]:
    table = sb.CLIENT_FRAMES if vector["from"] == "client" else sb.GATEWAY_FRAMES
    if key == "json":
        return meaning(sb.decode_json(vector["json"], table))
    return meaning(sb.decode_msgpack(bytes.fromhex(vector["msgpack"]), table))


def main(file: str) -> int:
    with open(file, encoding="utf-8") as opened:
        vectors = json.load(opened)
    check("version", vectors["version"], 1)

    for name, vector in vectors["dictionaries"].items():
        data = base64.b64decode(vector["base64"])
        check(f"dictionary {name}", data, {"1": sb.DICTIONARY_1}.get(name))
        check(f"dictionary {name}: sha256", hashlib.sha256(data).hexdigest(), vector["sha256"])

    frames = {vector["name"]: vector["frame"] for vector in vectors["frames"]}
    for vector in vectors["frames"]:
        name, frame = vector["name"], from_meaning(vector["frame"])
        for key in ("msgpack", "json"):
            check(f"{name}: {key} decoded", outcome(lambda: read(vector, key)), vector["frame"])
        # Ours may differ in length of integers and the like, so only the meaning must be the same; but it does not.
        check(f"{name}: msgpack encoded", sb.encode_msgpack(frame).hex(), vector["msgpack"])
        again = {**vector, "json": sb.encode_json(frame)}
        check(f"{name}: json encoded", outcome(lambda: read(again, "json")), json_meaning(vector))

    for vector in vectors["alsoValid"]:
        for key in ("msgpack", "json"):
            check(f"{vector['name']}: {key}", outcome(lambda: read(vector, key)), frames[vector["frame"]])

    for vector in vectors["payloads"]:
        value = vector.get("value", sb.NOTHING)
        check(f"payload: {vector['name']}", outcome(lambda: sb.decode_payload(to_payload(vector))), value)
        encoded = sb.encode_payload(value, as_json=vector["encoding"] == 2)
        check(f"payload: {vector['name']}: encoded", encoded.encoding, vector["encoding"])
        check(f"payload: {vector['name']}: there and back", outcome(lambda: sb.decode_payload(encoded)), value)

    for vector in vectors["compression"]:
        check(f"compression: {vector['name']}", outcome(lambda: sb.inflate(to_payload(vector)).hex()), vector["inflated"])
        dictionary = bool(vector["encoding"] >> 5)
        ours = sb.Payload(vector["encoding"], sb._deflate(bytes.fromhex(vector["inflated"]), dictionary))
        check(f"compression: {vector['name']}: ours", outcome(lambda: sb.inflate(ours).hex()), vector["inflated"])
    for vector in vectors["invalidCompression"]:
        check(f"invalid: {vector['name']}", outcome(lambda: sb.inflate(to_payload(vector)).hex()), "refused: bad_payload")

    # What the gateway writes must give the same data as the payload itself.
    for vector in vectors["shownToJsonClients"]:
        shown = sb.decode_json(f'[23,1,{vector["json"]}]')["payload"]
        wanted = outcome(lambda: sb.decode_payload(to_payload(vector)))
        check(f"shown: {vector['name']}", outcome(lambda: sb.decode_payload(shown)), wanted)

    # These are answers of a gateway; our decoder is strict enough to give the same.
    for vector in vectors["invalid"]:
        for key in ("msgpack", "json"):
            if key in vector:
                try:
                    got: Any = read(vector, key)
                except sb.FrameError as error:
                    got = (error.code, error.ref)
                check(f"invalid: {vector['name']}: {key}", got, (vector["code"], vector["ref"]))

    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def json_meaning(vector: dict[str, Any]) -> dict[str, Any]:
    return vector["frame"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
