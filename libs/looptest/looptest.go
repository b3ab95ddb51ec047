// Package looptest gives tests addresses of the loopback that nobody else uses. A port of 127.0.0.1 that was free, or was one's own
// a moment ago, may be taken before a server of the test listens there: by another test, or by a connection that goes out.
package looptest

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Host is an address between 127.1.0.1 and 127.254.255.254, drawn at random. What connects to it comes from 127.0.0.1.
func Host() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// Address is an address of its own with a port: a server can be started there, also a second time; nobody listens there yet.
func Address() (string, error) { return AddressAt(Host()) }

// AddressAt is Address at what Host gave.
func AddressAt(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
