package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/session"
)

const (
	// WaitingAfter is how long an action may lie in ACT before its owner is told that no executor has taken it.
	WaitingAfter = 15 * time.Second
	// SweepEvery is how often ACT is looked through.
	SweepEvery = 5 * time.Second
	// toldKept outlives every message in ACT.
	toldKept = 25 * time.Hour
	// sweepMost bounds one look through ACT.
	sweepMost = 2000
)

// Tokens reads the claims of an action's token.
type Tokens interface {
	Read(zone, text string) (wire.Claims, error)
}

// Told remembers which notices were sent.
type Told interface {
	Told(ctx context.Context, w session.Who, what string) (bool, error)
	SetTold(ctx context.Context, w session.Who, what string, kept time.Duration) error
}

// Sweeper looks through ACT for actions that wait. Any number of replicas may sweep: what one has said no other says.
type Sweeper struct {
	js      jetstream.JetStream
	pub     Publisher
	records Records
	tokens  Tokens
	told    Told
	now     func() time.Time
	zone    func() *time.Location // of the people who read
	log     *zap.Logger
}

// NewSweeper makes a Sweeper.
func NewSweeper(b *bus.Bus, records Records, tokens Tokens, told Told, now func() time.Time, zone func() *time.Location, log *zap.Logger) *Sweeper {
	return &Sweeper{js: b.JS, pub: b, records: records, tokens: tokens, told: told, now: now, zone: zone, log: log.Named("sweep")}
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	tick := time.NewTicker(SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sctx, cancel := context.WithTimeout(ctx, 2*SweepEvery)
		if err := s.Sweep(sctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sweep", zap.Error(err))
		}
		cancel()
	}
}

// Sweep looks through ACT once.
func (s *Sweeper) Sweep(ctx context.Context) error {
	stream, err := s.js.Stream(ctx, wire.StreamAct)
	if err != nil {
		return fault.Wrap(fault.Transient, err, "stream "+wire.StreamAct)
	}
	var errs []error
	seq := stream.CachedInfo().State.FirstSeq
	for range sweepMost {
		msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject("act.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return errors.Join(append(errs, fault.Wrap(fault.Transient, err, "read "+wire.StreamAct))...)
		}
		if err := s.look(ctx, msg); err != nil {
			errs = append(errs, err)
		}
		seq = msg.Sequence + 1
	}
	return errors.Join(errs...)
}

// look says what there is to say about one action that lies in ACT.
func (s *Sweeper) look(ctx context.Context, msg *jetstream.RawStreamMsg) error {
	now := s.now()
	if now.Sub(msg.Time) < WaitingAfter {
		return nil
	}
	c, err := s.claims(msg)
	if err != nil {
		return err
	}
	rec, err := s.records.Record(ctx, c.ID)
	if err != nil || rec != nil { // an executor has it, and tells the rest
		return err
	}
	t, short := lang.Of(c.Lang), " #"+wire.ShortID(c.ID)
	head := func(key string) string { return headline(t, key, c.Noop) }
	if now.After(time.Unix(c.Expires, 0).Add(wire.ClockSkew)) {
		return s.tell(ctx, c, expiredID(c.ID), wire.Screen{
			Kind: wire.ScreenResult, Title: head("head.expired") + short, Body: add(add(nil, c.Title), texts.Say(t, "text.expired")),
		})
	}
	if now.After(time.Unix(c.Expires, 0)) {
		return nil // too late for waiting, too early for a verdict
	}
	return s.tell(ctx, c, waitingID(c.ID), wire.Screen{
		Kind: wire.ScreenProgress, Title: head("head.waiting") + short,
		Body: add(add(nil, c.Title), texts.Say(t, "text.waiting", c.Zone, c.Pool, time.Unix(c.Expires, 0).In(s.zone()).Format("15:04:05"))),
	})
}

func (s *Sweeper) claims(msg *jetstream.RawStreamMsg) (wire.Claims, error) {
	var act wire.Action
	if err := json.Unmarshal(msg.Data, &act); err != nil {
		return wire.Claims{}, fault.Wrap(fault.Invalid, err, fmt.Sprintf("message %d of ACT", msg.Sequence))
	}
	zone := strings.SplitN(strings.TrimPrefix(msg.Subject, "act."), ".", 2)[0]
	c, err := s.tokens.Read(zone, act.Token)
	if err != nil {
		return wire.Claims{}, fmt.Errorf("message %d of ACT: %w", msg.Sequence, err)
	}
	return c, nil
}

// tell sends a notice once. The id keeps replicas that sweep at the same time from saying it twice, the mark everybody
// after them.
func (s *Sweeper) tell(ctx context.Context, c wire.Claims, id string, screen wire.Screen) error {
	w := session.Who{Corp: c.Corp, App: c.App, User: c.User}
	told, err := s.told.Told(ctx, w, id)
	if err != nil || told {
		return err
	}
	out := wire.Outbound{V: wire.Version, ID: id, Corp: c.Corp, App: c.App, User: c.User, Screens: []wire.Screen{screen}, Lang: c.Lang}
	if _, err := s.pub.Publish(ctx, wire.OutSubject(c.Corp, c.App, c.User), id, out); err != nil {
		return err
	}
	return s.told.SetTold(ctx, w, id, toldKept)
}

// Bucket reads records from the bucket ACTIONS.
type Bucket struct{ KV jetstream.KeyValue }

// Record reads one record.
func (b Bucket) Record(ctx context.Context, id string) (*wire.Record, error) {
	e, err := b.KV.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err, "record "+id)
	}
	var rec wire.Record
	if err := json.Unmarshal(e.Value(), &rec); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "record "+id)
	}
	return &rec, nil
}
