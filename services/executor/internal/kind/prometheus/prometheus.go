// Package prometheus is the kind of actions that read from servers of Prometheus: values, tables, and charts that a phone can show.
// It changes nothing. See README.md beside it.
package prometheus

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/endpoint"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/prometheus/chart"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Limits of what is shown.
const (
	maxRows  = 200 // of a table
	maxItems = 5000
	maxValue = 253 // bytes of an item's value
)

// Kind is the kind prometheus over all servers of a catalog.
type Kind struct {
	servers map[string]server
	now     func() time.Time
	drawing sync.Mutex // one picture at a time: each takes some 10 MB while it is drawn
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind and reads the files that the targets name. It speaks to no server yet; the error is Invalid.
func New(targets map[string]Target) (*Kind, error) {
	k := &Kind{servers: map[string]server{}, now: time.Now}
	for name, t := range targets {
		c, err := endpoint.Connect(t.Target)
		if err != nil {
			k.Close()
			return nil, err
		}
		fonts := chart.Fonts
		if t.Font != "" {
			if err := chart.Check(t.Font); err != nil {
				c.Close()
				k.Close()
				return nil, fault.New(fault.Invalid, "target %s: %s: %w", name, t.Font, err)
			}
			fonts = append([]string{t.Font}, chart.Fonts...)
		}
		k.servers[name] = server{Client: c, name: name, fonts: fonts}
	}
	return k, nil
}

// Secrets are the contents of the files with secrets.
func (k *Kind) Secrets() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(k.servers)) {
		out = append(out, k.servers[name].Secrets()...)
	}
	return out
}

// Close lets go of idle connections.
func (k *Kind) Close() {
	for _, s := range k.servers {
		s.Close()
	}
}

// Target is none: nothing is changed.
func (k *Kind) Target(kind.Query) string { return "" }

func (k *Kind) find(a catalog.Action) (server, Settings, error) {
	s, ok := k.servers[a.Target]
	set, is := a.Settings.(Settings)
	if !ok || !is {
		return server{}, Settings{}, fault.New(fault.Internal, "action %s: no server %q, or no settings", a.Name, a.Target)
	}
	return s, set, nil
}

// Answer gives the values of an instant query: items by a label where the settings name one, else fields.
func (k *Kind) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	s, set, err := k.find(q.Action)
	if err != nil {
		return wire.Answer{}, err
	}
	if q.Action.Verb != verbValue {
		return wire.Answer{}, fault.New(fault.Internal, "prometheus has no question %q", q.Action.Verb)
	}
	res, err := s.instant(ctx, set.Query.fill(q.Args), q.Lang)
	if err != nil {
		return wire.Answer{}, err
	}
	byHeight(res.series)
	if set.Label != "" {
		return wire.Answer{Items: set.items(res)}, nil
	}
	if len(res.series) == 0 {
		return wire.Answer{}, fault.WithText(fault.New(fault.NotFound, "the query gives nothing"), texts.Say(q.Lang, "value.nothing"))
	}
	return wire.Answer{Fields: set.fields(res)}, nil
}

// items are the values of a label, the highest first. Series without the label are left out, and of several with the same one
// all but the first.
func (set Settings) items(res result) []wire.Item {
	out := []wire.Item{}
	seen := map[string]bool{}
	for _, s := range res.series {
		v := s.labels[set.Label]
		if v == "" || len(v) > maxValue || seen[v] || v != endpoint.Line(v, maxValue) || len(out) == maxItems {
			continue
		}
		seen[v] = true
		item := wire.Item{Value: v, Detail: set.Unit.text(s.sum().last)}
		if set.Legend != "" {
			item.Label = s.name(set.Legend, "")
		}
		out = append(out, item)
	}
	return out
}

// fields are value, the number as it is, and text, the number with its unit, of one series; of several each one's text by its
// name.
func (set Settings) fields(res result) map[string]string {
	if len(res.series) == 1 {
		v := res.series[0].sum().last
		return map[string]string{"value": strconv.FormatFloat(v, 'f', -1, 64), "text": set.Unit.text(v)}
	}
	out := map[string]string{}
	for _, s := range res.series[:min(len(res.series), maxRows)] {
		if name := s.name(set.Legend, ""); name != "" {
			out[name] = set.Unit.text(s.sum().last)
		}
	}
	return out
}

// Prepare has nothing to read.
func (k *Kind) Prepare(_ context.Context, w kind.Work) (json.RawMessage, error) {
	if w.Action.Verb != verbQuery && w.Action.Verb != verbChart {
		return nil, fault.New(fault.Internal, "prometheus cannot do %q", w.Action.Verb)
	}
	return nil, nil
}

// Plan says which query would be asked.
func (k *Kind) Plan(_ context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	_, set, err := k.find(w.Action)
	if err != nil {
		return "", err
	}
	return texts.Say(w.Lang, "query.plan", w.Action.Target, endpoint.Line(set.Query.fill(w.Args), 500)), nil
}

// Probe knows without looking: a report has changed nothing.
func (k *Kind) Probe(_ context.Context, w kind.Work, _ json.RawMessage) kind.Result {
	return kind.Failed(texts.Say(w.Lang, "report.lost"))
}

// Apply makes the table or the chart.
func (k *Kind) Apply(ctx context.Context, w kind.Work, _ json.RawMessage, _ kind.Hand) kind.Result {
	s, set, err := k.find(w.Action)
	if err != nil {
		return kind.Failed(texts.Say(w.Lang, "report.broken"))
	}
	title := set.Title.In(w.Lang)
	if title == "" {
		title = w.Action.Name
	}
	var r kind.Result
	if w.Action.Verb == verbChart {
		r, err = k.chart(ctx, s, set, title, w)
	} else {
		r, err = s.table(ctx, set, title, w)
	}
	if err != nil {
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, kind.ErrCanceled):
			return kind.Canceled(texts.Say(w.Lang, "report.canceled"))
		case errors.Is(cause, kind.ErrStopping):
			return kind.Failed(texts.Say(w.Lang, "report.stopping"))
		case errors.Is(cause, kind.ErrLost):
			return kind.Failed(texts.Say(w.Lang, "report.taken"))
		}
		return kind.Failed(fault.SafeIn(err, w.Lang))
	}
	return r
}

// table is an instant query, the highest values first.
func (s server) table(ctx context.Context, set Settings, title string, w kind.Work) (kind.Result, error) {
	res, err := s.instant(ctx, set.Query.fill(w.Args), w.Lang)
	if err != nil {
		return kind.Result{}, err
	}
	if len(res.series) == 0 {
		return kind.Ended(texts.Say(w.Lang, "query.nothing", title)), nil
	}
	byHeight(res.series)
	var b strings.Builder
	for _, one := range res.series[:min(len(res.series), maxRows)] {
		b.WriteString(set.Unit.text(one.sum().last) + "  " + one.name(set.Legend, title) + "\n")
	}
	if rest := len(res.series) - maxRows; rest > 0 {
		b.WriteString(texts.Say(w.Lang, "query.rest", rest) + "\n")
	}
	text := texts.Say(w.Lang, "query.done", title, len(res.series)) + notes(res, w.Lang)
	if len(res.series) == 1 {
		return kind.Ended(texts.Say(w.Lang, "query.one", title, set.Unit.text(res.series[0].sum().last)) + notes(res, w.Lang)), nil
	}
	return kind.Result{State: wire.StateSucceeded, Text: text, Output: b.String()}, nil
}

// notes say what is not in a result.
func notes(res result, t lang.Tag) string {
	out := ""
	if res.left > 0 {
		out += texts.Say(t, "note.left", res.left)
	}
	if res.warned {
		out += texts.Say(t, "note.warned")
	}
	return out
}
