// Package http is the kind of actions that speak to HTTP services named in the catalog: values and lists out of JSON, reports,
// and templated calls that change something. See README.md beside it.
package http

import (
	"context"
	_ "embed"
	"encoding/json"
	"maps"
	nethttp "net/http"
	"slices"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/endpoint"
	"palmops/services/executor/internal/fill"
	"palmops/services/executor/internal/kind"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// maxText is the length of a text about a result, in bytes before its places are filled.
const maxText = 500

// Kind is the kind http over all services of a catalog.
type Kind struct {
	services map[string]*endpoint.Client
	pause    time.Duration // between looks at what a call has done
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind and reads the files that the targets name. It speaks to no service yet; the error is Invalid.
func New(targets map[string]endpoint.Target) (*Kind, error) {
	k := &Kind{services: map[string]*endpoint.Client{}, pause: 2 * time.Second}
	for name, t := range targets {
		c, err := endpoint.Connect(t)
		if err != nil {
			k.Close()
			return nil, err
		}
		k.services[name] = c
	}
	return k, nil
}

// Secrets are the contents of the files with secrets.
func (k *Kind) Secrets() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(k.services)) {
		out = append(out, k.services[name].Secrets()...)
	}
	return out
}

// Close lets go of idle connections.
func (k *Kind) Close() {
	for _, c := range k.services {
		c.Close()
	}
}

// exchange is one action and the service it speaks to.
type exchange struct {
	*endpoint.Client
	set  Settings
	what string // the target's name
	verb string
	args map[string]any
	lang lang.Tag
}

func (k *Kind) exchange(a catalog.Action, args map[string]any, t lang.Tag) (exchange, error) {
	c, ok := k.services[a.Target]
	set, is := a.Settings.(Settings)
	if !ok || !is {
		return exchange{}, fault.New(fault.Internal, "action %s: no service %q, or no settings", a.Name, a.Target)
	}
	return exchange{Client: c, set: set, what: a.Target, verb: a.Verb, args: args, lang: t}, nil
}

func (x exchange) say(key string, args ...any) string { return texts.Say(x.lang, key, args...) }

// Target is http/<target>/ and what the settings call the object, the filled path by default; "" for what only reads.
func (k *Kind) Target(q kind.Query) string {
	set, ok := q.Action.Settings.(Settings)
	if !ok || q.Action.Verb != verbCall {
		return ""
	}
	return "http/" + q.Action.Target + "/" + strings.TrimPrefix(set.Object.String(q.Args, nil), "/")
}

// request fills the templates. The error is Invalid, for an argument that has no place in a path.
func (x exchange) request(id string) (endpoint.Request, error) {
	path, err := fillPath(x.set.Path, x.args)
	if err != nil {
		return endpoint.Request{}, err
	}
	body, err := x.set.Body.bytes(x.args)
	if err != nil {
		return endpoint.Request{}, err
	}
	r := endpoint.Request{Method: x.set.Method, Path: path, Query: fillQuery(x.set.Query, x.args), Body: body, Header: nethttp.Header{"Accept": {"application/json, */*;q=0.5"}}}
	if x.set.Idempotency != "" && id != "" {
		r.Header[x.set.Idempotency] = []string{id}
	}
	return r, nil
}

// expected reports whether a status is one of success.
func (s Settings) expected(status int) bool {
	if len(s.Expect) == 0 {
		return status >= 200 && status < 300
	}
	return slices.Contains(s.Expect, status)
}

// read asks the service and holds its answer against the settings. Errors have a kind and a text.
func (x exchange) read(ctx context.Context) (endpoint.Response, error) {
	r, err := x.request("")
	if err != nil {
		return endpoint.Response{}, endpoint.Explain(err, x.lang, x.what)
	}
	res, err := x.Read(ctx, r)
	if err != nil {
		return res, endpoint.Explain(err, x.lang, x.what)
	}
	if !x.set.expected(res.Status) {
		return res, endpoint.Refused(res, x.lang, x.what)
	}
	return res, nil
}

// Answer reads fields or a list.
func (k *Kind) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	x, err := k.exchange(q.Action, q.Args, q.Lang)
	if err != nil {
		return wire.Answer{}, err
	}
	if q.Action.Verb != verbFields && q.Action.Verb != verbList {
		return wire.Answer{}, fault.New(fault.Internal, "http has no question %q", q.Action.Verb)
	}
	res, err := x.read(ctx)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := endpoint.Whole(res, q.Lang, x.what); err != nil {
		return wire.Answer{}, err
	}
	doc, err := document(res.Body)
	if err == nil && q.Action.Verb == verbFields {
		return wire.Answer{Fields: x.set.extract(doc)}, nil
	}
	var items []wire.Item
	if err == nil {
		items, err = x.set.items(doc)
	}
	return wire.Answer{Items: items}, endpoint.Unreadable(err, q.Lang, x.what)
}

// Prepare makes sure that the arguments fit into the request. For a call it looks whether the service is there, by its probe if
// there is one.
func (k *Kind) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	if w.Action.Verb == verbCall {
		c, err := k.call(w)
		if err != nil {
			return nil, err
		}
		return c.prepare(ctx)
	}
	x, err := k.exchange(w.Action, w.Args, w.Lang)
	if err != nil {
		return nil, err
	}
	_, err = x.request("")
	return nil, endpoint.Explain(err, w.Lang, x.what)
}

// Plan says which request would be made.
func (k *Kind) Plan(_ context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	x, err := k.exchange(w.Action, w.Args, w.Lang)
	if err != nil {
		return "", err
	}
	if w.Action.Verb == verbCall {
		x.args = withID(x.args, w.ID)
	}
	r, err := x.request(w.ID)
	if err != nil {
		return "", endpoint.Explain(err, w.Lang, x.what)
	}
	line := x.line(r)
	if len(r.Body) > 0 {
		line += " " + endpoint.Line(string(r.Body), 300)
	}
	return x.say("call.plan", x.what, line), nil
}

// line is a request as a person reads it.
func (x exchange) line(r endpoint.Request) string {
	s := r.Method + " " + r.Path
	if len(r.Query) > 0 {
		s += "?" + r.Query.Encode()
	}
	return endpoint.Line(s, 300)
}

// Apply makes the call, or the report.
func (k *Kind) Apply(ctx context.Context, w kind.Work, raw json.RawMessage, hand kind.Hand) kind.Result {
	if w.Action.Verb == verbCall {
		c, err := k.resume(w, raw)
		if err != nil {
			return kind.Failed(texts.Say(w.Lang, "call.broken"))
		}
		return c.apply(ctx, hand)
	}
	x, err := k.exchange(w.Action, w.Args, w.Lang)
	if err != nil {
		return kind.Failed(texts.Say(w.Lang, "call.broken"))
	}
	return x.report(ctx)
}

// Probe looks at what a call has done whose owner died. A report has done nothing.
func (k *Kind) Probe(ctx context.Context, w kind.Work, raw json.RawMessage) kind.Result {
	if w.Action.Verb != verbCall {
		return kind.Failed(texts.Say(w.Lang, "report.lost"))
	}
	c, err := k.resume(w, raw)
	if err != nil {
		return kind.Unsure(texts.Say(w.Lang, "call.unprobed"))
	}
	return c.settle(ctx, c.say("doubt.owner"))
}

// report reads and shows.
func (x exchange) report(ctx context.Context) kind.Result {
	res, err := x.read(ctx)
	if err != nil {
		if done := x.stopped(ctx, "report"); done != nil {
			return *done
		}
		return kind.Failed(fault.SafeIn(err, x.lang))
	}
	out := kind.Ended(x.say("report.done", x.what, endpoint.StatusText(res.Status)))
	var fields map[string]string
	if len(x.set.Extract) > 0 {
		if err := endpoint.Whole(res, x.lang, x.what); err != nil {
			return kind.Failed(fault.SafeIn(err, x.lang))
		}
		doc, err := document(res.Body)
		if err != nil {
			return kind.Failed(fault.SafeIn(endpoint.Unreadable(err, x.lang, x.what), x.lang))
		}
		fields = x.set.extract(doc)
		var b strings.Builder
		for _, f := range x.set.Extract {
			b.WriteString(f.name + ": " + shown(fields[f.name]) + "\n")
		}
		out.Output = b.String()
	} else {
		out.Output = pretty(res.Body)
		if res.Dropped > 0 {
			out.Output += "\n" + x.say("report.cut", res.Dropped)
		}
	}
	if text := x.text(fields); text != "" {
		out.Text = text
	}
	return out
}

// text is the settings' text, filled; "" for none.
func (x exchange) text(fields map[string]string) string {
	t, ok := x.set.Text[x.lang]
	if !ok {
		return ""
	}
	all := map[string]any{}
	for name, v := range x.args {
		all[name] = shown(endpoint.Quote(fill.Value(v)))
	}
	for _, f := range x.set.Extract {
		all[f.name] = shown(endpoint.Quote(fields[f.name]))
	}
	return endpoint.Line(t.String(all, nil), 1000)
}

// shown stands for a value that is not there.
func shown(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
