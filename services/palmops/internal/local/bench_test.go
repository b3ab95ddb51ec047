package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/redistest"
	"palmops/libs/wire"
	"palmops/services/palmops/internal/outsidetest"
)

// part is one thing that is timed, a call at a time.
type part struct {
	name string
	call func() error
	took []time.Duration
}

func (p *part) time(b *testing.B) {
	begin := time.Now()
	if err := p.call(); err != nil {
		b.Fatalf("%s: %v", p.name, err)
	}
	p.took = append(p.took, time.Since(begin))
}

func (p *part) p50() time.Duration {
	slices.Sort(p.took)
	return p.took[len(p.took)/2]
}

// BenchmarkChainRatio is one client's message through everything, encrypted callback to encrypted reply, durable storage on,
// against the sum of its parts measured in turn with it: an HTTP request with the same crypto, one durable publish, a script
// in Redis that reads a session and one that writes it, and one request-reply over NATS.
func BenchmarkChainRatio(b *testing.B) {
	rs := redistest.New(b)
	r := start(b, func(o *Options) { o.RedisURL = rs.URL() })
	ctx := context.Background()
	c := outsidetest.New(b, r.CallbackURL(), filepath.Join(configDir, "wecom.env"))
	defer c.Close()

	nb := bustest.New(b).Connect("bench")
	sub, err := nb.NC.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	opts, err := redis.ParseURL(rs.URL())
	if err != nil {
		b.Fatal(err)
	}
	rc := redis.NewClient(opts)
	defer func() { _ = rc.Close() }()
	read := redis.NewScript(`local s = redis.call('HGETALL', KEYS[1]); local t = redis.call('TIME'); return {s, t, redis.call('GET', KEYS[2])}`)
	write := redis.NewScript(`redis.call('HSET', KEYS[1], 'path', ARGV[1], 'state', ARGV[2], 'seq', ARGV[3]); redis.call('PEXPIRE', KEYS[1], 600000); redis.call('SET', KEYS[2], ARGV[2], 'PX', 600000); return 1`)
	payload := string(make([]byte, 800))
	n := 0
	chain := &part{name: "chain", call: func() error {
		plain, _ := c.Typed("lisi", "菜单")
		_, err := c.Post(ctx, plain)
		return err
	}}
	parts := []*part{
		{name: "http", call: func() error { _, _, err := c.Check(ctx, "1616140317555161061"); return err }},
		{name: "publish", call: func() error {
			n++
			_, err := nb.Publish(ctx, "in.00.bench", fmt.Sprint(n), wire.Inbound{ID: "bench", Text: payload})
			return err
		}},
		{name: "lua", call: func() error {
			keys := []string{"{bench}:s", "{bench}:r"}
			if err := read.Run(ctx, rc, keys).Err(); err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			return write.Run(ctx, rc, keys, "1-2", payload, n).Err()
		}},
		{name: "reply", call: func() error { return ask(ctx, nb) }},
	}
	for range 20 { // connections, caches
		chain.time(b)
		for _, p := range parts {
			p.time(b)
		}
	}
	chain.took = nil
	for _, p := range parts {
		p.took = nil
	}
	for b.Loop() {
		chain.time(b)
		for _, p := range parts {
			p.time(b)
		}
	}
	sum := time.Duration(0)
	for _, p := range parts {
		sum += p.p50()
		b.ReportMetric(float64(p.p50().Microseconds()), p.name+"-us")
	}
	b.ReportMetric(float64(chain.p50().Microseconds()), "chain-us")
	b.ReportMetric(float64(chain.p50())/float64(sum), "ratio")
	b.ReportMetric(0, "ns/op")
}

func ask(ctx context.Context, b *bus.Bus) error {
	var answer wire.Said
	return b.Ask(ctx, "echo", wire.Said{V: 1}, &answer)
}
