// Package ask signs what executors are asked to do, and finds the answers to the questions of a step: from executors, from
// the directory, and from the records of actions. Lists that a menu lets grow old are kept here for a while.
package ask

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

const (
	// Patience is how long an answer may take.
	Patience = time.Second
	// Valid is how long a question's token counts.
	Valid = 10 * time.Second
)

// Bus asks over NATS.
type Bus interface {
	Ask(ctx context.Context, subject string, question, answer any) error
}

// Tasks tell how a person's own orders stand, and what they put out.
type Tasks interface {
	Tasks(ctx context.Context, w session.Who, ids []string) ([]flow.Task, error)
	Output(ctx context.Context, w session.Who, id string, page int) (flow.OutputPage, error)
}

// Options are what an Asker needs.
type Options struct {
	Bus      Bus
	Signer   *Signer
	Tasks    Tasks
	Now      func() time.Time
	Log      *zap.Logger
	Registry prometheus.Registerer
}

// Asker is safe for concurrent use. Who makes one closes it.
type Asker struct {
	Options
	lists *cache
}

// New makes an Asker.
func New(o Options) *Asker {
	o.Log = o.Log.Named("ask")
	return &Asker{Options: o, lists: newCache(o.Now, o.Log, o.Registry)}
}

// Close ends what is asked in the background and waits for it.
func (a *Asker) Close() { a.lists.close() }

// Ask finds the answer to one question of a person; id names it and must be new. It takes Patience at most, and no longer
// than ctx: what comes later is thrown away. A failure is an answer with a Fault that the person may read, in the language
// t, and the error for the log.
func (a *Asker) Ask(ctx context.Context, w session.Who, t lang.Tag, id string, q flow.Question) (flow.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	switch q.What {
	case flow.AskTasks:
		list, err := a.Tasks.Tasks(ctx, w, q.Tasks)
		if err != nil {
			return flow.Answer{Fault: sentence(t, q, texts.Say(t, "why.store"))}, err
		}
		return flow.Answer{Tasks: list}, nil
	case flow.AskOutput:
		return a.output(ctx, w, t, q)
	}
	if q.Cache <= 0 || q.What != flow.AskList && q.What != flow.AskDirectory {
		answer, err := a.fetch(ctx, w, t, id, q)
		return told(t, q, answer, a.Now(), err)
	}
	// A list with Cache is by declaration not about the person: the key holds no user, and whoever asks first asks for all
	// who stand in the same app and read the same language.
	key := strings.Join([]string{w.Corp, w.App, string(t), q.Key}, "\x00")
	answer, at, err := a.lists.get(ctx, key, q.Cache, q.Stale, func(ctx context.Context) (wire.Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, Patience)
		defer cancel()
		answer, err := a.fetch(ctx, w, t, id, q)
		if err == nil && answer.Fault != nil {
			err = refusal(answer.Fault)
		}
		return answer, err
	})
	return told(t, q, answer, at, err)
}

func (a *Asker) output(ctx context.Context, w session.Who, t lang.Tag, q flow.Question) (flow.Answer, error) {
	if len(q.Tasks) != 1 {
		return flow.Answer{Fault: sentence(t, q, texts.Say(t, "why.answer"))}, fault.New(fault.Internal, "output of %d actions", len(q.Tasks))
	}
	page, err := a.Tasks.Output(ctx, w, q.Tasks[0], q.Page)
	switch {
	case fault.Is(err, fault.NotFound):
		return flow.Answer{Fault: texts.Say(t, "fault.no_output")}, err
	case err != nil:
		return flow.Answer{Fault: sentence(t, q, texts.Say(t, "why.store"))}, err
	}
	return flow.Answer{Output: page}, nil
}

// fetch asks the executor or the directory.
func (a *Asker) fetch(ctx context.Context, w session.Who, t lang.Tag, id string, q flow.Question) (answer wire.Answer, err error) {
	if q.What == flow.AskDirectory {
		about := wire.PersonQuery{V: wire.Version, User: w.User, List: q.Directory, In: q.In}
		err = a.Bus.Ask(ctx, wire.DirSubject(w.Corp, w.App), about, &answer)
		return answer, err
	}
	now := a.Now()
	order, err := a.Signer.Sign(wire.Claims{
		ID: id, Corp: w.Corp, App: w.App, User: w.User, Zone: q.Zone, Pool: q.Pool, Action: q.Action,
		IssuedAt: now.Unix(), Expires: now.Add(Valid).Unix(), Read: true, Lang: string(t),
	}, q.Args)
	if err != nil {
		return wire.Answer{}, unsigned{err}
	}
	err = a.Bus.Ask(ctx, wire.AskSubject(q.Zone, q.Pool, q.Action), order, &answer)
	return answer, err
}

// unsigned is why a question could not be signed.
type unsigned struct{ error }

func (u unsigned) Unwrap() error { return u.error }

// refused is what whoever was asked says instead of an answer.
type refused struct {
	wire.Fault
}

func refusal(f *wire.Fault) error { return refused{*f} }

func (r refused) Error() string         { return "the answer is a fault: " + r.Kind }
func (r refused) FaultKind() fault.Kind { return fault.Kind(r.Kind) }

// told makes what the person is told of what came back at a time.
func told(t lang.Tag, q flow.Question, answer wire.Answer, at time.Time, err error) (flow.Answer, error) {
	if err == nil && answer.Fault != nil {
		err = refusal(answer.Fault)
	}
	if err == nil && (q.What == flow.AskView && answer.View == nil || q.What == flow.AskFields && answer.Fields == nil) {
		return flow.Answer{Fault: sentence(t, q, texts.Say(t, "why.answer"))}, fault.New(fault.Internal, "%s: the answer holds no %s", q.Action, q.What)
	}
	switch why := err.(type) { //nolint:errorlint // both types are made here and never wrapped
	case nil:
	case refused:
		text := why.Text
		if text == "" {
			text = fault.KindTextIn(t, why.FaultKind())
		}
		return flow.Answer{Fault: strings.TrimRight(text, "。. ")}, err
	case unsigned:
		return flow.Answer{Fault: sentence(t, q, texts.Say(t, "why.keys"))}, err
	default:
		if q.What == flow.AskDirectory {
			return flow.Answer{Fault: sentence(t, q, texts.Say(t, "why.directory"))}, err
		}
		return flow.Answer{Fault: sentence(t, q, texts.Say(t, "why.executor"))}, err
	}
	asOf := at.UnixMilli()
	if answer.AsOf > 0 {
		asOf = min(asOf, answer.AsOf)
	}
	return flow.Answer{Items: answer.Items, Fields: answer.Fields, View: answer.View, AsOf: asOf}, nil
}

func sentence(t lang.Tag, q flow.Question, why string) string {
	what := texts.Say(t, "what.list")
	switch q.What {
	case flow.AskFields:
		what = texts.Say(t, "what.fields")
	case flow.AskView:
		what = texts.Say(t, "what.view")
	case flow.AskDirectory:
		what = texts.Say(t, "what.directory")
	case flow.AskTasks:
		what = texts.Say(t, "what.tasks")
	case flow.AskOutput:
		what = texts.Say(t, "what.output")
	}
	return texts.Say(t, "fault.sentence", what, why)
}
