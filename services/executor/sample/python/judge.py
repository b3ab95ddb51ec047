"""The last judge: does this message order something that may be done here, now?

What it believes is the token: two signatures made by dialog, verified by stock itsdangerous; then the claims inside, the digest
of the arguments, and last the catalog. See "The protocol" in the executor's README.md for the rules.
"""

import base64
import hashlib
import json
import os
import re

import yaml
from itsdangerous import BadData, BadSignature, TimestampSigner, URLSafeSerializer

from records import token
from texts import say

LEEWAY = 30  # seconds that an order may be from the future
MAX_LIFETIME = 24 * 3600  # of an order, from issue to expiry
QUESTION_LIFETIME = 10
MAX_MESSAGE = 64 << 10
MAX_TOKEN = 16 << 10
MAX_ARGS = 16 << 10
MAX_TEXT = 253  # bytes of a text argument
MAX_INPUTS = 2048  # bytes of what was typed into a remote node

ACTION_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")
CANCEL = "palmops.cancel"
KNOWN = {"kind", "verb", "target", "read", "env", "locks", "timeout", "params", "settings"}  # keys of an action

PATTERNS = {
    "place": r"[a-z0-9_-]{1,63}",
    "action-id": r"[0-9A-Za-z_-]{8,64}",
    "line": r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+",
    "lines": r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+",
    "dns-label": r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
    "dns-name": r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
}


class Loader(yaml.SafeLoader):
    """Reads YAML 1.2, as all of palmops does: on, off, yes and no are texts, only true and false are booleans."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Refusal(Exception):
    """Why a message does not hold. claims are proven when proven is set; else they are hearsay, good for telling somebody."""

    def __init__(self, reason, claims, text, proven=True, kind="denied", args=None):
        super().__init__(reason)
        self.reason, self.claims, self.text, self.proven, self.kind, self.args_json = reason, claims, text, proven, kind, args

    @property
    def state(self):
        return "expired" if self.reason == "expired" else "rejected"


class Order:
    """An order or question that holds."""

    def __init__(self, claims, action, args, canonical):
        self.claims, self.action, self.args, self.canonical = claims, action, args, canonical
        self.lang = "en" if claims.get("lang") == "en" else "zh"


def canonical(args):
    """The one form of arguments that is signed: flat, sorted, no white space; texts, whole numbers of 64 bits and booleans only."""
    if not isinstance(args, dict):
        raise ValueError("arguments are an object")
    for name, value in args.items():
        if not name or isinstance(value, float) or not isinstance(value, (str, bool, int)):
            raise ValueError(f"argument {name!r}")
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"argument {name!r} is out of range")
    text = json.dumps(args, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    data = text.encode()
    if len(data) > MAX_ARGS:
        raise ValueError("too long")
    return data


def unique(pairs):
    """For json: a name given twice is a mistake."""
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a name is given twice")
    return out


class Param:
    def __init__(self, name, spec, allow=None):
        self.name, self.type = name, spec["type"]
        self.optional = bool(spec.get("optional"))
        self.min, self.max = spec.get("min"), spec.get("max")
        self.allow = [str(v) for v in spec["allow"]] if "allow" in spec else allow
        self.limit = spec.get("limit", MAX_TEXT)
        self.pattern_name = spec.get("pattern", "")
        pattern = PATTERNS.get(self.pattern_name, self.pattern_name)
        self.pattern = re.compile(pattern) if pattern else None

    def refuse(self, value):
        """The key of the sentence that says why not, and its arguments; None for a value that is allowed."""
        types = {"string": str, "int": int, "bool": bool}
        if type(value) is not types[self.type]:
            return "args.type", (self.name,)
        if self.type == "int":
            if self.min is not None and value < self.min:
                return "args.min", (self.name, self.min)
            if self.max is not None and value > self.max:
                return "args.max", (self.name, self.max)
        if self.type == "string":
            if len(value.encode()) > self.limit:
                return "args.long", (self.name,)
            if self.pattern and not self.pattern.fullmatch(value):
                return "args.form", (self.name,)
            if self.allow is not None and value not in self.allow:
                return "args.allowed", (self.name,)
        return None


class Action:
    def __init__(self, name, kind, verb, klass, params, timeout=60.0, target=None, settings=None, env="", locks=()):
        self.name, self.kind, self.verb, self.klass, self.params = name, kind, verb, klass, params
        self.timeout, self.target, self.settings, self.env, self.locks = timeout, target, settings or {}, env, list(locks)

    def check(self, args, lang):
        """None, or the sentence that says why the arguments are refused."""
        known = {p.name for p in self.params}
        for name in sorted(args):
            if name not in known:
                return say(lang, "args.refused", say(lang, "args.extra", name[:32]))
        for p in self.params:
            if p.name not in args:
                if p.optional:
                    continue
                return say(lang, "args.refused", say(lang, "args.missing", p.name))
            why = p.refuse(args[p.name])
            if why:
                return say(lang, "args.refused", say(lang, why[0], *why[1]))
        return None


def seconds(text):
    """A duration such as 90s or 1h30m."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return sum(float(n) * units[u] for n, u in re.findall(r"([0-9.]+)(ms|h|m|s)", str(text)))


class Catalog:
    """A catalog file, as far as this executor has the kinds for it: verbs maps (kind, verb) to question, report or change."""

    def __init__(self, path, verbs, log):
        with open(path, "rb") as f:
            data = f.read()
        raw = yaml.load(data, Loader)
        self.digest = hashlib.sha256(data).hexdigest()[:16]
        self.zone, self.pool, self.concurrency = raw["zone"], raw["pool"], raw.get("concurrency", 32)
        self.targets, self.environments = raw.get("targets") or {}, raw.get("environments") or {}
        self.dir = os.path.dirname(os.path.abspath(path))
        self.actions, self.others = {}, {"palmops.settle"}  # others: what only others in the pool can do
        for name, spec in raw["actions"].items():
            klass = verbs.get((spec["kind"], spec["verb"]))
            if klass is None:
                log.info("not offered: %s, which needs kind %s, verb %s", name, spec["kind"], spec["verb"])
                self.others.add(name)
                continue
            strange = set(spec) - KNOWN
            if strange:  # a bound that is not understood must not be passed over
                log.warning("not offered: %s, which has %s", name, ", ".join(sorted(strange)))
                self.others.add(name)
                continue
            self.actions[name] = self._action(name, spec, klass)
        self.built_in = built_in()

    def _action(self, name, spec, klass):
        target, bound = None, None
        if spec["kind"] == "kubernetes":
            clusters = self.targets["clusters"]
            target = spec.get("target") or next(iter(clusters))
            bound = clusters[target]["namespaces"]
        params = [Param(n, p, bound if n == "namespace" else None) for n, p in (spec.get("params") or {}).items()]
        if (spec["kind"], spec["verb"]) in (("kubernetes", "browse"), ("drill", "guide")):
            params += [Param("inputs", {"type": "string", "optional": True, "limit": MAX_INPUTS}),
                       Param("lang", {"type": "string", "optional": True, "allow": ["zh", "en"]})]
        return Action(name, spec["kind"], spec["verb"], klass, params, seconds(spec.get("timeout", "60s")), target,
                      spec.get("settings"), spec.get("env", ""), spec.get("locks") or ())

    def subjects(self):
        """What the actions that are offered here are called in subjects."""
        return sorted({token(name.replace(".", "_")) for name in (*self.built_in, *self.actions)})

    def action(self, name):
        return self.built_in.get(name) or self.actions.get(name)


def built_in():
    """The actions that every executor offers, whatever its catalog says."""

    def text(name, pattern, optional=False):
        return Param(name, {"type": "string", "pattern": pattern, "optional": optional})

    env, name = text("env", "place"), text("name", "place", True)
    minutes = Param("minutes", {"type": "int", "min": 1, "max": 24 * 60, "optional": True})
    actions = [
        Action(CANCEL, "palmops", "cancel", "change", [text("id", "action-id")], 30.0),
        Action("palmops.lock", "palmops", "lock", "change", [env, name, text("reason", "line"), minutes], 30.0),
        Action("palmops.unlock", "palmops", "unlock", "change", [env, name, Param("force", {"type": "bool", "optional": True})], 30.0),
        Action("palmops.locks", "palmops", "locks", "question", [text("env", "place", True)]),
    ]
    return {a.name: a for a in actions}


class Judge:
    def __init__(self, catalog, keys_path):
        mode = os.stat(keys_path).st_mode & 0o077
        if mode:
            raise SystemExit(f"{keys_path}: others than its owner may read it; its mode must be 0600")
        with open(keys_path, encoding="utf-8") as f:
            keys = json.load(f)
        if keys["zone"] != catalog.zone:
            raise SystemExit(f"the keys are for zone {keys['zone']!r}, the catalog for {catalog.zone!r}")

        def decoded(texts):
            return [base64.urlsafe_b64decode(t + "=" * (-len(t) % 4)) for t in texts]

        self.catalog = catalog
        self.inner = URLSafeSerializer(decoded(keys["payload"]), salt="palmops.claims", signer_kwargs={"digest_method": hashlib.sha256})
        self.outer = TimestampSigner(decoded(keys["stamp"]), salt="palmops.stamp", digest_method=hashlib.sha256)

    def judge(self, data, now, question):
        """Returns an Order or raises a Refusal; now is Unix seconds."""
        if len(data) > MAX_MESSAGE:
            raise self._no("size", {}, "refuse.size", proven=False, kind="invalid")
        try:
            msg = json.loads(data, object_pairs_hook=unique)
            ident, token = msg["id"], msg["token"]
            if not isinstance(ident, str) or not isinstance(token, str):
                raise ValueError("not an order")
        except (ValueError, KeyError, TypeError):
            raise self._no("form", {}, "refuse.form", proven=False, kind="invalid") from None
        claims, stamped = self._open(ident, token)
        args = msg.get("args")
        digest = None
        try:
            digest = canonical(args)
        except ValueError:
            pass
        no = self._place(claims, ident, question) or self._times(claims, stamped, now, question)
        if no:
            raise self._no(no[0], claims, no[1], kind="expired" if no[0] in ("early", "expired") else "denied", args=digest)
        return self._content(claims, args, digest, question)

    def _open(self, ident, token):
        if len(token) > MAX_TOKEN:
            raise self._no("size", {}, "refuse.size", proven=False, kind="invalid")
        try:
            payload, stamped = self.outer.unsign(token, return_timestamp=True)
            claims = self.inner.loads(payload)
            if not isinstance(claims, dict):
                raise BadData("claims are an object")
            return claims, stamped.timestamp()
        except BadSignature:
            raise self._no("signature", hearsay(ident, token), "refuse.signature", proven=False) from None
        except BadData:
            raise self._no("payload", {}, "refuse.form", proven=False, kind="invalid") from None

    def _place(self, claims, ident, question):
        if claims.get("jti") != ident or not question and not ACTION_ID.fullmatch(ident):
            return "id", "refuse.id"
        if claims.get("zone") != self.catalog.zone:
            return "zone", "refuse.zone"
        if claims.get("pool") != self.catalog.pool:
            return "pool", "refuse.pool"
        return None

    @staticmethod
    def _times(claims, stamped, now, question):
        issued, expires = claims.get("iat"), claims.get("exp")
        if type(issued) is not int or type(expires) is not int or not (0 <= issued <= 1 << 40 and 0 <= expires <= 1 << 40):
            return "lifetime", "refuse.validity"
        if issued > now + LEEWAY or stamped > now + LEEWAY:
            return "early", "refuse.early"
        if expires < issued or expires - issued > (QUESTION_LIFETIME if question else MAX_LIFETIME):
            return "lifetime", "refuse.lifetime"
        if now > expires:
            return "expired", "refuse.expired"
        return None

    def _content(self, claims, args, digest, question):
        if digest is None or hashlib.sha256(digest).hexdigest() != claims.get("args_sha256"):
            raise self._no("args_digest", claims, "refuse.digest")
        action = self.catalog.action(claims.get("action"))
        if action is None:
            raise self._no("action", claims, "refuse.unknown", args=digest)
        reads = action.klass == "question"
        if bool(claims.get("read")) != question or reads != question:
            raise self._no("read", claims, "refuse.read", args=digest)
        if claims.get("report") and action.klass != "report":
            raise self._no("report", claims, "refuse.read", args=digest)
        order = Order(claims, action, args, digest)
        why = action.check(args, order.lang)
        if why:
            raise Refusal("args", claims, why, kind="invalid", args=digest)
        return order

    @staticmethod
    def _no(reason, claims, key, proven=True, kind="denied", args=None):
        lang = "en" if claims.get("lang") == "en" else "zh"
        again = "refuse.again" if reason == "expired" else "refuse.nothing"
        return Refusal(reason, claims, say(lang, again, say(lang, key)), proven, kind, args)


def hearsay(ident, token):
    """Who an unproven message says it is from."""
    try:
        payload = token.split(".")[0]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["jti"] != ident or not ACTION_ID.fullmatch(ident) or not claims["corp"] or not claims["user"]:
            return {}
        return {k: claims[k] for k in ("jti", "corp", "app", "user", "lang") if isinstance(claims.get(k), str)}
    except (ValueError, KeyError, TypeError):
        return {}
