"""The life of an action: from a message on ACT to a record that is final, with everything that may happen in between."""

import hashlib
import json
import logging
import secrets
import threading
import time

import kinds
from cancel import Cancel
from judge import CANCEL, Refusal
from locks import Locking
from nats import NatsError
from records import BEAT, FINAL, LOCK, MAX_ATTEMPTS, MAX_OUTPUT, VERSION, Hold, encode, ms, same_person, short, token, void
from texts import say

log = logging.getLogger("executor")


class Later(Exception):
    """The message is given back, and asked for again after some seconds."""

    def __init__(self, after):
        super().__init__()
        self.after = after


class Drop(Exception):
    """The message orders nothing."""


class Life:
    """What an executor does with an action. Who owns one is decided by compare-and-set on its record and by nothing else."""

    # The store.

    def get(self, key):
        data, revision = self.nats.get("ACTIONS", key)
        return (json.loads(data), revision) if data is not None else (None, 0)

    def put(self, key, value, revision):
        """Compare-and-set. A write whose answer was lost is recognised: what one executor writes no other one does."""
        data = encode(value)
        new = self.nats.put("ACTIONS", key, data, revision)
        if new is None:
            there, at = self.nats.get("ACTIONS", key)
            if there == data and at > revision:
                return at
        return new

    def event(self, rec, revision, text=None, output=""):
        out = {"v": VERSION, "id": rec["id"], "corp": rec["corp"], "app": rec["app"], "user": rec["user"], "action": rec.get("action", ""),
               "title": rec.get("title", ""), "state": rec["state"], "rev": revision, "text": rec.get("summary", "") if text is None else text,
               "executor": self.self, "at": ms(), "lang": rec.get("lang", "")}
        if rec.get("noop"):
            out["noop"] = True
        if output:
            out["output"] = output
        return out

    def publish(self, event):
        subject = f"res.{token(event['corp'])}.{token(event['app'])}.{token(event['id'])}"
        self.nats.store(subject, encode(event), {"Nats-Msg-Id": f"{event['id']}:{event['state']}:{event['rev']}"})

    def audit(self, rec, verdict, reason="", what="action", detail=None):
        line = {"v": VERSION, "at": ms(), "service": "executor", "instance": self.self, "corp": rec.get("corp", ""), "app": rec.get("app", ""),
                "user": rec.get("user", ""), "what": what, "ref": rec.get("id", rec.get("jti", "")), "verdict": verdict}
        if reason:
            line["reason"] = reason
        line["detail"] = {"action": rec.get("action", ""), "args_sha256": rec.get("args_sha256", ""), "attempt": str(rec.get("attempt", 0)),
                          "owner": rec.get("owner", ""), **(detail or {})}
        ident = hashlib.sha256(encode(line) + secrets.token_bytes(8)).hexdigest()[:26]
        try:
            self.nats.publish(f"audit.{token(line['corp'])}.executor", encode(line), headers={"Nats-Msg-Id": ident})
        except NatsError as e:
            log.error("audit line lost: %s", e)

    # The life of an action.

    def handle(self, data):
        no = None
        try:
            order = self.judge.judge(data, time.time(), False)
            claims, args = order.claims, order.canonical
        except Refusal as refusal:
            no, order = refusal, None
            claims, args = no.claims, no.args_json
            if no.reason == "action" and claims.get("action") in self.catalog.others:
                raise Later(BEAT) from None  # for one in the pool that can; when nobody does it before it expires, it ends as that
            self.audit(claims, "refused", no.reason, detail={"proven": "yes" if no.proven else "no"})
            if not no.proven:
                self.tell_unproven(no)
                raise Drop from None
        born = {"v": VERSION, "id": claims["jti"], "corp": claims["corp"], "app": claims["app"], "user": claims["user"], "zone": claims["zone"],
                "pool": claims["pool"], "action": claims["action"], "title": claims.get("title", ""),
                "args": json.loads(args) if args else {}, "args_sha256": claims["args_sha256"], "iat": claims["iat"], "exp": claims["exp"],
                "lang": claims.get("lang", ""), "noop": bool(claims.get("noop")), "report": bool(claims.get("report"))}
        born = {k: v for k, v in born.items() if v not in ("", False) or k in ("v", "id", "corp", "app", "user")}
        with self.lock:
            if born["id"] in self.working:
                raise Later(BEAT)
            self.working.add(born["id"])
        try:
            while self.deliver(born, no):
                pass
        finally:
            with self.lock:
                self.working.discard(born["id"])

    def deliver(self, born, no):
        """One step with a message, after the table "What a message leads to". True asks for another look."""
        rec, revision = self.get(born["id"])
        lang = "en" if born.get("lang") == "en" else "zh"
        now = ms()

        def final(base, state, text):
            return {**base, "state": state, "summary": text, "ended": now}

        first = rec is None or void(rec) and not same_person(rec, born)
        if first:
            fresh = {**born, "created": now, "attempt": 1, "beat": (rec or {}).get("beat", 0) + 1}
            write = final(fresh, no.state, no.text) if no else {**fresh, "state": "claimed", "owner": self.self}
            then = "tell" if no else "work"
        elif void(rec):
            write, then = final({**born, "created": now, "beat": rec.get("beat", 0) + 1}, rec["state"], rec.get("summary", "")), "tell"
        elif rec.get("args_sha256") != born["args_sha256"] or rec.get("action") != born["action"]:
            self.audit(born, "refused", "reused")
            raise Drop
        elif rec["state"] in FINAL:
            self.tell(rec, revision)
            return False
        elif rec.get("owner") and rec["owner"] != self.self and self.observer.alive(rec["id"], revision):
            return self.watch(rec["id"], revision)
        elif rec["state"] == "claimed" and no:
            write, then = final(self.mine(rec, False), no.state, no.text), "tell"
        elif rec["state"] == "claimed" and rec.get("attempt", 0) >= MAX_ATTEMPTS:
            write, then = final(self.mine(rec, False), "failed", say(lang, "begin.given_up")), "tell"
        elif rec["state"] == "claimed":
            write, then = self.mine(rec), "work"
        elif rec["state"] == "running":
            write, then = self.mine(rec), "probe"
        else:
            raise Drop
        if then == "work" and self.stopping.is_set():
            raise Later(0)
        new = self.put(write["id"], write, revision)
        if new is None:
            return True
        self.audit(write, write["state"])
        if then == "work":
            self.work(write, new)
        elif then == "probe":
            self.probe(write, new)
        else:
            self.tell(write, new)
        return False

    def mine(self, rec, own=True):
        out = {**rec, "beat": rec.get("beat", 0) + 1}
        if own:
            out.update(owner=self.self, attempt=rec.get("attempt", 0) + 1)
        return out

    def watch(self, ident, revision):
        """Stays with an action that somebody else owns until its record moves or has stood still for too long."""
        while not self.stopping.wait(0.5):
            rec, now = self.get(ident)
            if now != revision:
                self.observer.alive(ident, now)
                if rec and rec["state"] in FINAL:
                    return True
                break
            if not self.observer.alive(ident, revision):
                return True
        raise Later(2 * BEAT)

    def work_of(self, rec):
        lang = "en" if rec.get("lang") == "en" else "zh"
        action = self.catalog.action(rec["action"])
        if action is None or action.klass == "question":
            raise kinds.Decline("denied", say(lang, "refuse.nothing", say(lang, "refuse.unknown")))
        return kinds.Work(rec["id"], action, rec.get("args") or {}, lang)

    def kind_of(self, work, hold):
        if work.action.name == CANCEL:
            return Cancel(self, hold)
        return Locking(self, hold) if work.action.kind == "palmops" else self.kinds[work.action.kind]

    def work(self, rec, revision):
        hold = Hold(self, rec, revision)
        with self.lock:
            self.held[rec["id"]] = hold
        try:
            self._work(hold)
        except kinds.Lost:
            raise Later(BEAT) from None
        finally:
            with self.lock:
                self.held.pop(rec["id"], None)

    def _work(self, hold):
        lang, output = "en" if hold.rec.get("lang") == "en" else "zh", ""
        try:
            work = self.work_of(hold.rec)
            kind = self.kind_of(work, hold)
            noop = hold.rec.get("noop")
            target = "" if noop or work.action.klass == "report" else kind.target(work)
            if target:
                self.take_lock(hold, target, lang)
            before = kind.prepare(work)
            if hold.cause == "canceled":
                raise kinds.Decline("canceled", say(lang, "begin.canceled"))
            barred = self.environments.barred(work, hold.rec)
            if barred:
                raise kinds.Decline("conflict", barred)
            if time.time() > hold.rec["exp"]:
                raise kinds.Decline("expired", say(lang, "begin.expired"))
            if noop:
                hold.write({"state": "succeeded", "summary": say(lang, "noop.done", kind.plan(work, before)), "ended": ms()})
                return self.tell(hold.rec, hold.revision)
        except kinds.Decline as no:
            if hold.cause == "stopping":
                hold.write({"owner": ""})
                raise Later(0) from None
            state = no.kind if no.kind in ("canceled", "expired") else "failed"
            hold.write({"state": state, "summary": no.text, "ended": ms()})
            return self.tell(hold.rec, hold.revision)
        if hold.cause == "stopping":
            hold.write({"owner": ""})
            raise Later(0)
        hold.began = True
        hold.write({"state": "running", "before": before, "started": ms()})  # before the first effect
        hold.begin(work.action.timeout)
        try:
            state, text, output = kind.apply(work, before, hold)
        except kinds.Lost:
            raise
        except Exception:  # nobody can tell what it had done by then
            log.exception("action %s", hold.rec["id"])
            state, text = kind.probe(work, before)
        end = {"state": state, "summary": text, "step": hold.line, "ended": ms()}
        if output:  # stored before the result, so that nothing is lost when this process dies now
            data = output.encode()
            self.nats.put_object("OUTPUTS", "out." + hold.rec["id"], data)
            end["output"] = {"object": "out." + hold.rec["id"], "name": "output.txt", "size": len(data)}
        hold.write(end)  # before the acknowledgement
        return self.tell(hold.rec, hold.revision, output)

    def probe(self, rec, revision):
        """Looks what became of an action whose owner is gone; it is never begun again."""
        hold = Hold(self, rec, revision)
        hold.began = hold.probing = True
        lang = "en" if rec.get("lang") == "en" else "zh"
        with self.lock:
            self.held[rec["id"]] = hold
        try:
            try:
                work = self.work_of(rec)
                kind = self.kind_of(work, hold)
                state, text = kind.probe(work, rec.get("before"))
            except kinds.Decline:
                state, text = "unknown", say(lang, "probe.no_action")
            hold.write({"state": state, "summary": say(lang, "probe.unknown" if state == "unknown" else "probe.known", text), "ended": ms()})
            self.tell(hold.rec, hold.revision)
        except kinds.Lost:
            raise Later(BEAT) from None
        finally:
            with self.lock:
                self.held.pop(rec["id"], None)

    def tell(self, rec, revision, output=""):
        """Publishes the final state; only then may the message be acknowledged."""
        self.observer.forget(rec["id"])
        data, whole = output.encode(), rec.get("output")
        if whole and not data:  # told a second time
            data = self.nats.get_object("OUTPUTS", whole["object"], MAX_OUTPUT + 1)
        event = self.event(rec, revision, output=data.decode(errors="ignore"))
        if len(data) > MAX_OUTPUT:  # the beginning, cut at a line, and where all of it is
            event["output"] = (data[:MAX_OUTPUT].rpartition(b"\n")[0] + b"\n").decode(errors="ignore")
            event["whole"] = whole
        self.publish(event)

    def tell_unproven(self, no):
        """Whoever a message names that nobody here signed is told that it was refused. It makes no record."""
        c = no.claims
        if no.reason != "signature" or not c:
            return
        try:
            if self.get(c["jti"])[0] is None:
                rec = {"id": c["jti"], "corp": c["corp"], "app": c.get("app", ""), "user": c["user"], "state": "rejected", "lang": c.get("lang", "")}
                self.publish(self.event(rec, 0, text=say("en" if c.get("lang") == "en" else "zh", "begin.unproven")))
        except NatsError:
            pass  # the audit line remains

    def take_lock(self, hold, target, lang):
        """The lock of a target names the action that has it, and is free as soon as that action has ended."""
        key = f"lock.{self.zone}." + hashlib.sha256(target.encode()).hexdigest()[:24]
        until, holder = time.monotonic() + LOCK, ""
        while True:
            try:
                has, revision = self.get(key)
                if has and has["id"] == hold.rec["id"]:
                    return
                free = has is None
                if has:
                    rec, _ = self.get(has["id"])
                    free = rec["state"] in FINAL if rec else not self.observer.alive(key, revision)
                    holder = has["id"]
                if free and self.put(key, {"v": VERSION, "id": hold.rec["id"], "target": target}, revision) is not None:
                    return
            except NatsError:
                pass  # it is tried again
            if hold.stop.wait(0.25):
                raise kinds.Decline("canceled", say(lang, "begin.canceled"))
            if time.monotonic() > until:
                raise kinds.Decline("conflict", say(lang, "begin.busy", short(holder)) if holder else say(lang, "begin.store"))

    # Other executors' actions.

    def note(self, msg):
        """Every change of a record: running actions of other owners are watched."""
        ident = msg.subject.rpartition(".")[2]
        try:
            rec = json.loads(msg.data)
        except ValueError:
            return
        if rec.get("zone") != self.zone or rec.get("pool") != self.pool or rec.get("parent"):
            return
        with self.lock:
            if rec.get("state") == "running" and rec.get("owner") != self.self and self.catalog.action(rec.get("action")):
                self.watched[ident] = None
            else:
                self.watched.pop(ident, None)

    def sweep(self):
        """Looks after running actions whose owner is silent, also when their message does not come back."""
        with self.lock:
            idents = list(self.watched)
        for ident in idents:
            try:
                rec, revision = self.get(ident)
                if not rec or rec["state"] != "running" or rec.get("owner") == self.self:
                    with self.lock:
                        self.watched.pop(ident, None)
                elif not self.observer.alive(ident, revision):
                    threading.Thread(target=self.adopt, args=(rec, revision), daemon=True).start()
            except NatsError:
                return

    def adopt(self, rec, revision):
        with self.lock:
            if rec["id"] in self.working:
                return
            self.working.add(rec["id"])
        try:
            write = self.mine(rec)
            new = self.put(rec["id"], write, revision)
            if new is not None:
                self.audit(write, "running")
                self.probe(write, new)
        except (NatsError, Later):
            pass  # the next sweep looks again
        finally:
            with self.lock:
                self.working.discard(rec["id"])
