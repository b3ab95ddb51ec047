// Package answer answers questions: signed requests for lists and current values that change nothing.
package answer

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/guard"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/mask"
)

// Deadline is how long an answer may take. Who asks gives up at about the same time.
const Deadline = 3 * time.Second

// workers is how many questions are worked on at once.
const workers = 32

// Auditor takes audit lines without making the caller wait.
type Auditor interface{ Write(wire.AuditLine) }

// Locks tells who keeps whom out of which environment of the catalog; of all of them with "".
type Locks interface {
	EnvLocks(ctx context.Context, env string, t lang.Tag) ([]wire.Item, error)
}

// Options are what a server needs.
type Options struct {
	Bus     *bus.Bus
	Catalog *catalog.Catalog
	Guard   *guard.Guard
	Kinds   map[string]kind.Kind
	Locks   Locks
	Audit   Auditor
	Metrics prometheus.Registerer
	Log     *zap.Logger
	Now     func() time.Time
}

// Server answers the questions to one pool.
type Server struct {
	o     Options
	asked *prometheus.CounterVec
	mask  *mask.Live
}

// New makes a server; it hears nothing before Run.
func New(o Options) *Server {
	s := &Server{o: o, mask: mask.Over(o.Kinds, o.Catalog.Mask), asked: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "palmops_executor_questions_total", Help: "Questions by action and result: ok, the kind of fault, or why the guard refused.",
	}, []string{"action", "result"})}
	o.Metrics.MustRegister(s.asked)
	return s
}

// Run answers until ctx ends and the running answers have been given.
func (s *Server) Run(ctx context.Context) error {
	c := s.o.Catalog
	stop, err := s.o.Bus.Serve(wire.AskPool(c.Zone, c.Pool), "exec-"+c.Zone+"-"+c.Pool, workers,
		func(ctx context.Context, _ string, data []byte) any { return s.Answer(ctx, data) })
	if err != nil {
		return err
	}
	<-ctx.Done()
	stop()
	return nil
}

// Answer judges one question and answers it, without secrets. Every failure is an answer too.
func (s *Server) Answer(ctx context.Context, data []byte) wire.Answer {
	return s.covered(s.judged(ctx, data))
}

func (s *Server) judged(ctx context.Context, data []byte) wire.Answer {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	q, err := s.o.Guard.Question(data, s.o.Now())
	var no *guard.Refusal
	if errors.As(err, &no) {
		s.note(no.Claims, string(no.Reason), "refused")
		return faulty(err, lang.Of(no.Claims.Lang))
	}
	if err != nil {
		return faulty(err, lang.Chinese)
	}
	t := language(q)
	out, err := s.ask(ctx, q, t)
	if err != nil {
		s.o.Log.Warn("question not answered", zap.String("action", q.Claims.Action), zap.String("kind", string(fault.KindOf(err))), zap.Error(err))
		s.note(q.Claims, string(fault.KindOf(err)), "failed")
		return faulty(err, t)
	}
	s.note(q.Claims, "ok", "ok")
	out.V, out.AsOf = wire.Version, s.o.Now().UnixMilli()
	return out
}

// ask lets the kind answer, or answers what is built in.
func (s *Server) ask(ctx context.Context, q guard.Order, t lang.Tag) (wire.Answer, error) {
	if q.Action.Name == wire.ActionLocks {
		env, _ := q.Args["env"].(string) // the catalog has seen to the type
		items, err := s.o.Locks.EnvLocks(ctx, env, t)
		return wire.Answer{Items: items}, err
	}
	k, ok := s.o.Kinds[q.Action.Kind]
	if !ok {
		return wire.Answer{}, fault.New(fault.Internal, "no kind %s", q.Action.Kind)
	}
	return k.Answer(ctx, kind.Query{Action: q.Action, Args: q.Args, Lang: t})
}

func (s *Server) note(c wire.Claims, result, verdict string) {
	name := c.Action
	if _, known := s.o.Catalog.Action(name); !known {
		name = "other" // a label must not grow with what strangers write
	}
	s.asked.WithLabelValues(name, result).Inc()
	l := wire.AuditLine{Corp: c.Corp, App: c.App, User: c.User, What: "question", Ref: c.ID, Verdict: verdict, Detail: map[string]string{"action": c.Action}}
	if result != verdict {
		l.Reason = result
	}
	s.o.Audit.Write(l)
}

// language is the person's. A remote node may also be told by its argument.
func language(q guard.Order) lang.Tag {
	if tag, ok := q.Args[catalog.NodeLang].(string); ok && q.Claims.Lang == "" {
		if q.Action.Node {
			return lang.Of(tag)
		}
	}
	return lang.Of(q.Claims.Lang)
}

func faulty(err error, t lang.Tag) wire.Answer {
	return wire.Answer{V: wire.Version, Fault: &wire.Fault{Kind: string(fault.KindOf(err)), Text: fault.SafeIn(err, t)}}
}
