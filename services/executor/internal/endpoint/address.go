package endpoint

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrAddress is in the chain of an error about an address that the target does not allow.
var ErrAddress = errors.New("the address is not allowed")

// never are addresses that no catalog can allow: link-local ones, where clouds keep the credentials of a machine, and the
// places outside of link-local where some clouds do the same.
var never = prefixes(
	"169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
	"0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32",
)

// inner are addresses that a catalog must list: they are not of the public Internet, or hide another address inside.
var inner = prefixes(
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7", "100.64.0.0/10",
	"192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "2001:db8::/32", "100::/64", "fec0::/10",
)

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, s := range all {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func within(all []netip.Prefix, a netip.Addr) bool {
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// permit refuses an address that the target may not be reached at. With networks in the catalog only those are good, without
// any all public addresses are.
func (t Target) permit(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid() || within(never, a) || within(never, embedded(a)):
	case len(t.Networks) > 0 && within(t.Networks, a), len(t.Networks) == 0 && !within(inner, a):
		return nil
	}
	return fmt.Errorf("%s: %w", a, ErrAddress)
}

// embedded is the IPv4 address inside one of NAT64 or 6to4; the zero Addr for any other.
func embedded(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return netip.Addr{}
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return netip.Addr{}
}

// control is a net.Dialer's: it sees the address that a connection is about to be made to, after the name has been resolved.
// A name that resolves to something else the next time therefore gains nothing.
func (t Target) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q: %w", address, ErrAddress)
	}
	return t.permit(ap.Addr())
}
