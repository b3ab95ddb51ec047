package run

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"palmops/libs/obs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// part notes when it starts and stops, and fails when told to.
type part struct {
	name  string
	order *order
	fail  chan error
	ready error
}

type order struct {
	mu    sync.Mutex
	lines []string
	began chan struct{}
}

func (o *order) add(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, s)
}

func (p *part) Ready(context.Context) error { return p.ready }

func (p *part) Run(ctx context.Context) error {
	p.order.began <- struct{}{}
	select {
	case <-ctx.Done():
		p.order.add(p.name)
		return nil
	case err := <-p.fail:
		return err
	}
}

func TestAllStopsInReverseOrder(t *testing.T) {
	o := &order{began: make(chan struct{}, 3)}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- All(ctx, zap.NewNop(), time.Minute, Named{"a", &part{name: "a", order: o}}, Named{"b", &part{name: "b", order: o}}, Named{"c", &part{name: "c", order: o}})
	}()
	for range 3 {
		<-o.began
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(o.lines, ""); got != "cba" {
		t.Errorf("stopped in the order %s", got)
	}
}

func TestAllStopsEverythingWhenOnePartFails(t *testing.T) {
	for _, why := range []error{errors.New("broken"), nil} {
		o := &order{began: make(chan struct{}, 2)}
		bad := &part{name: "bad", order: o, fail: make(chan error, 1)}
		bad.fail <- why
		err := All(context.Background(), zap.NewNop(), time.Minute, Named{"good", &part{name: "good", order: o}}, Named{"bad", bad})
		if err == nil || !strings.Contains(err.Error(), "bad: ") {
			t.Errorf("%v: got %v", why, err)
		}
		if len(o.lines) != 1 || o.lines[0] != "good" {
			t.Errorf("stopped: %v", o.lines)
		}
	}
}

func TestAllGivesUpOnAPartThatHangs(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	err := All(ctx, zap.NewNop(), time.Millisecond, Named{"stuck", stuck{release}})
	if err == nil || !strings.Contains(err.Error(), "still running") {
		t.Errorf("got %v", err)
	}
}

type stuck struct{ release chan struct{} }

func (stuck) Ready(context.Context) error   { return nil }
func (s stuck) Run(_ context.Context) error { <-s.release; return nil }

func TestAdminReportsWhyItIsNotReady(t *testing.T) {
	p := &part{name: "dialog", ready: errors.New("redis: refused")}
	a, err := NewAdmin("127.0.0.1:0", obs.MetricsHandler(obs.NewRegistry()), zap.NewNop(), Named{"dialog", p})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		resp, err := client.Get("http://" + a.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	code, body := get("/readyz")
	var report map[string]string
	if err := json.Unmarshal([]byte(body), &report); err != nil || code != 503 || report["dialog"] != "redis: refused" {
		t.Errorf("%d %s", code, body)
	}
	p.ready = nil
	if code, body := get("/readyz"); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	a.Stopping()
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics: %d %.80s", code, body)
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("healthz: %d", code)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := NewAdmin("256.0.0.1:1", nil, zap.NewNop()); err == nil {
		t.Error("a wrong address is no error")
	}
}

func TestProcessServesUntilItIsTold(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	o := &order{began: make(chan struct{}, 1)}
	p := &part{name: "x", order: o}
	s := Service{Name: "x", Config: "x.yaml", Build: func(_ context.Context, config string, _ *zap.Logger, _ *prometheus.Registry) (Part, string, string, error) {
		if config != "given.yaml" {
			return nil, "", "", errors.New("no " + config)
		}
		return p, "127.0.0.1:0", "hello", nil
	}}
	var out strings.Builder
	done := make(chan int, 1)
	go func() { done <- s.Main(ctx, []string{"--config", "given.yaml"}, &out) }()
	<-o.began
	stop()
	if code := <-done; code != 0 || !strings.Contains(out.String(), "hello") || strings.Join(o.lines, "") != "x" {
		t.Errorf("exit %d, %q, %v", code, out.String(), o.lines)
	}
	for _, args := range [][]string{{}, {"--config", "given.yaml", "more"}, {"--log", "loud"}, {"--no-such-flag"}, {"--config", "given.yaml", "--admin", "256.1.1.1:1"}} {
		o.began = make(chan struct{}, 1)
		ctx, stop := context.WithCancel(context.Background())
		if code := s.Main(ctx, args, &out); code != 1 {
			t.Errorf("%v: exit %d", args, code)
		}
		stop()
	}
}
