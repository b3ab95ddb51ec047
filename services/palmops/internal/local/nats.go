package local

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startNATS runs a NATS server with JetStream inside the process. Every stored message is synced to disk before it is
// acknowledged. With listen "" it has no socket at all; else others may join at that loopback address, such as
// further executors.
func startNATS(dir, listen string) (*server.Server, error) {
	opts := &server.Options{
		ServerName: "palmops", JetStream: true, StoreDir: dir, SyncAlways: true,
		DontListen: listen == "", NoSigs: true, NoLog: true, MaxPayload: 1 << 20,
	}
	if listen != "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, fmt.Errorf("nats address %q: %w", listen, err)
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return nil, fmt.Errorf("nats address %q: the embedded server knows no users, so it only listens on loopback", listen)
		}
		opts.Host = host
		if opts.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("nats address %q: %w", listen, err)
		}
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded nats: %w", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(30 * time.Second) {
		srv.Shutdown()
		return nil, fmt.Errorf("embedded nats: not ready after 30 s, store %s", dir)
	}
	return srv, nil
}
