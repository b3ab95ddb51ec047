// Package redis is the kind of actions that work on Redis: figures, slow commands, large keys, connections and ending one, and
// commands that a catalog fixes.
//
// A command is sent as a list of elements and never as a text, so that an argument is always one element. Commands of a catalog
// are held against lists of what only reads, or of what may be done twice without harm.
package redis

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Kind is the kind redis over all servers of a catalog.
type Kind struct {
	servers map[string]*server
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind. It speaks to no server yet; Invalid when a password or certificate cannot be read.
func New(servers map[string]Server) (*Kind, error) {
	k := &Kind{servers: map[string]*server{}}
	for name, c := range servers {
		s, err := connect(c)
		if err != nil {
			k.Close()
			return nil, err
		}
		k.servers[name] = s
	}
	return k, nil
}

// Secrets are the passwords, those of earlier contents of the files included.
func (k *Kind) Secrets() []string {
	var out []string
	for _, s := range k.servers {
		out = append(out, s.passwords.Known()...)
	}
	return out
}

// Close hangs up.
func (k *Kind) Close() {
	for _, s := range k.servers {
		_ = s.c.Close() // there is nothing left to lose
	}
}

func (k *Kind) server(a catalog.Action) (*server, error) {
	s, ok := k.servers[a.Target]
	if !ok {
		return nil, fault.New(fault.Internal, "action %s: no server %q", a.Name, a.Target)
	}
	return s, nil
}

// Target is redis/<server>/client/<id>, or redis/<server>/key/<key> of a write.
func (k *Kind) Target(q kind.Query) string {
	switch q.Action.Verb {
	case verbKill:
		return fmt.Sprintf("redis/%s/client/%s", q.Action.Target, text(q.Args, "id"))
	case verbWrite:
		if set, ok := q.Action.Settings.(Command); ok && len(set.Argv) > 1 {
			return fmt.Sprintf("redis/%s/key/%s", q.Action.Target, set.elements(q.Args)[1])
		}
	}
	return ""
}

// Answer reads a list, one connection, or figures.
func (k *Kind) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	s, err := k.server(q.Action)
	if err != nil {
		return wire.Answer{}, err
	}
	var out wire.Answer
	switch q.Action.Verb {
	case verbClients:
		out, err = s.clients(ctx, q.Lang)
	case verbClient:
		out, err = s.client(ctx, q)
	case verbState:
		out, err = s.state(ctx)
	default:
		return out, fault.New(fault.Internal, "redis has no question %q", q.Action.Verb)
	}
	return out, explain(err, q.Lang, s.Name)
}

func (s *server) clients(ctx context.Context, t lang.Tag) (wire.Answer, error) {
	nodes, err := s.nodes(ctx)
	if err != nil {
		return wire.Answer{}, err
	}
	var all []client
	for _, n := range nodes {
		some, _, err := n.list(ctx, "")
		if err != nil {
			return wire.Answer{}, err
		}
		all = append(all, some...)
	}
	all = shown(all)
	items := make([]wire.Item, len(all))
	for i, c := range all {
		items[i] = c.item(t)
	}
	return wire.Answer{Items: items}, nil
}

func (s *server) client(ctx context.Context, q kind.Query) (wire.Answer, error) {
	c, _, there, err := s.find(ctx, text(q.Args, "id"))
	if err == nil && !there {
		err = none(q.Lang, text(q.Args, "id"))
	}
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Answer{Fields: c.fields()}, nil
}

// find reads one connection by the value of its item.
func (s *server) find(ctx context.Context, value string) (client, node, bool, error) {
	id, name := splitID(value)
	n, there, err := s.node(ctx, name)
	if err != nil || !there {
		return client{}, node{}, false, err
	}
	all, _, err := n.list(ctx, id)
	if err != nil || len(all) == 0 || all[0].link() {
		return client{}, n, false, err
	}
	return all[0], n, true, nil
}

func none(t lang.Tag, id string) error {
	return fault.WithText(fault.New(fault.NotFound, "no connection %q", id), texts.Say(t, "kill.none", id))
}

// Prepare reads the connection that is to be ended, or the type of the key that is to be written. A report needs nothing.
func (k *Kind) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	c, err := k.changeOf(w)
	if err != nil || c == nil {
		return nil, err
	}
	raw, err := c.prepare(ctx)
	return raw, explain(err, w.Lang, w.Action.Target)
}

// Plan says what a change would do, or that a report changes nothing.
func (k *Kind) Plan(_ context.Context, w kind.Work, raw json.RawMessage) (string, error) {
	c, err := k.changeOf(w)
	if err == nil && c == nil {
		return texts.Say(w.Lang, "report.plan", w.Action.Target), nil
	}
	if err == nil {
		err = c.resume(raw)
	}
	if err != nil {
		return "", err
	}
	return c.plan(), nil
}

// Apply makes the change, or the report.
func (k *Kind) Apply(ctx context.Context, w kind.Work, raw json.RawMessage, hand kind.Hand) kind.Result {
	c, err := k.changeOf(w)
	if err == nil && c == nil {
		return k.report(ctx, w, hand)
	}
	if err == nil {
		err = c.resume(raw)
	}
	if err != nil {
		return kind.Failed(texts.Say(w.Lang, "change.broken"))
	}
	return c.apply(ctx, hand)
}

// Probe says what became of a change whose owner died.
func (k *Kind) Probe(ctx context.Context, w kind.Work, raw json.RawMessage) kind.Result {
	c, err := k.changeOf(w)
	if err == nil && c == nil {
		return kind.Failed(texts.Say(w.Lang, "report.lost"))
	}
	if err == nil {
		err = c.resume(raw)
	}
	if err != nil {
		return kind.Unsure(texts.Say(w.Lang, "change.unprobed"))
	}
	return c.verdict(ctx)
}

// goal is one change at work.
type goal interface {
	// prepare reads and refuses; what it returns comes back through resume.
	prepare(ctx context.Context) (json.RawMessage, error)
	resume(raw json.RawMessage) error
	plan() string
	apply(ctx context.Context, hand kind.Hand) kind.Result
	// verdict says what became of an apply of which nothing more is known.
	verdict(ctx context.Context) kind.Result
}

// changeOf makes the change that an action is about; nil for a report.
func (k *Kind) changeOf(w kind.Work) (goal, error) {
	s, err := k.server(w.Action)
	if err != nil {
		return nil, err
	}
	base := change{server: s, work: w}
	switch {
	case w.Action.Verb == verbKill:
		return &kill{change: base}, nil
	case w.Action.Verb == verbWrite:
		set, ok := w.Action.Settings.(Command)
		if !ok || len(set.Argv) < 2 {
			return nil, fault.New(fault.Internal, "action %s has no command", w.Action.Name)
		}
		return &write{change: base, argv: set.elements(w.Args)}, nil
	case reports[w.Action.Verb] != nil:
		return nil, nil
	}
	return nil, fault.New(fault.Internal, "redis cannot do %q", w.Action.Verb)
}

func text(args map[string]any, name string) string {
	s, _ := args[name].(string) // the catalog has seen to the type
	return s
}

// near reports whether two times are the same as far as a server's whole seconds tell.
func near(a, b int64) bool { return a-b <= slack && b-a <= slack }

const slack = int64(2 * time.Second / time.Second)
