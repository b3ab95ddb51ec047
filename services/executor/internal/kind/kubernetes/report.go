package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// maxText bounds the text of a report in bytes: one message on a phone.
const maxText = 1800

// report only reads, and says what it has read.
type report struct {
	asked
	work  kind.Work
	res   resource // of the object that it is about; the zero value when it is about a namespace
	name  string
	retry time.Duration
	make  func(ctx context.Context, hand kind.Hand) (kind.Result, error)
}

var _ operation = (*report)(nil)

func (k *Kind) reportOf(cl *cluster, w kind.Work) (*report, error) {
	r := &report{
		asked: asked{cluster: cl, q: kind.Query{Action: w.Action, Args: w.Args, Lang: w.Lang}, ns: text(w.Args, argNamespace), now: k.now},
		work:  w, retry: k.retry,
	}
	named := 0
	for _, res := range []resource{deploymentRes, statefulRes, podRes, nodeRes} {
		if name := text(w.Args, res.one); name != "" {
			r.res, r.name = res, name
			named++
		}
	}
	least := 1
	switch w.Action.Verb {
	case verbLogs:
		r.make = r.logs
	case verbEvents:
		r.make, least = r.events, 0
	case verbDescribe:
		r.make = r.describe
	default:
		r.make = r.status
	}
	switch {
	case named > 1 || named < least:
		return nil, fault.WithText(fault.New(fault.Invalid, "%s: %d objects are named", w.Action.Verb, named), r.say("report.one"))
	case r.ns == "" && !r.res.global:
		return nil, fault.WithText(fault.New(fault.Invalid, "%s: the namespace is missing", w.Action.Verb), r.say("report.namespace"))
	case r.res.global:
		r.ns = ""
	}
	return r, nil
}

func (*report) target() string { return "" }

// what is the object, or the namespace.
func (r *report) what() string {
	switch {
	case r.name == "":
		return r.ns
	case r.ns == "":
		return r.name
	}
	return r.ns + "/" + r.name
}

// prepare sees that the object is there.
func (r *report) prepare(ctx context.Context) (any, error) {
	if r.name != "" {
		err := r.insist(ctx, r.retry, func() error {
			_, err := r.get(ctx, r.res, r.ns, r.name)
			return err
		})
		if err != nil {
			return nil, explain(err, r.work.Lang, r.what())
		}
	}
	return struct{}{}, nil
}

func (*report) resume(json.RawMessage) error { return nil }

func (r *report) plan() string { return r.say("report.plan", r.what()) }

// probe: what was read is lost with its reader, and nothing else.
func (r *report) probe(context.Context) kind.Result { return kind.Failed(r.say("report.again")) }

func (r *report) apply(ctx context.Context, hand kind.Hand) kind.Result {
	out, err := r.make(ctx, hand)
	switch cause := context.Cause(ctx); {
	case err == nil:
	case errors.Is(cause, kind.ErrCanceled):
		out.State, out.Text = kind.Canceled("").State, r.say("report.canceled", r.what())
	case errors.Is(cause, kind.ErrStopping), errors.Is(cause, kind.ErrLost):
		out.State, out.Text = kind.Failed("").State, r.say("report.again")
	default:
		out.State, out.Text = kind.Failed("").State, fault.SafeIn(explain(err, r.work.Lang, r.what()), r.work.Lang)
	}
	return out
}

// page is the text of a report: a heading and lines, cut to what a phone shows. All of it goes to the output when some is missing.
func (r *report) page(heading string, lines []string) kind.Result {
	out := kind.Ended(heading)
	room := maxText - len(heading)
	for i, l := range lines {
		l = plain(l)
		if room -= len(l) + 1; room < 0 {
			out.Text += "\n" + r.say("report.more", len(lines)-i)
			out.Output = heading + "\n" + strings.Join(lines, "\n") + "\n"
			out.Told = true
			return out
		}
		out.Text += "\n" + l
	}
	return out
}

// plain is a foreign line without control characters, the colours of terminals, and marks that change the direction of writing.
func plain(s string) string {
	var b strings.Builder
	escape := false
	for i, c := range s {
		switch {
		case c == 0x1b:
			escape = true
		case escape && (c == '[' && s[i-1] == 0x1b):
		case escape: // the letter that ends a sequence
			escape = c < 0x40 || c > 0x7e
		case c == '\t':
			b.WriteByte(' ')
		case !unicode.IsControl(c) && !unicode.Is(unicode.Bidi_Control, c):
			b.WriteRune(c)
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}
