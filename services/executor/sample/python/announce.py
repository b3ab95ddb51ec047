"""Announcing an executor, after ADR-32 of NATS: what "nats micro ls" and palmops doctor read."""

from records import VERSION, encode, token

NAME = "palmops-executor"


def announce(nats, catalog, instance, started):
    meta = {"zone": catalog.zone, "pool": catalog.pool, "instance": instance, "catalog": catalog.digest,
            "actions": str(len(catalog.actions))}
    head = {"name": NAME, "id": instance, "version": "1.0.0", "metadata": meta}
    subject = f"offer.{token(catalog.zone)}.{token(catalog.pool)}"
    endpoint = {"name": "offer", "subject": subject, "queue_group": "q"}
    answers = {
        "PING": {**head, "type": "io.nats.micro.v1.ping_response"},
        "INFO": {**head, "type": "io.nats.micro.v1.info_response", "description": "palmops executor in Python", "endpoints": [endpoint]},
        "STATS": {**head, "type": "io.nats.micro.v1.stats_response", "started": started, "endpoints": [
            {**endpoint, "num_requests": 0, "num_errors": 0, "last_error": "", "processing_time": 0, "average_processing_time": 0}]},
    }

    def respond(what):
        return lambda msg: nats.publish(msg.reply, encode(what))

    for verb, what in answers.items():
        for at in (f"$SRV.{verb}", f"$SRV.{verb}.{NAME}", f"$SRV.{verb}.{NAME}.{instance}"):
            nats.sub(at, respond(what))
    offer = {"v": VERSION, "zone": catalog.zone, "pool": catalog.pool, "instance": instance, "version": "1.0.0", "digest": catalog.digest,
             "actions": [offered(a) for _, a in sorted(catalog.actions.items())]}
    nats.sub(subject, respond(offer), "q")


def offered(action):
    params = []
    for p in action.params:
        fields = {"name": p.name, "type": p.type, "optional": p.optional, "allow": p.allow, "pattern": p.pattern_name, "min": p.min, "max": p.max}
        params.append({k: v for k, v in fields.items() if v not in (None, False, "")})
    out = {"name": action.name, "class": action.klass, "kind": action.kind, "verb": action.verb, "params": params}
    return {**out, "env": action.env} if action.env else out
