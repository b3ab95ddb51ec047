"""What this executor can do: drills, which touch nothing, and the deployments of a Kubernetes cluster over its plain HTTP API.

A kind works in three phases, so that what is recorded is true. prepare only reads and may refuse (Decline): nothing was done.
apply acts, and calls hand.step() right before each effect, which raises once somebody else owns the action. probe looks at what
an owner that died left behind, and never goes on with it.
"""

import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone

from texts import say

VERBS = {
    ("drill", "run"): "change", ("drill", "list"): "question", ("drill", "state"): "question", ("drill", "guide"): "question",
    ("kubernetes", "namespaces"): "question", ("kubernetes", "deployments"): "question", ("kubernetes", "deployment"): "question",
    ("kubernetes", "browse"): "question", ("kubernetes", "scale"): "change", ("kubernetes", "restart"): "change",
}


class Decline(Exception):
    """Nothing was done, and why; kind is a kind of fault."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind, self.text = kind, text


class Lost(Exception):
    """The action has another owner now: nothing more may be changed."""


class Work:
    def __init__(self, ident, action, args, lang):
        self.id, self.action, self.args, self.lang = ident, action, args, lang

    def say(self, key, *args):
        return say(self.lang, key, *args)


def split_inputs(joined):
    """What was typed into a remote node: inputs joined by -, with \\- and \\\\ inside them."""
    if not joined:
        return []
    out, escaped = [""], False
    for c in joined:
        if escaped:
            out[-1], escaped = out[-1] + c, False
        elif c == "\\":
            escaped = True
        elif c == "-":
            out.append("")
        else:
            out[-1] += c
    return out


class Drill:
    def target(self, work):
        return ""

    def prepare(self, work):
        return None

    def plan(self, work, before):
        return work.say("run.plan", work.args.get("seconds", 0), self._args(work))

    def apply(self, work, before, hand):
        whole, passed = work.args.get("seconds", 0), 0
        while passed < whole:
            step = min(5, whole - passed)
            began = time.monotonic()
            cause = hand.wait(step)
            if cause:
                passed += min(step, int(time.monotonic() - began))
                key = {"canceled": "run.canceled", "stopping": "run.stopping"}.get(cause)
                if key:
                    return ("canceled" if cause == "canceled" else "failed"), work.say(key, passed, whole), ""
                return "timeout", work.say("run.late", int(work.action.timeout), passed, whole), ""
            passed += step
            hand.progress(work.say("run.progress", passed, whole))
        lines = "\n".join(work.say("run.line", n + 1) for n in range(work.args.get("lines", 0)))
        return "succeeded", work.say("run.done", whole, self._args(work)), lines

    @staticmethod
    def _args(work):
        if not work.args:
            return work.say("run.no_args")

        def shown(v):
            return str(v).lower() if isinstance(v, bool) else v

        return work.say("run.args", work.say("run.and").join(work.say("run.arg", k, shown(work.args[k])) for k in sorted(work.args)))

    def probe(self, work, before):
        return "failed", work.say("run.lost")

    def answer(self, work):
        settings = work.action.settings
        if work.action.verb == "state":
            return {"fields": {k: str(v) for k, v in (settings.get("fields") or {}).items()}}
        if work.action.verb == "guide":
            return {"view": self._view(settings["guide"], split_inputs(work.args.get("inputs", "")), work)}
        count = work.args.get("count")
        if settings.get("items") is not None:
            names = [str(i) for i in settings["items"]][:count]
        else:
            names = [f"{work.args.get('parent') or 'item'}-{n + 1:04d}" for n in range(8 if count is None else count)]
        return {"items": [{"value": n} for n in names]}

    @staticmethod
    def _view(root, typed, work):
        def words(v):
            return v.get(work.lang) or v.get("zh") or v.get("en") or "" if isinstance(v, dict) else str(v or "")

        at = root
        for key in typed:
            if not at.get("answers"):
                return {"refuse": work.say("guide.end")}
            found = [a for a in at["answers"] if str(a["key"]) == key]
            if not found:
                return {"refuse": work.say("guide.refuse", key)}
            at = found[0]["then"]
        body = [line for part in (at.get("text"), at.get("ask")) if words(part) for line in words(part).rstrip("\n").split("\n")]
        view = {"title": words(root.get("title")), "body": body}
        if at.get("value"):
            view.update(done=True, value=str(at["value"]))
        view["items"] = [{"value": str(a["key"]), "label": words(a["say"])} for a in at.get("answers") or []]
        return view


class Kubernetes:
    """Clusters that a catalog names by server, with no authentication: a real executor would bring its own credentials."""

    def __init__(self, clusters, server=None):
        self.clusters = {name: (server or c.get("server"), c["namespaces"]) for name, c in (clusters or {}).items()}

    # The API.

    def call(self, work, method, path, body=None, kind="application/json", timeout=5.0):
        server, _ = self.clusters[work.action.target]
        data = None if body is None else json.dumps(body).encode()
        req = urllib.request.Request(server + path, data, {"Content-Type": kind, "Accept": "application/json"}, method=method)
        with urllib.request.urlopen(req, timeout=timeout) as answer:
            return json.load(answer)

    def read(self, work, path, what):
        try:
            return self.call(work, "GET", path)
        except urllib.error.HTTPError as e:
            key, kind = {404: ("api.not_found", "not_found"), 403: ("api.denied", "denied")}.get(e.code, ("api.down", "transient"))
            text = work.say(key) if key == "api.down" else work.say(key, what)
            raise Decline(kind, text) from None
        except (OSError, ValueError):
            raise Decline("transient", work.say("api.down")) from None

    @staticmethod
    def _at(work):
        return f"/apis/apps/v1/namespaces/{work.args['namespace']}/deployments/" + urllib.parse.quote(work.args["deployment"], safe="")

    @staticmethod
    def _what(work):
        return f"{work.args['namespace']}/{work.args['deployment']}"

    def _get(self, work):
        return self.read(work, self._at(work), self._what(work))

    # Questions.

    def answer(self, work):
        verb = work.action.verb
        if verb == "namespaces":
            return {"items": [{"value": n} for n in self._namespaces(work)]}
        if verb == "deployments":
            return {"items": self._deployments(work, work.args["namespace"])}
        if verb == "browse":
            return {"view": self._browse(work)}
        d = self._get(work)
        return {"fields": {
            "replicas": str(wanted(d)), "ready": str(d["status"].get("readyReplicas", 0)), "resource_version": d["metadata"]["resourceVersion"],
        }}

    def _namespaces(self, work):
        there = {n["metadata"]["name"] for n in self.read(work, "/api/v1/namespaces", "")["items"]}
        return [n for n in self.clusters[work.action.target][1] if n in there]

    def _deployments(self, work, namespace):
        listed = self.read(work, f"/apis/apps/v1/namespaces/{namespace}/deployments", namespace)["items"]
        items = [{"value": d["metadata"]["name"], "detail": work.say("item.ready", d["status"].get("readyReplicas", 0), wanted(d))} for d in listed]
        return sorted(items, key=lambda i: i["value"])

    def _browse(self, work):
        typed = split_inputs(work.args.get("inputs", ""))
        names = self._namespaces(work)
        if not typed:
            return {"title": work.say("browse.namespaces"), "items": [{"value": n} for n in names]}
        if typed[0] not in names:
            return {"refuse": work.say("browse.no_namespace", typed[0])}
        if len(typed) == 1:
            return {"title": work.say("browse.deployments", typed[0]), "items": self._deployments(work, typed[0]), "free": True}
        if len(typed) > 2:
            return {"refuse": work.say("browse.no_more")}
        inner = Work(work.id, work.action, {"namespace": typed[0], "deployment": typed[1]}, work.lang)
        try:
            d = self._get(inner)
        except Decline as no:
            if no.kind == "not_found":
                return {"refuse": work.say("browse.no_deployment", *typed)}
            raise
        n, status = wanted(d), d["status"]
        body = [work.say("browse.replicas", n),
                work.say("browse.ready", status.get("readyReplicas", 0), n, status.get("updatedReplicas", 0), n)]
        body += [work.say("browse.image", c.get("image", "")) for c in d["spec"]["template"]["spec"].get("containers", [])]
        return {"title": "/".join(typed), "body": body}

    # Changes.

    def target(self, work):
        return f"k8s/{work.action.target}/{work.args['namespace']}/deployment/{work.args['deployment']}"

    def prepare(self, work):
        d = self._get(work)
        before = {"replicas": wanted(d), "resource_version": d["metadata"]["resourceVersion"], "uid": d["metadata"]["uid"]}
        seen = work.args.get("from")
        if seen is not None and seen != before["replicas"]:
            raise Decline("conflict", work.say("scale.moved", self._what(work), before["replicas"], seen))
        if work.action.verb == "restart":  # the mark by which the restart is known again
            before["mark"] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{random.randrange(10**9):09d}Z"
        return before

    def plan(self, work, before):
        if work.action.verb == "restart":
            return work.say("restart.plan", self._what(work), before["replicas"])
        return work.say("scale.plan", self._what(work), before["replicas"], work.args["replicas"])

    def _send(self, work, before):
        """The effect, fenced by the resourceVersion that prepare read: it is refused when anything has changed since."""
        fence = {"resourceVersion": before["resource_version"]}
        if work.action.verb == "scale":
            body = {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": work.args["replicas"]}, "metadata": {
                "name": work.args["deployment"], "namespace": work.args["namespace"], "uid": before["uid"], **fence}}
            self.call(work, "PUT", self._at(work) + "/scale", body)
        else:
            note = {"kubectl.kubernetes.io/restartedAt": before["mark"]}
            body = {"metadata": {"uid": before["uid"], **fence}, "spec": {"template": {"metadata": {"annotations": note}}}}
            self.call(work, "PATCH", self._at(work), body, "application/strategic-merge-patch+json")

    def _done(self, work, d, before):
        """Whether the effect is there."""
        if work.action.verb == "scale":
            return wanted(d) == work.args["replicas"]
        notes = d["spec"]["template"].get("metadata", {}).get("annotations") or {}
        return notes.get("kubectl.kubernetes.io/restartedAt") == before["mark"]

    def apply(self, work, before, hand):
        what, verb = self._what(work), work.action.verb
        if verb == "scale" and before["replicas"] == work.args["replicas"]:
            return self._follow(work, before, hand, "scale.same")
        for _ in range(5):
            hand.step()
            try:
                self._send(work, before)
                break
            except urllib.error.HTTPError as e:
                if e.code != 409:  # the API refused it: nothing was done
                    return "failed", work.say("api.not_found" if e.code == 404 else "api.denied", what), ""
                try:  # something else has moved: once more on what is there now, if that is what was confirmed
                    before = {**self.prepare(work), "mark": before.get("mark", "")}
                except Decline as no:
                    return "failed", no.text, ""
            except OSError:
                return (*self.probe(work, before), "")
        else:
            return "failed", work.say("api.down"), ""
        return self._follow(work, before, hand, f"{verb}.done")

    def _follow(self, work, before, hand, key):
        """Waits until all replicas are as they are wanted."""
        what, verb, d = self._what(work), work.action.verb, None
        while True:
            try:
                d = self._get(work)
            except Decline:
                pass  # it is asked again
            n = wanted(d) if d else before["replicas"]
            status = (d or {}).get("status", {})
            ready, fresh, all_pods = (status.get(f, 0) for f in ("readyReplicas", "updatedReplicas", "replicas"))
            current = d and status.get("observedGeneration", 0) >= d["metadata"]["generation"]
            if d and d["metadata"]["uid"] != before["uid"] or d and not self._done(work, d, before):
                return "unknown", work.say("scale.gone" if verb == "scale" else "restart.unsure", *((what, n) if verb == "scale" else (what,))), ""
            if current and ready == n and all_pods == n and fresh == n:
                if key == "restart.done":
                    return "succeeded", work.say(key, what, ready, n), ""
                if key == "scale.same":
                    return "succeeded", work.say(key, what, n, ready, n), ""
                return "succeeded", work.say(key, what, before["replicas"], n, ready, n), ""
            hand.progress(work.say("restart.progress", what, fresh, n, ready, n) if verb == "restart" else work.say("item.ready", ready, n))
            cause = hand.wait(0.3)
            if cause:
                return self._broken(work, before, cause, work.say("progress.ready", ready, n))

    def _broken(self, work, before, cause, where):
        what, n = self._what(work), work.args.get("replicas", 0)
        if work.action.verb == "restart":
            texts = {"canceled": ("restart.canceled", what, where), "stopping": ("restart.stopping", what, where)}
            late = ("restart.late", what, int(work.action.timeout), where)
        else:
            texts = {"canceled": ("scale.canceled", what, before["replicas"], n, where), "stopping": ("scale.stopping", what, n, where)}
            late = ("scale.late", what, n, int(work.action.timeout), where)
        return ("canceled" if cause == "canceled" else "timeout"), work.say(*texts.get(cause, late)), ""

    def probe(self, work, before):
        """Writes a mark first: a request of the dead owner that is still under way can only be refused after that."""
        what, scale = self._what(work), work.action.verb == "scale"
        unsure = work.say("scale.unsure", what, work.args["replicas"]) if scale else work.say("restart.unsure", what)
        if not before:
            return "unknown", unsure
        try:
            note = {"metadata": {"annotations": {"palmops.io/fence": work.id}}}
            d = self.call(work, "PATCH", self._at(work), note, "application/merge-patch+json")
        except (OSError, ValueError):
            return "unknown", unsure
        n, ready = wanted(d), d["status"].get("readyReplicas", 0)
        if d["metadata"]["uid"] != before["uid"]:
            return "unknown", work.say("scale.gone", what, n) if scale else unsure
        if self._done(work, d, before):
            if scale:
                return "succeeded", work.say("scale.applied", what, before["replicas"], n, ready, n)
            return "succeeded", work.say("restart.applied", what, d["status"].get("updatedReplicas", 0), n, ready, n)
        if scale and n != before["replicas"]:
            return "unknown", work.say("scale.unclear", what, n, before["replicas"], work.args["replicas"])
        return "failed", work.say("scale.untouched", what, n) if scale else work.say("restart.untouched", what)


def wanted(deployment):
    return deployment["spec"].get("replicas", 1)
