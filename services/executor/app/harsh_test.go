package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/token"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

// place is an executor of a catalog that the test writes, on a real bus.
type place struct {
	*site
	res, audit *nats.Subscription
	events     map[string]wire.Event     // final ones, by id
	lines      map[string]map[string]int // verdicts of the audit, by id
}

// newPlace runs an executor of zone local, pool k8s. Files stand beside the catalog.
func newPlace(t *testing.T, text string, files map[string]string) *place {
	t.Helper()
	dir := t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, data := range files {
		write(name, data)
	}
	server := bustest.New(t)
	s := &site{t: t, bus: server.Connect("test"), reg: prometheus.NewRegistry()}
	c, err := catalog.Load(write("catalog.yaml", "version: 1\nzone: local\npool: k8s\n"+text), Kinds())
	s.check(err)
	keys, err := token.NewKeySet("local", rand.Reader)
	s.check(err)
	s.sign, err = keys.Layered(token.Options{})
	s.check(err)
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	s.app, err = New(ctx, Options{Config: Config{Workers: 32}, Catalog: c, Keys: keys, NATS: bus.Options{URL: server.URL()}, Metrics: s.reg})
	s.check(err)
	p := &place{site: s, events: map[string]wire.Event{}, lines: map[string]map[string]int{}}
	p.res, err = s.bus.NC.SubscribeSync("res.>")
	s.check(err)
	p.audit, err = s.bus.NC.SubscribeSync("audit.>")
	s.check(err)
	s.check(s.bus.NC.Flush())
	rctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.app.Run(rctx) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			end()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("run: %v", err)
				}
			case <-time.After(hang):
				t.Error("the executor does not stop")
			}
		})
	}
	t.Cleanup(s.stop)
	return p
}

// ends waits for an action's end and for the audit line about it.
func (p *place) ends(id string) wire.Event {
	p.t.Helper()
	for {
		if ev, there := p.events[id]; there {
			p.audited(id, ev.State)
			return ev
		}
		msg, err := p.res.NextMsg(hang)
		p.check(err)
		var ev wire.Event
		p.check(json.Unmarshal(msg.Data, &ev))
		if wire.Final(ev.State) {
			p.events[ev.ID] = ev
		}
	}
}

// audited waits for the audit line with a verdict; a rejected order is «refused» there.
func (p *place) audited(id, verdict string) {
	p.t.Helper()
	for p.lines[id][verdict] == 0 && p.lines[id]["refused"] == 0 {
		msg, err := p.audit.NextMsg(hang)
		if err != nil {
			p.t.Fatalf("no audit line %q about %s, only %v: %v", verdict, id, p.lines[id], err)
		}
		var l wire.AuditLine
		p.check(json.Unmarshal(msg.Data, &l))
		if p.lines[l.Ref] == nil {
			p.lines[l.Ref] = map[string]int{}
		}
		p.lines[l.Ref][l.Verdict]++
	}
}

// does orders an action and waits for its end.
func (p *place) does(name, action string, args map[string]any) wire.Event {
	p.t.Helper()
	return p.ends(p.send(name, action, args))
}
