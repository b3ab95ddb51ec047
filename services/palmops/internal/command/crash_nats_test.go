package command

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"palmops/libs/bus"
)

// asNATS makes the test binary be a NATS server.
const asNATS = "as-nats"

// natsMain runs a server until ctx ends. Arguments: host, port (-1 for any), folder.
func natsMain(ctx context.Context, out io.Writer, args []string) int {
	if len(args) != 3 {
		return ExitFailed
	}
	port, err := strconv.Atoi(args[1])
	if err != nil {
		return ExitFailed
	}
	srv, err := server.NewServer(&server.Options{
		Host: args[0], Port: port, JetStream: true, StoreDir: args[2], SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		fmt.Fprintln(out, err)
		return ExitFailed
	}
	srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		return ExitFailed
	}
	fmt.Fprintln(out, "listening on", srv.Addr().(*net.TCPAddr).Port)
	<-ctx.Done()
	srv.Shutdown()
	srv.WaitForShutdown()
	return ExitFine
}

// natsd is a NATS server as a process of its own, set up as one for production: what it acknowledged survives it.
type natsd struct {
	*proc
	t    testing.TB
	host string
	port string
	dir  string
}

func newNATS(t testing.TB, host string) *natsd {
	n := &natsd{t: t, host: host, port: "-1", dir: t.TempDir()}
	n.start()
	n.port = n.find(`listening on (\d+)`)
	return n
}

// start starts it, at the same address as before.
func (n *natsd) start() {
	n.t.Helper()
	n.proc = spawn(n.t, "listening on", nil, asNATS, n.host, n.port, n.dir)
}

// URL is where to connect.
func (n *natsd) URL() string { return "nats://" + net.JoinHostPort(n.host, n.port) }

// connect is the test's own connection, with the streams declared.
func (n *natsd) connect(ctx context.Context) *bus.Bus {
	n.t.Helper()
	b, err := bus.Connect(ctx, bus.Options{URL: n.URL(), Name: "test"})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(b.Close)
	if err := b.Declare(ctx, 1); err != nil {
		n.t.Fatal(err)
	}
	return b
}
