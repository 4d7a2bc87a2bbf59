"""Frames and payloads of the signalbox protocol, version 1 (docs/protocol.md, sections 2, 4, 5 and 7): no network here."""
from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any, Callable, NamedTuple

import msgpack

from dictionary1 import DICTIONARY_1

# ---------------------------------------------------------------- errors


class CallError(Exception):
    """A call was refused, or could not be finished. Decide by `code`."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}" if text else code)
        self.code, self.text = code, text


class FrameError(Exception):
    """Bytes that are no frame (`bad_frame`), or a frame with a wrong field (`bad_parameter`, `unknown_type`)."""

    def __init__(self, code: str, ref: int = 0, text: str = "") -> None:
        super().__init__(f"{code} {text}")
        self.code, self.ref = code, ref


CALL_CODES = set(
    "not_found bad_parameter unknown_type not_joined limit unavailable unknown_outcome out_of_order expired timeout rejected "
    "no_handler credit_exceeded slow_reader busy provider_gone partner_gone aborted closed offline queue_full "
    "bad_payload unknown_encoding".split()
)


def comes_back(close: int) -> bool:
    """Whether a client resumes by itself after this close code (section 8)."""
    return not (close in (1000, 1002, 1003, 1007, 1008, 1009) or 4500 <= close <= 4999)


# ---------------------------------------------------------------- payloads (section 4)


class Payload(NamedTuple):
    encoding: int
    data: bytes

    def valid(self) -> bool:
        codec, deflated, dictionary = self.encoding & 15, self.encoding & 16, self.encoding >> 5
        if codec == 0:
            return self.encoding == 0 and not self.data
        return dictionary == 0 or (dictionary == 1 and bool(deflated))


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()  # "no data at all", which is not the same as None
CODECS = ["none", "msgpack", "json", "bytes", *(f"codec{n}" for n in range(4, 8)), *(f"app{n}" for n in range(8, 16))]
INFLATE_LIMIT = 1_048_576
DEPTH_LIMIT = 64


def inflate(payload: Payload) -> bytes:
    unzip = zlib.decompressobj(zdict=DICTIONARY_1) if payload.encoding >> 5 else zlib.decompressobj()
    try:
        data = unzip.decompress(payload.data, INFLATE_LIMIT + 1)
    except zlib.error as error:
        raise CallError("bad_payload", str(error)) from None
    if len(data) > INFLATE_LIMIT or not unzip.eof or unzip.unused_data:
        raise CallError("bad_payload", "not one whole zlib stream of at most 1 MiB")
    return data


def _deflate(data: bytes, with_dictionary: bool) -> bytes:
    zipper = zlib.compressobj(zdict=DICTIONARY_1) if with_dictionary else zlib.compressobj()
    return zipper.compress(data) + zipper.flush()


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    if any(key == "__proto__" for key, _ in pairs):
        raise ValueError("the key __proto__")
    return dict(pairs)


def _no_ext(code: int, _data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def encode_payload(data: Any = NOTHING, as_json: bool = False) -> Payload:
    """Bytes as they are, everything else as MessagePack (or JSON); larger ones deflated. A Payload goes out unchanged."""
    if isinstance(data, Payload):
        return data
    if data is NOTHING:
        return Payload(0, b"")
    try:
        if isinstance(data, (bytes, bytearray)):
            codec, raw = 3, bytes(data)
        elif as_json:
            codec, raw = 2, json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
        else:
            codec, raw = 1, msgpack.packb(data, datetime=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise CallError("bad_payload", str(error)) from None
    signaling = b"v=0\r\n" in raw or b"v=0\\r\\n" in raw or b"candidate:" in raw
    if len(raw) >= (64 if signaling else 256):
        small = _deflate(raw, signaling)
        if len(small) < len(raw):
            return Payload(codec | 16 | (32 if signaling else 0), small)
    return Payload(codec, raw)


def decode_payload(payload: Payload) -> Any:
    """The data of a payload; NOTHING where there are none; the Payload itself where the codec is not one of ours."""
    codec = payload.encoding & 15
    if not payload.valid():
        raise CallError("bad_payload", f"encoding {payload.encoding}")
    if codec == 0:
        return NOTHING
    if codec > 3:
        return payload
    raw = inflate(payload) if payload.encoding & 16 else payload.data
    try:
        if codec == 3:
            return raw
        if codec == 2:
            value = json.loads(raw.decode(), parse_constant=_no_constant)
        else:
            value = msgpack.unpackb(raw, timestamp=3, strict_map_key=False, object_pairs_hook=_map, ext_hook=_no_ext)
        if _depth(value) > DEPTH_LIMIT:
            raise ValueError("nested too deep")
        return value
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise CallError("bad_payload", str(error)) from None


# ---------------------------------------------------------------- frames (section 2)

Frame = dict[str, Any]
_NAME = re.compile(r"[A-Za-z0-9._~@:/+-]{1,128}")
_SESSION = re.compile(r"[A-Za-z0-9_-]{22}")


def _int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _str(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and low <= len(value) <= high


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_session(value: Any) -> bool:
    return isinstance(value, str) and _SESSION.fullmatch(value) is not None


def _is_address(value: Any) -> bool:
    client, hash_, session = value.partition("#") if isinstance(value, str) else ("", "", "")
    return _is_name(client) and (not hash_ or _is_session(session))


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_name, value))


def _is_cursor(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    room, id_ = value
    return (room is None or _is_name(room)) and (id_ is None or _str(1, 1024)(id_))


_OPTIONS: dict[str, Callable[[Any], bool]] = {
    "trace": lambda v: _is_name(v) and len(v) <= 64,
    "except": lambda v: _is_names(v) and len(v) <= 256,
    "self": lambda v: isinstance(v, bool),
    "first": lambda v: type(v) is int and 1 <= v < 2**53,
    "delivered": lambda v: v is True,
    "ttlMs": lambda v: type(v) is int and 1 <= v <= 86_400_000,
    "offline": lambda v: v == "keep",
    "idempotent": lambda v: v is True,
    "standing": lambda v: _is_name(v) and len(v) <= 64,
    "seq": lambda v: type(v) is int and 0 <= v < 2**53,
}


def _is_options(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(check(value[key]) for key, check in _OPTIONS.items() if key in value)


KINDS: dict[str, Callable[[Any], bool]] = {
    "uint": _int(0, 2**53 - 1),
    "trace": lambda v: _is_name(v) and len(v) <= 64,
    "ref": _int(1, 2**32 - 1),
    "ref0": _int(0, 2**32 - 1),
    "close": _int(1000, 4999),
    "timeout": _int(1, 120_000),
    "limit": _int(1, 1000),
    "name": _is_name,
    "service": lambda v: _is_name(v) and len(v) <= 100 and "~" not in v,
    "prefix": lambda v: v == "" or _is_name(v),
    "session": _is_session,
    "address": _is_address,
    "targets": lambda v: _is_address(v) or (isinstance(v, list) and 1 <= len(v) <= 256 and all(map(_is_address, v))),
    "opaque": _str(1, 1024),
    "token": lambda v: isinstance(v, str) and len(v.encode()) <= 4096,
    "text": _str(0, 1024),
    "code": _str(1, 1024),
    "callcode": lambda v: isinstance(v, str) and v in CALL_CODES,
    "endcode": lambda v: isinstance(v, str) and (v == "normal" or v in CALL_CODES),
    "three": _int(0, 2),
    "whole": lambda v: _is_address(v) and "#" in v,
    "list": lambda v: isinstance(v, list),
    "bool": lambda v: isinstance(v, bool),
    "names": _is_names,
    "options": _is_options,
    "map": lambda v: isinstance(v, dict),
    "any": lambda v: True,
    "seq": _int(1, 2**53 - 1),
    "since": lambda v: _int(0, 1000)(v) or _str(1, 1024)(v),
    "resume": lambda v: isinstance(v, list)
    and len(v) >= 2
    and _is_session(v[0])
    and _str(1, 1024)(v[1])
    and (len(v) < 3 or (isinstance(v[2], list) and all(map(_is_cursor, v[2])))),
    "payload": lambda v: _int(0, 255)(v[0]) and isinstance(v[1], bytes) and Payload(*v).valid(),
}


class FrameType(NamedTuple):
    number: int
    name: str
    fields: list[tuple[str, str, bool]]  # name, kind, whether it may be nil


def _table(text: str) -> dict[int, FrameType]:
    rows = {}
    for line in text.strip().splitlines():
        number, name, *fields = line.split()
        parts = [(f.rstrip("?").partition(":"), f.endswith("?")) for f in fields]
        rows[int(number)] = FrameType(int(number), name, [(p[0], p[2] or p[0], nil) for p, nil in parts])
    return rows


CLIENT_FRAMES = _table("""
    0 hello version:uint token? resume? agent:text?
    3 pong
    4 token ref token
    9 bye
    16 send ref:ref0 seq:uint? options to:targets event:name payload
    18 broadcast ref:ref0 options event:name payload
    19 request ref timeoutMs:timeout options to:address event:name payload
    21 reply handle:opaque payload
    22 reject handle:opaque code:callcode text
    24 receipt to:address seq
    25 confirm to:address seq
    26 ack id:opaque
    32 join ref room:name since?
    33 leave ref room:name
    34 leaveAll ref
    35 publish ref:ref0 seq:uint? options room:name event:name payload
    48 members ref room:name cursor:text? limit
    49 count ref room:name
    50 clients ref prefix cursor:text? limit
    51 online ref client:name
    52 watch ref room:name on:bool
    64 openStream stream:session to:address? room:name? name drop:bool payload
    66 attachStream stream:session to:whole? room:name? opened:bool upTo:uint limit:uint drop:bool
    68 chunk stream:session offset:uint part:three payload
    70 credit stream:session upTo:uint limit:uint ask:three
    72 cut stream:session to:address? code:endcode text
    80 call ref timeoutMs:timeout options service payload
    83 pair ref timeoutMs:timeout to:address payload
    85 holdPair ref pair:session to:whole
    86 endPair ref pair:session to:whole
    88 available ref prefix cursor:text? limit
    97 peerReport digest:map
    98 standingOffer ref id:trace event:name payload
""")
GATEWAY_FRAMES = _table("""
    1 welcome info:map
    2 ping
    5 ok ref result:any?
    6 error ref:ref0 code text expected:uint?
    7 expiring inMs:uint
    8 goaway close retryAfterMs:uint
    17 message id:opaque? options from:name session event:name payload
    20 requested handle:opaque options from:name session event:name payload
    23 response ref payload
    27 delivered by:name seq:uint
    28 asked from:name session seq:uint
    29 gap channel:name? reason:text missing:uint? id:opaque?
    30 position channel:name? id:opaque?
    31 doubt
    36 roomMessage id:opaque? options room:name from:name session event:name payload
    53 presence room:name joined:names left:names count:uint
    65 offer stream:session from:name session channel:name? name payload
    67 attached stream:session from:name session upTo:uint limit:uint
    69 piece stream:session offset:uint part:three payload
    71 credited stream:session upTo:uint limit:uint ask:three
    73 wasCut stream:session code text
    75 readerGone stream:session from:name session code text payload
    81 called handle:opaque options from:name session event:name payload
    82 owners service count:uint
    84 pairing handle:opaque options from:name session event:name payload
    87 unpaired pair:session code
    96 iceServers servers:list
""")
_BY_NAME = {row.name: row for row in [*CLIENT_FRAMES.values(), *GATEWAY_FRAMES.values()]}


def _read_fields(elements: list[Any], table: dict[int, FrameType]) -> Frame:
    if not elements or type(elements[0]) is not int or elements[0] < 0:
        raise FrameError("bad_frame", 0, "no type number")
    row = table.get(elements[0])
    first = elements[1] if len(elements) > 1 and KINDS["ref"](elements[1]) else 0
    if row is None:
        raise FrameError("unknown_type", first, str(elements[0]))
    ref = first if row.fields and row.fields[0][0] == "ref" else 0
    rest = elements[1:] + [None] * 10
    frame: Frame = {"type": row.name}
    for index, (name, kind, may_be_nil) in enumerate(row.fields):
        value = tuple(rest[index : index + 2]) if kind == "payload" else rest[index]
        if not (may_be_nil and value is None) and not KINDS[kind](value):
            raise FrameError("bad_parameter", ref, f"{row.name}: {name}")
        if value is not None:
            value = Payload(*value) if kind == "payload" else value
            if kind == "resume":
                value = {"session": value[0], "key": value[1], "cursors": value[2] if len(value) > 2 else []}
        if kind == "options":
            value = {key: inner for key, inner in value.items() if key in _OPTIONS}  # what we do not know is ignored
        frame[name] = value
    if row.name == "send" and isinstance(frame["to"], list) and frame["seq"]:
        raise FrameError("bad_parameter", ref, "send: seq")  # a number counts in one channel
    if row.name == "send" and "standing" in frame["options"] and (frame["seq"] != 0 or isinstance(frame["to"], list)):
        raise FrameError("bad_parameter", ref, "send: standing")  # of one client, and of what is not kept
    if row.name == "send" and "delivered" in frame["options"] and not frame["seq"]:
        raise FrameError("bad_parameter", ref, "send: delivered")  # a receipt names its message by its number
    return frame


def decode_msgpack(data: bytes, table: dict[int, FrameType] = GATEWAY_FRAMES) -> Frame:
    try:
        elements = msgpack.unpackb(data, object_pairs_hook=_map, ext_hook=_no_ext)
        ok = isinstance(elements, list) and _depth(elements) <= 8
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise FrameError("bad_frame", 0, str(error)) from None
    if not ok:
        raise FrameError("bad_frame", 0, "no array, or nested too deep")
    return _read_fields(elements, table)


_SPACE = re.compile(r"[ \t\n\r]*")
_PAYLOAD_NAME = re.compile(r"(\w+)(\+deflate(/1)?)?", re.ASCII)


def _json_float(text: str) -> float | int:
    return int(float(text)) if float(text).is_integer() else float(text)


_JSON = json.JSONDecoder(parse_float=_json_float, parse_constant=_no_constant)


def _json_array(text: str) -> list[tuple[Any, str]]:
    """The elements of a JSON array, each with the text that it was: JSON data keep theirs."""
    if not isinstance(_JSON.decode(text), list):
        raise ValueError("no array")
    rows: list[tuple[Any, str]] = []

    def skip(at: int) -> int:
        return _SPACE.match(text, at).end()  # type: ignore[union-attr]

    at = skip(text.index("[") + 1)
    while text[at] != "]":
        value, end = _JSON.raw_decode(text, at)
        rows.append((value, text[at:end]))
        at = skip(end)
        if text[at] == ",":
            at = skip(at + 1)
    return rows


def payload_from_json(name: Any, value: Any, text: str) -> Payload | None:
    """The payload of a JSON frame (section 6), None where it is none. `text` is what `value` was parsed from."""
    if name == "none":
        return Payload(0, b"") if value is None else None
    if name == "json":
        return Payload(2, text.encode())
    match = _PAYLOAD_NAME.fullmatch("json" if name == "json+raw" else name) if isinstance(name, str) else None
    if match is None or match[1] not in CODECS or match[1] == "none" or not isinstance(value, str):
        return None
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        return None
    return Payload(CODECS.index(match[1]) | (16 if match[2] else 0) | (32 if match[3] else 0), data)


def payload_to_json(payload: Payload) -> str:
    name = CODECS[payload.encoding & 15]
    if payload.encoding == 0:
        return '"none",null'
    if payload.encoding == 2:
        try:
            text = payload.data.decode()
            json.loads(text, parse_constant=_no_constant)
            return f'"json",{text}'
        except (ValueError, RecursionError):
            name = "json+raw"
    if payload.encoding & 16:
        name += "+deflate" + ("/1" if payload.encoding >> 5 else "")
    return json.dumps(name) + "," + json.dumps(base64.b64encode(payload.data).decode())


def decode_json(text: str, table: dict[int, FrameType] = GATEWAY_FRAMES) -> Frame:
    try:
        rows = _json_array(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("bad_frame", 0, str(error)) from None
    elements = [value for value, _ in rows]
    row = table.get(elements[0]) if elements and type(elements[0]) is int else None
    if row is not None and row.fields and row.fields[-1][0] == "payload":
        at = len(row.fields)
        name, (value, raw) = (elements + [None] * 10)[at], (rows[at + 1] if len(rows) > at + 1 else (None, "null"))
        elements[at:] = payload_from_json(name, value, raw) or [None, None]
    return _read_fields(elements, table)


def _elements(frame: Frame) -> tuple[list[Any], Payload | None]:
    row = _BY_NAME[frame["type"]]
    out: list[Any] = [row.number]
    for name, kind, _ in row.fields:
        value = frame.get(name)
        if kind == "payload":
            return out, value
        if kind == "resume" and value:
            cursors = value.get("cursors")
            value = [value["session"], value["key"], *([cursors] if cursors else [])]
        out.append(value)
    if row.name == "error" and out[-1] is None:
        out.pop()  # only out_of_order says what is expected
    return out, None


def encode_msgpack(frame: Frame) -> bytes:
    elements, payload = _elements(frame)
    return msgpack.packb(elements + list(payload or ()))


def encode_json(frame: Frame) -> str:
    elements, payload = _elements(frame)
    text = json.dumps(elements, ensure_ascii=False, separators=(",", ":"))
    return text if payload is None else f"{text[:-1]},{payload_to_json(payload)}]"
