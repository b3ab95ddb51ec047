#!/usr/bin/python3
"""An executor of palmops in Python: the same life of an action as the one in Go, on the same streams, with the same promises.

    executor.py --catalog catalog.yaml --keys keys/local.json [--nats nats://127.0.0.1:4222] [--creds user.creds]

Needs Debian's python3-itsdangerous and python3-yaml, and python3-nacl for --creds. The protocol is written down in the
executor's README.md; the names of steps are those of its table.
"""

import argparse
import json
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time

import kinds
from announce import announce
from judge import CANCEL, Catalog, Judge, Refusal
from life import Drop, Later, Life
from locks import Environments
from nats import ApiError, Client, NatsError
from records import ACK_WAIT, BEAT, STOP, VERSION, Observer, encode, ms, same, token
from texts import say

log = logging.getLogger("executor")


class Executor(Life):
    """One executor: what it hears, and its threads."""

    def __init__(self, options):
        self.catalog = Catalog(options.catalog, kinds.VERBS, log)
        self.judge = Judge(self.catalog, options.keys)
        self.kinds = {
            "drill": kinds.Drill(),
            "kubernetes": kinds.Kubernetes(self.catalog.targets.get("clusters"), os.environ.get("PALMOPS_KUBE_SERVER")),
        }
        self.self = f"{socket.gethostname()}-py-{secrets.token_hex(4)}"
        self.zone, self.pool, self.workers = self.catalog.zone, self.catalog.pool, options.workers
        self.durable = f"exec-{self.zone}-{self.pool}"
        self.nats = Client(options.nats, "palmops executor " + self.self, options.creds)
        self.environments = Environments(self)
        self.observer, self.stopping = Observer(), threading.Event()
        self.lock, self.working, self.held, self.watched = threading.Lock(), set(), {}, {}
        self.unsettled = set()  # reply subjects of messages in work
        self.started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    # Running.

    def run(self):
        self.nats.wait(60)
        self._consumer()
        base = f"{token(self.zone)}.{token(self.pool)}"
        for name in self.catalog.subjects():  # not ask.….*: the questions that only others can answer are left to them
            self.nats.sub(f"ask.{base}.{name}", lambda m: self._thread(self.question, m), self.durable)
        self.nats.sub(f"act.{base}.palmops_cancel.*", lambda m: self._thread(self.express, m), self.durable)
        self.nats.sub(f"cancel.{base}.{token(self.self)}", lambda m: self._thread(self.stop_asked, m))
        self.nats.sub("$KV.ACTIONS.*", self.note)
        announce(self.nats, self.catalog, self.self, self.started)
        threads = [threading.Thread(target=self.pull, name=f"worker {n}", daemon=True) for n in range(self.workers + 2)]
        threads.append(threading.Thread(target=self.beats, name="heartbeat", daemon=True))
        for t in threads:
            t.start()
        log.info("serving zone %s pool %s as %s", self.zone, self.pool, self.self)
        self.stopping.wait()
        log.info("stopping")
        self._drain()
        self.nats.close()

    def _drain(self):
        """What has not begun is given back, the rest may end by itself for a while, then it is told to stop."""
        until = time.monotonic() + STOP
        while time.monotonic() < until + 5:
            with self.lock:
                holds = list(self.held.values())
                busy = bool(self.working)
            for h in holds:
                if not h.began or time.monotonic() > until:
                    h.end("stopping")
            if not busy:
                return
            time.sleep(0.05)

    def _consumer(self):
        config = {
            "durable_name": self.durable, "name": self.durable, "filter_subject": f"act.{token(self.zone)}.{token(self.pool)}.>",
            "deliver_policy": "all", "ack_policy": "explicit", "replay_policy": "instant", "ack_wait": int(ACK_WAIT * 1e9), "max_deliver": -1,
            "max_ack_pending": self.catalog.concurrency,
        }
        while True:  # dialog or another executor makes the streams
            try:
                self.nats.api(f"CONSUMER.CREATE.ACT.{self.durable}.{config['filter_subject']}", {"stream_name": "ACT", "config": config})
                return
            except ApiError as e:
                log.warning("consumer: %s", e)
            except NatsError as e:
                log.warning("JetStream: %s", e)
            if self.stopping.wait(0.5):
                sys.exit(1)

    def _thread(self, work, msg):
        threading.Thread(target=work, args=(msg,), daemon=True).start()

    def pull(self):
        while not self.stopping.is_set():
            msg = self.nats.fetch("ACT", self.durable, 5.0)
            if msg:
                self.settle(msg)

    def settle(self, msg):
        with self.lock:
            self.unsettled.add(msg.reply)
        try:
            self.handle(msg.data)
            answer = b"+ACK"
        except Later as again:
            answer = b"-NAK " + encode({"delay": int(again.after * 1e9)})
        except Drop:
            answer = b"+TERM"
        except NatsError as e:
            log.warning("message not done: %s", e)
            answer = b"-NAK " + encode({"delay": 1_000_000_000})
        except Exception:
            log.exception("message not done")
            answer = b"-NAK " + encode({"delay": 2_000_000_000})
        with self.lock:
            self.unsettled.discard(msg.reply)
        try:
            if answer == b"+ACK":
                self.nats.request(msg.reply, answer)  # the server confirms: the message does not come again
            else:
                self.nats.publish(msg.reply, answer)
        except NatsError:
            pass  # it comes again, and its record says what has become of it

    def beats(self):
        while True:
            time.sleep(BEAT)
            with self.lock:
                holds, replies = list(self.held.values()), list(self.unsettled)
            for reply in replies:
                try:
                    self.nats.publish(reply, b"+WPI")
                except NatsError:
                    break
            for h in holds:
                h.beat()
            self.sweep()

    # Cancelling.

    def express(self, msg):
        """A cancellation as it is ordered, beside the queue, so that it waits for nobody. The copy in the queue finds it done."""
        try:
            if self.get(msg.subject.rpartition(".")[2])[0] is None:
                self.handle(msg.data)
        except (NatsError, Later, Drop):
            pass  # left to the queue

    def stop_asked(self, msg):
        """Another executor asks to end an action in these hands. What counts is the record of the cancellation."""
        try:
            req = json.loads(msg.data)
            held = self.end_work(req["id"], req["by"])
            self.nats.publish(msg.reply, encode({"v": VERSION, "held": held}))
        except (ValueError, KeyError, NatsError):
            pass

    def end_work(self, ident, by):
        with self.lock:
            hold = self.held.get(ident)
        if not hold:
            return False
        until = time.monotonic() + 1
        while time.monotonic() < until:
            rec, _ = self.get(by)
            if rec and rec["state"] == "running":
                if rec["action"] != CANCEL or not same(rec, hold.rec) or (rec.get("args") or {}).get("id") != ident:
                    return False
                if not hold.probing:
                    hold.end("canceled")
                return True
            time.sleep(0.05)
        return False

    # Questions.

    def question(self, msg):
        answer, claims, verdict, reason = {}, {}, "ok", ""
        try:
            order = self.judge.judge(msg.data, time.time(), True)
            claims = order.claims
            lang = order.args["lang"] if "lang" in order.args and not claims.get("lang") else order.lang
            work = kinds.Work(claims["jti"], order.action, order.args, lang)
            asked = self.environments if order.action.kind == "palmops" else self.kinds[order.action.kind]
            answer = asked.answer(work)
        except Refusal as no:
            claims, verdict, reason = no.claims, "refused", no.reason
            answer = {"fault": {"kind": no.kind, "text": no.text}}
        except kinds.Decline as no:
            verdict, reason = "failed", no.kind
            answer = {"fault": {"kind": no.kind, "text": no.text}}
        except Exception:
            log.exception("question")
            verdict, reason = "failed", "internal"
            answer = {"fault": {"kind": "internal", "text": say("zh", "begin.internal")}}
        self.audit(claims, verdict, reason, "question")
        answer.update(v=VERSION, as_of=ms())
        try:
            self.nats.publish(msg.reply, encode(answer))
        except NatsError:
            pass  # it is asked again


def main():
    p = argparse.ArgumentParser(description="palmops executor in Python")
    p.add_argument("--catalog", required=True)
    p.add_argument("--keys", required=True, help="key file of the zone, mode 0600")
    p.add_argument("--nats", default=os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    p.add_argument("--creds", help="NATS credentials file")
    p.add_argument("--workers", type=int, default=16, help="actions at work at once in this process")
    options = p.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    x = Executor(options)
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: x.stopping.set())
    x.run()


if __name__ == "__main__":
    if not re.match(r"3\.(9|[1-9]\d)", sys.version):
        sys.exit("Python 3.9 or newer is needed")
    main()
