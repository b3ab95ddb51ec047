package offer

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hang is a guard against waiting for ever and no measure of anything.
const hang = 60 * time.Second

var spec = catalog.Spec{Name: "practice", Verbs: map[string]catalog.Verb{
	"list": {Class: catalog.Question}, "scale": {Class: catalog.Change, Open: true},
}}

func decode(t *testing.T, pool string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Decode("c.yaml", []byte(`
version: 1
zone: local
pool: `+pool+`
environments: {prod: {}}
actions:
  k8s.list: {kind: practice, verb: list}
  k8s.scale: {kind: practice, verb: scale, env: prod, params: {n: {type: int, min: 0, max: 9}, who: {type: string, allow: [a, b], optional: true}}}
`), catalog.Kinds{spec})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// executor announces one until stop is called.
func executor(t *testing.T, srv *bustest.Server, c *catalog.Catalog, name string) (stop func()) {
	t.Helper()
	b := srv.Connect(name)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, Options{Bus: b, Catalog: c, Self: name, Log: zap.NewNop()})
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// instances asks everybody, as "nats micro ls" does, until those answer that are waited for. All others must not.
func instances(t *testing.T, b *bus.Bus, want ...string) map[string]micro.Info {
	t.Helper()
	slices.Sort(want)
	until := time.Now().Add(hang)
	for {
		got := map[string]micro.Info{}
		inbox := nats.NewInbox()
		sub, err := b.NC.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.NC.PublishRequest("$SRV.INFO."+wire.ServiceExecutor, inbox, nil); err != nil {
			t.Fatal(err)
		}
		for {
			msg, err := sub.NextMsg(300 * time.Millisecond)
			if err != nil || len(msg.Data) == 0 { // nobody else answers, or nobody at all
				break
			}
			var info micro.Info
			if err := json.Unmarshal(msg.Data, &info); err != nil {
				t.Fatal(err)
			}
			got[info.Metadata[wire.MetaInstance]] = info
		}
		_ = sub.Unsubscribe() // it ends with the test as well
		if slices.Equal(slices.Sorted(maps.Keys(got)), want) {
			return got
		}
		if time.Now().After(until) {
			t.Fatalf("there are %v, want %v", slices.Sorted(maps.Keys(got)), want)
		}
	}
}

// TestComeAndGo: executors are known by their announcement alone; one that joins or leaves is told to nobody.
func TestComeAndGo(t *testing.T) {
	t.Parallel()
	srv := bustest.New(t)
	b := srv.Connect("test")
	k8s, web := decode(t, "k8s"), decode(t, "web")
	instances(t, b)
	one := executor(t, srv, k8s, "one")
	executor(t, srv, k8s, "two")
	executor(t, srv, web, "far")
	all := instances(t, b, "one", "two", "far")
	for name, pool := range map[string]string{"one": "k8s", "two": "k8s", "far": "web"} {
		info := all[name]
		want := map[string]string{
			wire.MetaZone: "local", wire.MetaPool: pool, wire.MetaInstance: name, wire.MetaActions: "2",
			wire.MetaCatalog: map[string]string{"k8s": k8s.Digest, "web": web.Digest}[pool],
		}
		if info.Name != wire.ServiceExecutor || info.Version != Version() {
			t.Errorf("%s: %+v", name, info)
		}
		for key, v := range want {
			if info.Metadata[key] != v {
				t.Errorf("%s: %s is %q, want %q", name, key, info.Metadata[key], v)
			}
		}
	}
	if all["one"].Metadata[wire.MetaCatalog] != all["two"].Metadata[wire.MetaCatalog] || k8s.Digest == web.Digest {
		t.Error("the digests do not tell catalogs apart")
	}
	third := executor(t, srv, k8s, "three")
	instances(t, b, "one", "two", "three", "far")
	third()
	one()
	instances(t, b, "two", "far")
}

// TestOfferIsAnswered: the catalog is answered by one of the pool, with its bounds, and counted in the statistics.
func TestOfferIsAnswered(t *testing.T) {
	t.Parallel()
	srv := bustest.New(t)
	b := srv.Connect("test")
	c := decode(t, "k8s")
	executor(t, srv, c, "one")
	instances(t, b, "one")
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	var got wire.Offer
	if err := b.Ask(ctx, wire.OfferSubject("local", "k8s"), struct{}{}, &got); err != nil {
		t.Fatal(err)
	}
	if got.V != wire.Version || got.Instance != "one" || got.Digest != c.Digest || got.Pool != "k8s" || got.Zone != "local" || len(got.Actions) != 2 {
		t.Fatalf("%+v", got)
	}
	scale := got.Actions[1]
	if scale.Name != "k8s.scale" || scale.Class != "change" || scale.Env != "prod" || scale.Kind != "practice" || scale.Verb != "scale" || len(scale.Params) != 2 ||
		*scale.Params[0].Max != 9 || !slices.Equal(scale.Params[1].Allow, []string{"a", "b"}) || !scale.Params[1].Optional {
		t.Errorf("%+v", scale)
	}
	msg, err := b.NC.RequestWithContext(ctx, "$SRV.STATS."+wire.ServiceExecutor, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stats micro.Stats
	if err := json.Unmarshal(msg.Data, &stats); err != nil || len(stats.Endpoints) != 1 || stats.Endpoints[0].NumRequests != 1 {
		t.Errorf("%s %v", msg.Data, err)
	}
	if msg, err = b.NC.RequestWithContext(ctx, "$SRV.PING", nil); err != nil {
		t.Fatal(err)
	}
	var ping micro.Ping
	if err := json.Unmarshal(msg.Data, &ping); err != nil || ping.Name != wire.ServiceExecutor {
		t.Errorf("%s %v", msg.Data, err)
	}
}
