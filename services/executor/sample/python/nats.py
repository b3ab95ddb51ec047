"""A small client of the NATS text protocol: what an executor needs of it, and nothing else.

Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
JetStream as JSON requests: https://docs.nats.io/reference/reference-protocols/nats_api_reference

Needs nothing beyond the standard library; python3-nacl besides for a credentials file.
"""

import base64
import hashlib
import json
import logging
import queue
import secrets
import socket
import ssl
import threading
import time
import urllib.parse

log = logging.getLogger("nats")

MAX_LINE = 64 << 10  # bytes of a protocol line; the server's own limit is 4 KiB


class NatsError(Exception):
    """The server could not be asked, or did not answer in time."""


class ApiError(NatsError):
    """JetStream refuses a request; code is its err_code."""

    def __init__(self, error):
        super().__init__(error.get("description", "refused"))
        self.code = error.get("err_code", 0)


WRONG_LAST_SEQUENCE = 10071  # a compare-and-set that was lost


class Msg:
    """One message. status is that of a header without a message, such as 404; 0 for a plain one."""

    __slots__ = ("subject", "reply", "data", "headers", "status")

    def __init__(self, subject, reply, data, headers, status):
        self.subject, self.reply, self.data, self.headers, self.status = subject, reply, data, headers, status


class Client:
    """A connection that is made anew when it breaks, with its subscriptions. Safe for several threads."""

    def __init__(self, url, name, creds=None):
        at = urllib.parse.urlsplit(url)
        if at.scheme not in ("nats", "tls") or not at.hostname:
            raise ValueError("the URL of the server must be nats://host:port or tls://host:port")
        self._at, self._name, self._creds = at, name, creds
        self._lock = threading.Lock()
        self._sock = self._file = None
        self._subs = {}  # sid: (subject, queue, callback)
        self._next = 0
        self._up = threading.Event()
        self._closed = threading.Event()
        self._replies = {}  # the last token of an inbox: a queue
        self._inbox = "_INBOX." + secrets.token_hex(11)
        self.sub(self._inbox + ".*", self._replied)
        threading.Thread(target=self._serve, name="nats", daemon=True).start()

    # Connection.

    def wait(self, timeout):
        """Waits until the connection is up."""
        if not self._up.wait(timeout):
            raise NatsError("the server cannot be reached")

    def close(self):
        self._closed.set()
        with self._lock:
            if self._sock:
                self._sock.close()

    def _serve(self):
        pause = 0.1
        while not self._closed.is_set():
            try:
                self._connect()
                pause = 0.1
                self._read()
            except (OSError, ValueError, NatsError) as e:
                if not self._closed.is_set():
                    log.warning("connection: %s", e)
            self._up.clear()
            self._closed.wait(pause)
            pause = min(2 * pause, 2)

    def _connect(self):
        sock = socket.create_connection((self._at.hostname, self._at.port or 4222), timeout=5)
        file = sock.makefile("rb")
        info = self._info(file)
        if self._at.scheme == "tls" or info.get("tls_required"):
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=self._at.hostname)
            file = sock.makefile("rb")
        hello = {
            "verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python", "version": "1", "protocol": 1,
            "name": self._name,
        }
        if self._creds:
            hello.update(sign(self._creds, info.get("nonce", "")))
        elif self._at.password is not None:
            hello.update({"user": urllib.parse.unquote(self._at.username), "pass": urllib.parse.unquote(self._at.password)})
        elif self._at.username:
            hello["auth_token"] = urllib.parse.unquote(self._at.username)
        sock.sendall(b"CONNECT " + json.dumps(hello).encode() + b"\r\nPING\r\n")
        line = file.readline(MAX_LINE)
        if not line.startswith(b"PONG"):
            raise NatsError("the server refuses the connection: " + line.decode(errors="replace").strip())
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sock, self._file = sock, file
            for sid, (subject, group, _) in self._subs.items():
                sock.sendall(f"SUB {subject} {group} {sid}\r\n".encode())
        self._up.set()

    @staticmethod
    def _info(file):
        line = file.readline(MAX_LINE)
        if not line.startswith(b"INFO "):
            raise NatsError("no NATS server answers there")
        return json.loads(line[5:])

    def _read(self):
        while True:
            line = self._file.readline(MAX_LINE)
            if not line:
                raise NatsError("the server closed the connection")
            verb, _, rest = line.strip().partition(b" ")
            verb = verb.upper()
            if verb == b"PING":
                self._send(b"PONG\r\n")
            elif verb in (b"MSG", b"HMSG"):
                self._message(verb == b"HMSG", rest.decode().split())
            elif verb == b"-ERR":
                log.warning("server: %s", rest.decode(errors="replace"))

    def _message(self, headed, words):
        subject, sid = words[0], words[1]
        sizes = [int(w) for w in words[-2:]] if headed else [0, int(words[-1])]
        reply = words[2] if len(words) == (5 if headed else 4) else None
        body = self._file.read(sizes[1] + 2)[:-2]
        headers, status = parse_headers(body[:sizes[0]]) if headed else ({}, 0)
        with self._lock:
            sub = self._subs.get(sid)
        if sub:
            try:
                sub[2](Msg(subject, reply, body[sizes[0]:], headers, status))
            except Exception:  # one bad message must not end the connection
                log.exception("message on %s", subject)

    def _send(self, data):
        with self._lock:
            if not self._sock:
                raise NatsError("not connected")
            try:
                self._sock.sendall(data)
            except OSError as e:
                raise NatsError(str(e)) from e

    # Messages.

    def sub(self, subject, callback, group=""):
        """Calls back with every message; callbacks must be quick. Returns a function that ends it."""
        with self._lock:
            self._next += 1
            sid = str(self._next)
            self._subs[sid] = (subject, group, callback)
        if self._up.is_set():
            self._send(f"SUB {subject} {group} {sid}\r\n".encode())

        def stop():
            with self._lock:
                self._subs.pop(sid, None)
            try:
                self._send(f"UNSUB {sid}\r\n".encode())
            except NatsError:
                pass  # the subscription is gone with the connection

        return stop

    def publish(self, subject, data=b"", reply="", headers=None):
        if headers:
            head = b"NATS/1.0\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items()) + b"\r\n"
            self._send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n".encode() + head + data + b"\r\n")
        else:
            self._send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")

    def request(self, subject, data=b"", timeout=2.0, headers=None):
        """Sends a request and returns the first answer."""
        token, box = secrets.token_hex(8), queue.Queue()
        self._replies[token] = box
        try:
            self.publish(subject, data, f"{self._inbox}.{token}", headers)
            msg = box.get(timeout=timeout)
        except queue.Empty:
            raise NatsError(f"no answer on {subject}") from None
        finally:
            self._replies.pop(token, None)
        if msg.status == 503:
            raise NatsError(f"nobody listens on {subject}")
        return msg

    def _replied(self, msg):
        box = self._replies.get(msg.subject.rpartition(".")[2])
        if box:
            box.put(msg)

    # JetStream.

    def api(self, subject, body, timeout=5.0):
        answer = json.loads(self.request("$JS.API." + subject, json.dumps(body).encode(), timeout).data)
        if "error" in answer:
            raise ApiError(answer["error"])
        return answer

    def store(self, subject, data, headers=None):
        """Publishes to a stream and returns the sequence number under which it is stored."""
        ack = json.loads(self.request(subject, data, headers=headers).data)
        if "error" in ack:
            raise ApiError(ack["error"])
        return ack["seq"]

    def get(self, bucket, key):
        """Reads a key: (value, revision), or (None, 0) when there is none."""
        msg = self.request(f"$JS.API.DIRECT.GET.KV_{bucket}.$KV.{bucket}.{key}")
        if msg.status == 404 or msg.headers.get("kv-operation") in ("DEL", "PURGE"):
            return None, 0
        if msg.status:
            raise NatsError(f"reading {key}: status {msg.status}")
        return msg.data, int(msg.headers["nats-sequence"])

    def put(self, bucket, key, data, revision):
        """Writes a key over a revision, 0 for one that must not exist: compare-and-set. Returns the new revision, or None
        when somebody else wrote in between."""
        try:
            return self.store(f"$KV.{bucket}.{key}", data, {"Nats-Expected-Last-Subject-Sequence": revision})
        except ApiError as e:
            if e.code == WRONG_LAST_SEQUENCE:
                return None
            raise

    # Object store, after ADR-20: chunks under one random id, then a description of them that replaces the earlier one.

    def put_object(self, bucket, name, data):
        ident, size = secrets.token_hex(11), 128 << 10
        chunks = [data[i:i + size] for i in range(0, len(data), size)]
        for chunk in chunks:
            self.store(f"$O.{bucket}.C.{ident}", chunk)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
        info = {"name": name, "bucket": bucket, "nuid": ident, "size": len(data), "mtime": "0001-01-01T00:00:00Z", "chunks": len(chunks),
                "digest": "SHA-256=" + digest, "options": {"max_chunk_size": size}}
        self.store(self._meta(bucket, name), json.dumps(info).encode(), {"Nats-Rollup": "sub"})

    def get_object(self, bucket, name, most):
        """The first bytes of an object, most of them; none when there is no such object."""
        msg = self.request(f"$JS.API.DIRECT.GET.OBJ_{bucket}.{self._meta(bucket, name)}")
        if msg.status:
            return b""
        info, data, seq = json.loads(msg.data), b"", 1
        for _ in range(info["chunks"]):
            ask = json.dumps({"seq": seq, "next_by_subj": f"$O.{bucket}.C.{info['nuid']}"}).encode()
            chunk = self.request(f"$JS.API.DIRECT.GET.OBJ_{bucket}", ask)
            if chunk.status or len(data) >= most:
                break
            data, seq = data + chunk.data, int(chunk.headers["nats-sequence"]) + 1
        return data[:most]

    @staticmethod
    def _meta(bucket, name):
        return f"$O.{bucket}.M." + base64.urlsafe_b64encode(name.encode()).decode()

    def fetch(self, stream, durable, timeout):
        """Asks a consumer for one message and returns it, or None. The message comes under its own subject, so that it needs a
        subscription of its own."""
        inbox, box = f"_INBOX.{secrets.token_hex(11)}", queue.Queue()
        stop = self.sub(inbox, box.put)
        try:
            ask = json.dumps({"batch": 1, "expires": int(timeout * 1e9)}).encode()
            self.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}", ask, inbox)
            msg = box.get(timeout=timeout + 2)
            if msg.status in (0, 404, 408):
                return None if msg.status else msg
        except (NatsError, queue.Empty):
            pass
        finally:
            stop()
        time.sleep(0.2)  # no server, or no consumer: not at once again
        return None


def parse_headers(raw):
    lines = raw.decode(errors="replace").split("\r\n")
    words = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if colon:
            headers[key.strip().lower()] = value.strip()
    return headers, int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def sign(path, nonce):
    """The answer to the server's nonce with a credentials file: its JWT, and a signature with its seed (Ed25519)."""
    import nacl.signing  # python3-nacl

    parts = {}
    with open(path, encoding="ascii") as f:
        name = None
        for line in f:
            line = line.strip()
            if line.startswith("-----BEGIN ") or line.startswith("------BEGIN "):
                name = "jwt" if "JWT" in line else "seed"
            elif line and not line.startswith("-") and not line.startswith("*") and name and name not in parts:
                parts[name] = line
    seed = parts["seed"]
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34]  # two bytes say what the seed is for, the last two are a checksum
    signature = nacl.signing.SigningKey(raw).sign(nonce.encode()).signature
    return {"jwt": parts["jwt"], "sig": base64.urlsafe_b64encode(signature).rstrip(b"=").decode()}
