"""Locks that people take of environments: palmops.lock, palmops.unlock and the question palmops.locks.

A lock is the key hold.<zone>.<env> or hold.<zone>.<env>.<name> of the bucket ACTIONS. It counts for all pools of the zone.
"""

import json
from datetime import datetime, timedelta, timezone

import kinds
from nats import NatsError
from records import VERSION, ms

LOCK, UNLOCK, LOCKS = "palmops.lock", "palmops.unlock", "palmops.locks"
DEFAULT_MINUTES, MAX_MINUTES = 60, 24 * 60
ZONE = timezone(timedelta(hours=8))  # of the people


def held(lock):
    return bool(lock) and not lock.get("freed") and ms() < lock["until"]


def mine(lock, rec):
    return bool(lock) and lock["corp"] == rec["corp"] and lock["app"] == rec["app"] and lock["user"].lower() == rec["user"].lower()


def clock(at):
    end, now = datetime.fromtimestamp(at / 1000, ZONE), datetime.now(ZONE)
    return end.strftime("%H:%M" if end.date() == now.date() else "%m-%d %H:%M")


class Environments:
    """The environments of a catalog, and who keeps whom out of them."""

    def __init__(self, executor):
        self.x = executor

    def key(self, env, name=""):
        return f"hold.{self.x.zone}.{env}" + (f".{name}" if name else "")

    def place(self, env, name, lang):
        title = (self.x.catalog.environments.get(env) or {}).get("title") or env
        if isinstance(title, dict):
            title = title.get(lang) or title.get("zh") or title.get("en") or env
        return f"{title}/{name}" if name else str(title)

    def holder(self, work, lock):
        return work.say("lock.holder", lock["user"], clock(lock["until"]), lock["reason"])

    def barred(self, work, rec):
        """The sentence that says who keeps this change out; None when nobody does. Looked at right before it begins."""
        action = work.action
        if not action.env or action.klass != "change" or rec.get("noop"):
            return None
        for name in ["", *action.locks]:
            lock, _ = self.x.get(self.key(action.env, name))
            if held(lock) and not mine(lock, rec):
                return work.say("begin.barred", self.place(action.env, name, work.lang), self.holder(work, lock))
        return None

    def answer(self, work):
        names = [work.args["env"]] if work.args.get("env") else sorted(self.x.catalog.environments)
        items = []
        for env in names:
            if env not in self.x.catalog.environments:
                raise kinds.Decline("not_found", work.say("lock.no_env", env))
            for name in ["", *((self.x.catalog.environments[env] or {}).get("locks") or [])]:
                lock, _ = self.x.get(self.key(env, name))
                if held(lock):
                    items.append({"value": f"{env}/{name}" if name else env, "label": self.place(env, name, work.lang),
                                  "detail": self.holder(work, lock)})
        return {"items": items}


class Locking:
    """Taking a lock, or giving it back. Its one write goes over the revision that prepare has read."""

    def __init__(self, executor, hold):
        self.x, self.by, self.envs = executor, hold.rec, executor.environments
        self.free = hold.rec["action"] == UNLOCK

    def target(self, work):
        return ""

    def _asked(self, work):
        return work.args["env"], work.args.get("name", "")

    def prepare(self, work):
        env, name = self._asked(work)
        known = self.x.catalog.environments
        if env not in known:
            raise kinds.Decline("not_found", work.say("lock.no_env", env))
        if name and name not in ((known[env] or {}).get("locks") or []):
            raise kinds.Decline("not_found", work.say("lock.no_name", env, name))
        try:
            lock, revision = self.x.get(self.envs.key(env, name))
        except NatsError:
            raise kinds.Decline("transient", work.say("lock.store")) from None
        place = self.envs.place(env, name, work.lang)
        if self.free and not held(lock):
            raise kinds.Decline("not_found", work.say("lock.free", place))
        if held(lock) and not mine(lock, self.by):
            if not self.free:
                raise kinds.Decline("conflict", work.say("lock.taken", place, self.envs.holder(work, lock)))
            if not work.args.get("force"):
                raise kinds.Decline("denied", work.say("lock.foreign", place, self.envs.holder(work, lock)))
        return {"rev": revision, "lock": lock}

    def _until(self, work):
        return ms() + work.args.get("minutes", DEFAULT_MINUTES) * 60_000

    def plan(self, work, before):
        env, name = self._asked(work)
        place = self.envs.place(env, name, work.lang)
        if self.free:
            return work.say("lock.plan_free", place, self.envs.holder(work, before["lock"]))
        return work.say("lock.plan_take", place, clock(self._until(work)))

    def apply(self, work, before, hand):
        env, name = self._asked(work)
        had, place, now = before["lock"], self.envs.place(env, name, work.lang), ms()
        if self.free:
            value, verdict = {**had, "id": work.id, "freed": now}, "unlocked" if mine(had, self.by) else "forced"
            done = work.say("lock.freed", place) if verdict == "unlocked" else work.say("lock.forced", place, had["user"])
        else:
            since = had["since"] if held(had) else now
            value = {"v": VERSION, "env": env, "corp": self.by["corp"], "app": self.by["app"], "user": self.by["user"],
                     "reason": work.args["reason"], "since": since, "until": self._until(work), "id": work.id}
            if name:
                value["name"] = name
            verdict, done = "renewed" if held(had) else "locked", work.say("lock.done", place, clock(value["until"]))
        hand.step()
        try:
            if self.x.put(self.envs.key(env, name), value, before["rev"]) is None:
                return "failed", work.say("lock.moved", place), ""
        except NatsError:
            return "unknown", work.say("lock.unsure", place), ""
        self.x.audit(self.by, verdict, what="lock", detail={"env": env, "name": name, "held_by": (had or {}).get("user", "")})
        return "succeeded", done, ""

    def probe(self, work, before):
        env, name = self._asked(work)
        data, _ = self.x.nats.get("ACTIONS", self.envs.key(env, name))
        if data and json.loads(data).get("id") == work.id:
            return "succeeded", work.say("lock.done" if not self.free else "lock.freed", *self._words(work, json.loads(data)))
        return "unknown", work.say("lock.unsure", self.envs.place(env, name, work.lang))

    def _words(self, work, lock):
        place = self.envs.place(*self._asked(work), work.lang)
        return (place,) if self.free else (place, clock(lock["until"]))
