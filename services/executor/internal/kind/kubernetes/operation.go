package kubernetes

import (
	"context"
	"encoding/json"
	"strings"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// operation is one action at work: a change of one object, a drain, or a report.
type operation interface {
	// target is empty for a report.
	target() string
	// prepare reads what the others need, and refuses.
	prepare(ctx context.Context) (any, error)
	// resume takes what prepare had read.
	resume(raw json.RawMessage) error
	plan() string
	apply(ctx context.Context, hand kind.Hand) kind.Result
	probe(ctx context.Context) kind.Result
}

// operation makes what an action asks for.
func (k *Kind) operation(w kind.Work) (operation, error) {
	cl, err := k.cluster(w.Action)
	if err != nil {
		return nil, err
	}
	switch w.Action.Verb {
	case verbLogs, verbEvents, verbDescribe, verbStatus:
		return k.reportOf(cl, w)
	case verbDrain:
		return k.drainOf(cl, w)
	}
	return k.changeOf(cl, w)
}

// Target is k8s/<cluster>/<namespace>/<kind>/<name>, k8s/<cluster>/node/<name>, or "" for what only reads.
func (k *Kind) Target(q kind.Query) string {
	op, err := k.operation(kind.Work{Action: q.Action, Args: q.Args, Lang: q.Lang})
	if err != nil {
		return ""
	}
	return op.target()
}

func targetName(cluster, ns string, res resource, name string) string {
	parts := []string{"k8s", cluster, ns, res.one, name}
	if res.global {
		parts = []string{"k8s", cluster, res.one, name}
	}
	return strings.Join(parts, "/")
}

// Prepare reads the object and refuses what is not as it was confirmed. A cluster that cannot be reached is asked again for
// as long as the context allows.
func (k *Kind) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	op, err := k.operation(w)
	if err != nil {
		return nil, err
	}
	b, err := op.prepare(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(b)
}

func (k *Kind) resume(w kind.Work, raw json.RawMessage) (operation, error) {
	op, err := k.operation(w)
	if err != nil {
		return nil, err
	}
	return op, op.resume(raw)
}

// Plan says what a change would do to the object as Prepare read it.
func (k *Kind) Plan(_ context.Context, w kind.Work, raw json.RawMessage) (string, error) {
	op, err := k.resume(w, raw)
	if err != nil {
		return "", err
	}
	return op.plan(), nil
}

// Apply makes the change and waits until everything is as it is wanted, or makes the report.
func (k *Kind) Apply(ctx context.Context, w kind.Work, raw json.RawMessage, hand kind.Hand) kind.Result {
	op, err := k.resume(w, raw)
	if err != nil {
		return kind.Failed(texts.Say(w.Lang, "change.broken"))
	}
	return op.apply(ctx, hand)
}

// Probe says what became of an action whose owner died.
func (k *Kind) Probe(ctx context.Context, w kind.Work, raw json.RawMessage) kind.Result {
	op, err := k.resume(w, raw)
	if err != nil {
		return kind.Unsure(texts.Say(w.Lang, "change.unprobed"))
	}
	return op.probe(ctx)
}

// take reads what Prepare had read.
func take(raw json.RawMessage, into *before) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fault.Wrap(fault.Internal, err, "what was read before")
	}
	if into.UID == "" {
		return fault.New(fault.Internal, "what was read before names no object")
	}
	return nil
}

func text(args map[string]any, name string) string {
	s, _ := args[name].(string) // the catalog has seen to the type
	return s
}

// integer is an optional number.
func integer(args map[string]any, name string) (n int64, given bool) {
	n, given = args[name].(int64)
	return n, given
}
