"""The real itsdangerous behind JSON lines: one request a line on stdin, one answer a line on stdout.

A request names a class and its arguments once and carries many items:
  {"class", "keys": [b64…], "salt": text|null, "sep", "derivation", "digest", "fallbacks": [{"derivation", "digest"}…],
   "now": unix, "max_age": seconds|null, "items": [{"dumps": text} | {"loads": b64}…]}
The class "Layered", with "stamp_keys" and "stamp_salt" too, is TimestampSigner around URLSafeSerializer.
Signers sign and return bytes (b64); serializers take JSON text and return compact JSON text.
The answer: {"results": [{"token": b64} | {"value", "time"} | {"class", "payload", "date"}…]}
"""
import base64
import hashlib
import json
import sys

try:
    import itsdangerous
    import itsdangerous.timed
    from itsdangerous._json import _CompactJSON
except ImportError as e:
    print(json.dumps({"missing": str(e)}), flush=True)
    sys.exit(0)


class Clock:
    now = 0

    def time(self):
        return self.now


clock = Clock()
itsdangerous.timed.time = clock

DIGESTS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}


def b64(b):
    return base64.b64encode(b).decode("ascii")


def how(spec):
    return {"key_derivation": spec["derivation"], "digest_method": DIGESTS[spec["digest"]]}


class Layered:
    """The composition as any Python program would write it."""

    def __init__(self, inner, outer):
        self.inner, self.outer = inner, outer

    def dumps(self, value):
        return self.outer.sign(self.inner.dumps(value)).decode("utf-8")

    def loads(self, token, **timed):
        value, at = self.outer.unsign(token, **timed)
        return self.inner.loads(value), at


def make(req):
    if req["class"] == "Layered":
        stamp = dict(req, keys=req["stamp_keys"], salt=req["stamp_salt"])
        return Layered(make(dict(req, **{"class": "URLSafeSerializer"})), make(dict(stamp, **{"class": "TimestampSigner"})))
    keys = [base64.b64decode(k) for k in req["keys"]]
    if len(keys) == 1:
        keys = keys[0]
    kwargs = how(req)
    kwargs["sep"] = req["sep"]
    named = {} if req["salt"] is None else {"salt": req["salt"]}
    cls = getattr(itsdangerous, req["class"])
    if issubclass(cls, itsdangerous.Signer):
        return cls(keys, **named, **kwargs)
    fallbacks = [dict(how(f), sep=req["sep"]) for f in req.get("fallbacks") or []]
    return cls(keys, signer_kwargs=kwargs, fallback_signers=fallbacks, **named)


def dumps(obj, text):
    if isinstance(obj, itsdangerous.Signer):
        return {"token": b64(obj.sign(base64.b64decode(text)))}
    return {"token": b64(obj.dumps(json.loads(text)).encode("utf-8"))}


def loads(obj, token, max_age):
    at = None
    timed = {"max_age": max_age, "return_timestamp": True}
    if isinstance(obj, itsdangerous.TimestampSigner):
        value, at = obj.unsign(token, **timed)
    elif isinstance(obj, itsdangerous.Signer):
        value = obj.unsign(token)
    elif isinstance(obj, (itsdangerous.TimedSerializer, Layered)):
        value, at = obj.loads(token, **timed)
    else:
        value = obj.loads(token)
    text = b64(value) if isinstance(obj, itsdangerous.Signer) else _CompactJSON.dumps(value)
    return {"value": text, "time": None if at is None else int(at.timestamp())}


def refusal(e):
    payload = getattr(e, "payload", None)
    date = getattr(e, "date_signed", None)
    return {
        "class": type(e).__name__,
        "payload": None if payload is None else b64(payload),
        "date": None if date is None else int(date.timestamp()),
    }


def answer(req):
    clock.now = req["now"]
    obj = make(req)
    results = []
    for item in req["items"]:
        try:
            if "dumps" in item:
                results.append(dumps(obj, item["dumps"]))
            else:
                results.append(loads(obj, base64.b64decode(item["loads"]), req.get("max_age")))
        except Exception as e:
            results.append(refusal(e))
    return {"results": results}


print(json.dumps({"version": getattr(itsdangerous, "__version__", "")}), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
