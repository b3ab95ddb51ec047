// Package bustest runs a real NATS server with JetStream inside the test process.
package bustest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"palmops/libs/bus"
	"palmops/libs/looptest"
)

// Server is a NATS server with a store of its own that can be stopped and started again.
type Server struct {
	t    testing.TB
	host string // its own, so that its port is still free when it is started again
	dir  string
	srv  *server.Server
}

// New starts a server on a free loopback port; it is stopped when the test ends.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, host: looptest.Host(), dir: t.TempDir()}
	s.Start(server.RANDOM_PORT)
	t.Cleanup(s.Stop)
	return s
}

// Start starts the server on a port, with what its store held before.
func (s *Server) Start(port int) {
	s.t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: s.host, Port: port, JetStream: true, StoreDir: s.dir, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		s.t.Fatalf("nats server: %v", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(30 * time.Second) {
		s.t.Fatal("nats server does not come up")
	}
	s.srv = srv
}

// Stop ends the server and waits until it is gone.
func (s *Server) Stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// Restart stops the server and starts it again on the same port with the same store.
func (s *Server) Restart() {
	s.t.Helper()
	port := s.Port()
	s.Stop()
	s.Start(port)
}

// URL is where to connect.
func (s *Server) URL() string { return s.srv.ClientURL() }

// Port is the port the server listens on.
func (s *Server) Port() int { return s.srv.Addr().(*net.TCPAddr).Port }

// Addr is its host and its port.
func (s *Server) Addr() string { return s.srv.Addr().String() }

// Connect opens a connection with every stream declared; it is closed when the test ends.
func (s *Server) Connect(name string) *bus.Bus {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := bus.Connect(ctx, bus.Options{URL: s.URL(), Name: name})
	if err != nil {
		s.t.Fatalf("connect: %v", err)
	}
	s.t.Cleanup(b.Close)
	if err := b.Declare(ctx, 1); err != nil {
		s.t.Fatalf("declare: %v", err)
	}
	return b
}
