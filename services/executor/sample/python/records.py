"""Records of actions: their form, who owns them, and how long a silent owner is believed."""

import json
import threading
import time

import kinds
from nats import NatsError

VERSION = 1
LEASE, SKEW, BEAT, ACK_WAIT = 8.0, 4.0, 2.5, 8.0  # seconds; the same for every executor of a pool
LOCK, STOP, ASK = 10.0, 20.0, 5.0
PROGRESS_FIRST, PROGRESS_EVERY = 2.0, 5.0
MAX_ATTEMPTS = 5
MAX_OUTPUT = 64 << 10  # bytes in an event
FINAL = {"succeeded", "failed", "canceled", "timeout", "expired", "rejected", "unknown"}


def token(text):
    """One token of a subject: lower case, everything else than a-z 0-9 _ - written as =XX."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "".join(f"={b:02X}" for b in c.encode()) for c in text.lower()) or "="


def encode(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def ms():
    return time.time_ns() // 1_000_000


def short(ident):
    return ident[:6].upper()


def void(rec):
    return rec is not None and rec["state"] == "canceled" and not rec.get("action")


def same_person(a, b):
    return all(a.get(k) == b.get(k) for k in ("corp", "app", "user"))


def same(a, b):
    return same_person(a, b) and all(a.get(k) == b.get(k) for k in ("zone", "pool"))


class Observer:
    """Judges by the own clock how long a record has stood still: the clocks of two machines are never compared."""

    def __init__(self):
        self._seen, self._lock = {}, threading.Lock()

    def alive(self, key, revision):
        with self._lock:
            now = time.monotonic()
            seen = self._seen.get(key)
            if not seen or seen[0] != revision:
                self._seen[key] = seen = (revision, now)
            return now - seen[1] < LEASE + SKEW

    def forget(self, key):
        with self._lock:
            self._seen.pop(key, None)


class Hold:
    """An action in this executor's hands. Every write of its record goes through it; the first one that is lost ends the work."""

    def __init__(self, executor, rec, revision):
        self.x, self.rec, self.revision = executor, rec, revision
        self.lock, self.lost, self.written = threading.Lock(), False, time.monotonic()
        self.cause, self.stop = None, threading.Event()
        self.line, self.sent, self.sent_at, self.since = "", "", 0.0, time.monotonic()
        self.began, self.probing = False, False

    def end(self, cause):
        if self.cause is None:
            self.cause = cause
            self.stop.set()

    def write(self, change, patience=60.0):
        """Writes the record with changes, insisting while the bus does not answer."""
        until = time.monotonic() + patience
        with self.lock:
            if self.lost:
                raise kinds.Lost
            rec = {**self.rec, **change, "beat": self.rec.get("beat", 0) + 1}
            while True:
                try:
                    revision = self.x.put(rec["id"], rec, self.revision)
                    break
                except NatsError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.2)
            if revision is None:
                self.lost = True
                self.end("lost")
                raise kinds.Lost
            moved = rec["state"] != self.rec["state"]
            self.rec, self.revision, self.written = rec, revision, time.monotonic()
        if moved:
            self.x.audit(self.rec, self.rec["state"])

    # What a kind sees.

    def step(self):
        """Leave for the next effect: proof in the store that the action is still this executor's."""
        if self.lost:
            raise kinds.Lost
        if time.monotonic() - self.written > 0.3:
            self.write({}, LEASE)

    def progress(self, line):
        self.line = line

    def wait(self, seconds):
        """Waits; returns why the work must end: canceled, stopping, lost, timeout; None when it may go on."""
        left = self.since_apply + self.limit - time.monotonic()
        if self.stop.wait(max(0.0, min(seconds, left))):
            return self.cause
        return "timeout" if left <= seconds else None

    def begin(self, limit):
        self.since_apply, self.limit = time.monotonic(), limit

    def beat(self):
        """One heartbeat; the newest progress goes with it."""
        if self.lost:
            return
        try:
            self.write({"step": self.line} if self.line else {}, 0)
        except (NatsError, kinds.Lost):
            return
        now = time.monotonic()
        due = self.rec["state"] == "running" and self.line and self.line != self.sent
        if due and now - self.since >= PROGRESS_FIRST and now - self.sent_at >= PROGRESS_EVERY:
            self.sent, self.sent_at = self.line, now
            try:
                self.x.publish(self.x.event(self.rec, self.revision, text=self.line))
            except NatsError:
                pass  # the result will tell
