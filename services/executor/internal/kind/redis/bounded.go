package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"

	"palmops/services/executor/internal/kind"
)

// maxReply is how much a server may send before it is asked again, in bytes: the client library keeps all of a reply in memory, and a
// key may hold half a gigabyte.
const maxReply = 4 * kind.MaxOutput

// errLarge is in the chain of an error about a reply that is longer than that.
var errLarge = errors.New("the reply is too large")

// bounded is a connection that breaks off replies that are too large.
type bounded struct {
	net.Conn
	left atomic.Int64
}

// Write asks for something, which may be answered at length again.
func (b *bounded) Write(p []byte) (int, error) {
	b.left.Store(maxReply)
	return b.Conn.Write(p)
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.left.Add(-int64(n)) < 0 {
		return 0, errLarge
	}
	return n, err
}

// plain is one without TLS: the client library looks at its socket before it uses a connection again.
type plain struct {
	*bounded
	syscall.Conn
}

// dial connects as the client library would by itself. Config is nil without TLS.
func dial(config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: dialTime}
		var c net.Conn
		var err error
		if config == nil {
			c, err = d.DialContext(ctx, network, address)
		} else {
			c, err = (&tls.Dialer{NetDialer: &d, Config: config}).DialContext(ctx, network, address)
		}
		if err != nil {
			return nil, err
		}
		b := &bounded{Conn: c}
		b.left.Store(maxReply)
		if s, ok := c.(syscall.Conn); ok {
			return plain{b, s}, nil
		}
		return b, nil
	}
}
