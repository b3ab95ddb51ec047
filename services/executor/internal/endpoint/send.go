package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"palmops/libs/fault"
)

// errClosed is the error of writing to a connection after Send has ended, or to a second one.
var errClosed = errors.New("the request is over")

// gate stands before the first byte of a request that changes something: it asks for leave right there, when the
// connection is made and the handshake done, and it knows afterwards whether anything was sent.
type gate struct {
	mu    sync.Mutex
	leave func() error
	conn  *gated // the only one that may write
	err   error
	sent  bool
}

type gated struct {
	net.Conn
	gate *gate
}

// Write asks for leave before the first byte.
func (c *gated) Write(p []byte) (int, error) {
	if err := c.gate.pass(c); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (g *gate) pass(c *gated) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.err != nil:
		return g.err
	case g.conn == c:
		return nil
	case g.conn != nil:
		return errClosed
	}
	if g.err = g.leave(); g.err != nil {
		return g.err
	}
	g.conn, g.sent = c, true
	return nil
}

// shut lets nothing more begin, and says whether anything was sent, and the error of leave if that is why not.
func (g *gate) shut() (sent bool, denied error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	denied = g.err
	if g.err == nil && !g.sent {
		g.err = errClosed
	}
	return g.sent, denied
}

// Send makes one request that changes something, on a connection of its own, once: nothing is repeated and no redirect
// followed. Leave is asked right before the first byte. Sent says whether the service may have seen anything of it; with an
// error and sent false it surely has not. An error after a status came is not reported: the status counts.
func (c *Client) Send(ctx context.Context, r Request, leave func() error) (res Response, sent bool, err error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return Response{}, false, err
	}
	req.GetBody = nil // what net/http would need to repeat the request
	g := &gate{leave: leave}
	t := c.own.Clone()
	t.DisableKeepAlives = true
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := c.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &gated{Conn: conn, gate: g}, nil
	}
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := c.secure(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &gated{Conn: conn, gate: g}, nil
	}
	defer t.CloseIdleConnections()
	answer, err := t.RoundTrip(req)
	sent, denied := g.shut()
	switch {
	case err == nil:
		res, _ = read(answer) // a cut body leaves the status what it is
		return res, sent, nil
	case denied != nil:
		return Response{}, false, denied
	}
	return Response{}, sent, fmt.Errorf("%s %s: %w", req.Method, req.URL.Redacted(), err)
}

// secure makes a connection and shakes hands.
func (c *Client) secure(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		_ = conn.Close() // the address is the error
		return nil, fmt.Errorf("address: %w", err)
	}
	cfg := c.tls.Clone()
	cfg.ServerName = host
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	s := tls.Client(conn, cfg)
	if err := s.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake is the error
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return s, nil
}

// Reach makes sure that the service is there and may be reached: it connects and says nothing.
func (c *Client) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.target.Timeout)
	defer cancel()
	dial := c.dial
	if c.target.Base.Scheme == "https" {
		dial = c.secure
	}
	conn, err := dial(ctx, "tcp", hostPort(c.target.Base))
	if err != nil {
		return fmt.Errorf("reach %s: %w", c.target.Base.Host, err)
	}
	if err := conn.Close(); err != nil {
		return fault.Wrap(fault.Transient, err, "close")
	}
	return nil
}

// StatusText is the standard's name of a status, such as 404 Not Found.
func StatusText(code int) string {
	if name := http.StatusText(code); name != "" {
		return fmt.Sprintf("%d %s", code, name)
	}
	return fmt.Sprint(code)
}
