"""The built-in action palmops.cancel."""

import json
import time

import kinds
from judge import CANCEL
from nats import NatsError
from records import ASK, FINAL, VERSION, encode, ms, same, short, token, void


class Cancel:
    """The built-in action by which a person takes back one of their own."""

    def __init__(self, executor, hold):
        self.x, self.by = executor, hold

    def target(self, work):
        return ""  # it must not wait for the very action that it is to stop

    def plan(self, work, before):
        return work.say("cancel.plan", short(work.args["id"]))

    def refuse(self, work, rec):
        ident = work.args["id"]
        if ident == work.id or rec and rec.get("action") == CANCEL:
            raise kinds.Decline("invalid", work.say("cancel.cancel", short(ident)))
        if rec and not void(rec) and not same(rec, self.by.rec):
            raise kinds.Decline("denied", work.say("cancel.foreign", short(ident)))

    def prepare(self, work):
        self.refuse(work, self.x.get(work.args["id"])[0])

    def apply(self, work, before, hand):
        ident, silent = work.args["id"], set()
        tag = short(ident)
        while True:
            rec, revision = self.x.get(ident)
            try:
                self.refuse(work, rec)
            except kinds.Decline as no:
                return "failed", no.text, ""
            if rec and rec["state"] in FINAL and (not void(rec) or same(rec, self.by.rec)):
                return "succeeded", work.say("cancel.ended", tag, work.say("state." + rec["state"])), ""
            owner = (rec or {}).get("owner")
            if owner and owner not in silent and rec["state"] not in FINAL:
                if self.tell(ident, owner):
                    return self.wait(work, hand)
                silent.add(owner)
                continue
            if rec and rec["state"] == "running":
                return "failed", work.say("cancel.silent", tag), ""
            hand.step()
            by, now = self.by.rec, ms()
            base = rec if rec and not void(rec) else {k: by[k] for k in ("v", "corp", "app", "user", "zone", "pool", "lang") if k in by}
            write = {**base, "id": ident, "state": "canceled", "owner": self.x.self, "summary": work.say("begin.canceled"), "ended": now,
                     "beat": (rec or {}).get("beat", 0) + 1}
            new = self.x.put(ident, write, revision)
            if new is None:
                continue
            self.x.audit(write, "canceled")
            if not void(write):
                self.x.tell(write, new)
            return "succeeded", work.say("cancel.unbegun", tag), ""

    def tell(self, ident, owner):
        until = time.monotonic() + ASK
        subject = f"cancel.{token(self.x.zone)}.{token(self.x.pool)}.{token(owner)}"
        while time.monotonic() < until:
            try:
                if owner == self.x.self:
                    held = self.x.end_work(ident, self.by.rec["id"])
                else:
                    ask = encode({"v": VERSION, "id": ident, "by": self.by.rec["id"]})
                    held = json.loads(self.x.nats.request(subject, ask, until - time.monotonic()).data).get("held")
                if held:
                    return True
            except (NatsError, ValueError):
                pass
            rec, _ = self.x.get(ident)
            if not rec or rec.get("owner") != owner or rec["state"] in FINAL:
                return False
            time.sleep(0.2)
        return False

    def wait(self, work, hand):
        ident, tag = work.args["id"], short(work.args["id"])
        while True:
            rec, _ = self.x.get(ident)
            if rec and rec["state"] in FINAL:
                if rec["state"] != "canceled":
                    return "succeeded", work.say("cancel.ended", tag, work.say("state." + rec["state"])), ""
                if rec.get("step"):
                    return "succeeded", work.say("cancel.done_at", tag, rec["step"], rec["summary"]), ""
                return "succeeded", work.say("cancel.done", tag, rec["summary"]), ""
            if hand.wait(0.1):
                return "timeout", work.say("cancel.slow", tag, int(work.action.timeout)), ""

    def probe(self, work, before):
        rec, _ = self.x.get(work.args["id"])
        if rec and rec["state"] in FINAL:
            return "succeeded", work.say("cancel.ended", short(work.args["id"]), work.say("state." + rec["state"]))
        return "unknown", work.say("cancel.silent", short(work.args["id"]))
