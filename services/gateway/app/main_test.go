package app

import (
	"context"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"palmops/libs/conf"
)

func TestMain(m *testing.M) {
	if childMain() {
		os.Exit(0)
	}
	// NATS' client leaves one behind when a small object is stored before the goroutine has begun; it holds nothing.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

const (
	conf100ms = conf.Duration(100 * time.Millisecond)
	conf500ms = conf.Duration(500 * time.Millisecond)
)

// newAbortable is a client whose connections break when ctx ends.
func newAbortable(ctx context.Context) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(dctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(dctx, network, addr)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = c.Close() })
			}
			return c, err
		},
	}}
}
