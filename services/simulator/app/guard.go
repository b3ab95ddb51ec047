package app

import (
	"net"
	"net/http"
	"net/netip"
)

// guard keeps foreign web pages out. The simulator lets everybody who can connect be anybody, so a page in the
// browser of the same machine must not be able to use it: neither by posting across origins, nor under a name of its own
// that points to this address.
func guard(next http.Handler, bound net.Addr) http.Handler {
	local := isLoopback(bound.String())
	inner := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local && !isLoopback(r.Host) {
			http.Error(w, "this simulator answers to local names only", http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// isLoopback judges a host, with or without a port.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
