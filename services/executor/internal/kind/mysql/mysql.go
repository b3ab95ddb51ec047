// Package mysql is the kind of actions that work on MySQL and MariaDB: what runs, who waits for whom, statistics, queries
// that a catalog fixes, and ending a connection or its statement.
//
// No text of a person ever becomes a part of a statement: arguments are bound to question marks, numbers are written by this
// package, and names stand in its own sentences. A server may be asked by several sessions of this package at once, of which none lasts
// longer than the work it is for.
package mysql

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
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

// Kind is the kind mysql over all servers of a catalog.
type Kind struct {
	servers map[string]*server
	pace    time.Duration // between two looks at what was killed
	sample  time.Duration // for figures per second
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind. It speaks to no server yet; Invalid when a password or certificate cannot be read.
func New(servers map[string]Server) (*Kind, error) {
	k := &Kind{servers: map[string]*server{}, pace: 200 * time.Millisecond, sample: time.Second}
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
		_ = s.db.Close() // there is nothing left to lose
	}
}

func (k *Kind) server(a catalog.Action) (*server, error) {
	s, ok := k.servers[a.Target]
	if !ok {
		return nil, fault.New(fault.Internal, "action %s: no server %q", a.Name, a.Target)
	}
	return s, nil
}

// Target is mysql/<server>/connection/<id> for a change.
func (k *Kind) Target(q kind.Query) string {
	if q.Action.Verb != verbKill && q.Action.Verb != verbKillQuery {
		return ""
	}
	return fmt.Sprintf("mysql/%s/connection/%s", q.Action.Target, text(q.Args, "id"))
}

// Answer reads a list, or one connection.
func (k *Kind) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	s, err := k.server(q.Action)
	if err != nil {
		return wire.Answer{}, err
	}
	var out wire.Answer
	err = s.within(ctx, func(in *session) (err error) {
		switch q.Action.Verb {
		case verbProcesses:
			out, err = s.processes(ctx, in, q.Lang)
		case verbProcess:
			out, err = s.process(ctx, in, q)
		case verbDatabases:
			out, err = s.databases(ctx, in)
		default:
			err = fault.New(fault.Internal, "mysql has no question %q", q.Action.Verb)
		}
		return err
	})
	if fault.Is(err, fault.Internal) && errors.As(err, new(*fault.Error)) {
		return wire.Answer{}, err
	}
	return out, explain(err, q.Lang, s.Name)
}

func (s *server) processes(ctx context.Context, in *session, t lang.Tag) (wire.Answer, error) {
	all, err := in.threads(ctx, s, 0)
	items := make([]wire.Item, 0, len(all))
	for _, one := range running(all) {
		items = append(items, one.item(t))
	}
	return wire.Answer{Items: items}, err
}

func (s *server) process(ctx context.Context, in *session, q kind.Query) (wire.Answer, error) {
	id, err := idOf(q.Args, q.Lang)
	if err != nil {
		return wire.Answer{}, err
	}
	all, err := in.threads(ctx, s, id)
	if err == nil && len(all) == 0 {
		err = fault.WithText(fault.New(fault.NotFound, "no connection %d", id), texts.Say(q.Lang, "kill.none", id))
	}
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Answer{Fields: all[0].fields()}, nil
}

func (s *server) databases(ctx context.Context, in *session) (wire.Answer, error) {
	within, args := s.bounds("SCHEMA_NAME")
	rows, err := in.texts(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE "+within+" ORDER BY SCHEMA_NAME", args...)
	items := make([]wire.Item, 0, len(rows))
	for _, r := range rows {
		items = append(items, wire.Item{Value: r[0]})
	}
	return wire.Answer{Items: items}, err
}

// Prepare reads the connection that is to be ended. A report needs nothing.
func (k *Kind) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	switch {
	case w.Action.Verb == verbKill || w.Action.Verb == verbKillQuery:
		c, err := k.killOf(w)
		if err != nil {
			return nil, err
		}
		return c.prepare(ctx)
	case reports[w.Action.Verb] != nil:
		_, err := k.server(w.Action)
		return nil, err
	}
	return nil, fault.New(fault.Internal, "mysql cannot do %q", w.Action.Verb)
}

// Plan says which connection would be ended, or that a report changes nothing.
func (k *Kind) Plan(_ context.Context, w kind.Work, raw json.RawMessage) (string, error) {
	if reports[w.Action.Verb] != nil {
		return texts.Say(w.Lang, "report.plan", w.Action.Target), nil
	}
	c, err := k.resume(w, raw)
	if err != nil {
		return "", err
	}
	return c.plan(), nil
}

// Apply ends the connection, or makes the report.
func (k *Kind) Apply(ctx context.Context, w kind.Work, raw json.RawMessage, hand kind.Hand) kind.Result {
	if reports[w.Action.Verb] != nil {
		return k.report(ctx, w)
	}
	c, err := k.resume(w, raw)
	if err != nil {
		return kind.Failed(texts.Say(w.Lang, "kill.broken"))
	}
	return c.apply(ctx, hand)
}

// Probe says what became of a kill whose owner died.
func (k *Kind) Probe(ctx context.Context, w kind.Work, raw json.RawMessage) kind.Result {
	if reports[w.Action.Verb] != nil {
		return kind.Failed(texts.Say(w.Lang, "report.lost"))
	}
	c, err := k.resume(w, raw)
	if err != nil {
		return kind.Unsure(texts.Say(w.Lang, "kill.unprobed"))
	}
	return c.verdict(ctx)
}

func text(args map[string]any, name string) string {
	s, _ := args[name].(string) // the catalog has seen to the type
	return s
}
