package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"palmops/libs/wire"
	"palmops/services/dialog/app"
	"palmops/services/dialog/internal/session/sessiontest"
)

// What runs through a dialog while its menu changes.
const (
	crowd   = 200                   // people
	turns   = 4                     // runs with a menu that stays and runs with reloads, by turns
	lasting = 5 * time.Second       // each run
	renewal = time.Second           // from one reload to the next
	late    = 50 * time.Millisecond // more than this is counted
)

// paces are messages in a second. The first counts; a machine that cannot do it without reloads is measured at the first
// one that it can do.
var paces = []int{500, 250, 125, 60, 30}

// rounds is what each of them types again and again: to the top and so to the newest menu, down two levels, and back.
var rounds = []string{"00", "1", "2", "0"}

// BenchmarkLimitReload is 500 messages a second from 200 people, sent when their time has come whether the earlier ones are
// answered or not, in turns with a menu that stays and with a new menu of 1,110 nodes every second. What counts is the
// time from when a message was due to its reply, and that every message gets exactly one.
func BenchmarkLimitReload(b *testing.B) {
	s := newStage(b)
	s.write("menu.yaml", thousand(0))
	s.write("policy.yaml", everybody())
	a, _, _ := s.dialog()
	sessiontest.Wait(b, "the dialog to be ready", func(ctx context.Context) bool { return a.Ready(ctx) == nil })
	t := newTraffic(b, s)
	for b.Loop() {
		pace := t.pace()
		var calm, busy measured
		var r reloads
		best := time.Hour // of the runs with reloads: the one that the rest of the machine disturbed least
		for range turns {
			calm.add(t.run(pace, lasting))
			stop := t.renew(a, &r)
			run := t.run(pace, lasting)
			stop()
			best = min(best, run.share(99))
			busy.add(run)
		}
		b.ReportMetric(float64(pace), "messages/s")
		b.ReportMetric(float64(r.count), "reloads")
		b.ReportMetric(ms(r.slowest), "slowest-reload-ms")
		b.ReportMetric(float64(calm.lost+busy.lost), "lost")
		b.ReportMetric(float64(calm.twice+busy.twice), "twice")
		b.ReportMetric(ms(calm.share(50)), "calm-p50-ms")
		b.ReportMetric(ms(calm.share(99)), "calm-p99-ms")
		b.ReportMetric(ms(busy.share(50)), "p50-ms")
		b.ReportMetric(ms(busy.share(99)), "p99-ms")
		b.ReportMetric(ms(best), "best-p99-ms")
		b.ReportMetric(float64(calm.late()), "calm-late")
		b.ReportMetric(float64(busy.late()), "late")
		b.ReportMetric(0, "ns/op")
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// thousand is a menu of 1,110 nodes in three levels; each version has other titles.
func thousand(version int) string {
	var m strings.Builder
	fmt.Fprintf(&m, "version: 1\ntitle: {zh: 掌上运维 %d, en: Operations %d}\nitems:\n", version, version)
	for i := range 10 {
		fmt.Fprintf(&m, "  - id: g%d\n    title: {zh: 事业部 %d, en: Division %d}\n    items:\n", i, i, i)
		for j := range 10 {
			fmt.Fprintf(&m, "      - id: g%d-%d\n        title: {zh: 系统 %d, en: System %d}\n        items:\n", i, j, j, j)
			for k := range 10 {
				fmt.Fprintf(&m, "          - id: g%d-%d-%d\n            title: {zh: 查看部署 %d, en: Deployments %d}\n            steps:\n"+
					"              - dynamic: {prompt: 部署, source: {zone: local, pool: k8s, action: k8s.services}}\n", i, j, k, k, k)
			}
		}
	}
	return m.String()
}

func everybody() string {
	users := make([]string, crowd)
	for i := range users {
		users[i] = person(i)
	}
	return "version: 1\nroles: {all: {users: [" + strings.Join(users, ", ") + "]}}\n" +
		"grants: [{role: all, menu: [g0, g1, g2, g3, g4, g5, g6, g7, g8, g9], actions: [k8s.*]}]\n"
}

func person(i int) string { return fmt.Sprintf("person%03d", i) }

// traffic sends messages as gateways do, and hears their replies.
type traffic struct {
	b     *testing.B
	s     *stage
	typed int           // messages so far
	menus int           // versions of the menu so far
	heard chan struct{} // filled when a reply has come

	mu      sync.Mutex
	due     map[string]time.Time // of the messages of this run, by id
	replies map[string]int
	took    []time.Duration
}

func newTraffic(b *testing.B, s *stage) *traffic {
	t := &traffic{b: b, s: s, due: map[string]time.Time{}, replies: map[string]int{}, heard: make(chan struct{}, 1)}
	raw, _ := json.Marshal(wire.ReplyTaken{V: 1, Passive: true})
	sub, err := s.bus.NC.Subscribe(wire.ReplySubject(corp, appID, "*"), func(m *nats.Msg) {
		at := time.Now()
		_ = m.Respond(raw) // who asks may be gone
		var r struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(m.Data, &r); err != nil {
			b.Error(err)
		}
		t.got(r.ID, at)
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = sub.Unsubscribe() }) // the connection may be gone
	done := make(chan struct{})
	var pushes sync.WaitGroup
	pushes.Go(func() {
		for {
			select {
			case <-done:
				return
			case o := <-s.out:
				t.got(o.InReplyTo, time.Now())
			}
		}
	})
	b.Cleanup(func() { close(done); pushes.Wait() })
	return t
}

func (t *traffic) got(id string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.replies[id]++; t.replies[id] == 1 {
		t.took = append(t.took, at.Sub(t.due[id]))
	}
	select {
	case t.heard <- struct{}{}:
	default:
	}
}

// pace is how many messages in a second this machine answers in time while the menu stays.
func (t *traffic) pace() int {
	t.b.Helper()
	for _, pace := range paces {
		if m := t.run(pace, 2*time.Second); m.lost == 0 && m.share(95) <= late {
			return pace
		}
	}
	return paces[len(paces)-1]
}

// run sends messages for a while, each when it is due, and waits for the replies.
func (t *traffic) run(pace int, lasts time.Duration) measured {
	t.b.Helper()
	var out sync.WaitGroup
	between := time.Second / time.Duration(pace)
	messages := int(lasts / between)
	clock := time.NewTicker(time.Millisecond)
	defer clock.Stop()
	due := time.Now()
	for range messages {
		for time.Now().Before(due) {
			<-clock.C
		}
		in := t.next()
		t.mu.Lock()
		t.due[in.ID] = due
		t.mu.Unlock()
		out.Go(func() {
			// What the bus does not take is missing among the replies.
			_, _ = t.s.bus.Publish(t.b.Context(), wire.InSubject(corp, appID, in.User), in.ID, in)
		})
		due = due.Add(between)
	}
	out.Wait()
	patience := time.NewTimer(sessiontest.Patience)
	defer patience.Stop()
	for !t.complete() {
		select {
		case <-t.heard:
		case <-patience.C:
			return t.take() // what is missing is lost
		}
	}
	return t.take()
}

// next is the next message of the next person.
func (t *traffic) next() wire.Inbound {
	user, text, msgID := person(t.typed%crowd), rounds[t.typed/crowd%len(rounds)], fmt.Sprint(t.typed)
	t.typed++
	return wire.Inbound{
		V: 1, ID: wire.MessageID(corp, 1, user, msgID, nil), Corp: corp, App: appID, User: user, Type: "text", Text: text,
		MsgID: msgID, SentAt: time.Now().Unix(), ReceivedAt: time.Now().UnixMilli(),
	}
}

func (t *traffic) complete() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.took) >= len(t.due)
}

// measured is what became of messages.
type measured struct {
	lost, twice int
	took        []time.Duration
}

func (t *traffic) take() measured {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := measured{lost: len(t.due) - len(t.took), took: t.took}
	for _, n := range t.replies {
		m.twice += n - 1
	}
	t.due, t.replies, t.took = map[string]time.Time{}, map[string]int{}, nil
	return m
}

func (m *measured) add(o measured) {
	m.lost += o.lost
	m.twice += o.twice
	m.took = append(m.took, o.took...)
}

// share is how long the given hundredths of the messages took at most.
func (m measured) share(percent int) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	slices.Sort(m.took)
	return m.took[max(len(m.took)*percent/100-1, 0)]
}

func (m measured) late() (n int) {
	for _, d := range m.took {
		if d > late {
			n++
		}
	}
	return n
}

type reloads struct {
	count   int
	slowest time.Duration
}

// renew gives the dialog a new menu every second until stop.
func (t *traffic) renew(a *app.App, r *reloads) (stop func()) {
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(renewal)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			t.menus++
			t.s.write("menu.yaml", thousand(t.menus))
			begin := time.Now()
			if err := a.Reload(context.Background()); err != nil {
				t.b.Error(err)
			}
			r.slowest = max(r.slowest, time.Since(begin))
			r.count++
		}
	})
	return func() { close(done); work.Wait() }
}
