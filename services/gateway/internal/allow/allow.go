// Package allow decides which addresses may call the gateway. It is pure: no lookups, no clock.
package allow

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
)

// List is an immutable set of address ranges. The zero List holds nothing.
type List struct {
	prefixes []netip.Prefix
}

// Parse reads entries in the three forms that WeCom's lists use: one address, a CIDR range, and a dotted IPv4 pattern
// such as 101.226.103.* whose stars are at the end. All wrong entries are reported at once. A range of everything (/0)
// is refused, and so is a range with bits beyond its mask, which is a typing mistake more often than not.
func Parse(entries []string) (List, error) {
	var l List
	var errs []error
	for _, e := range entries {
		p, err := parseEntry(strings.TrimSpace(e))
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", e, err))
			continue
		}
		l.prefixes = append(l.prefixes, p)
	}
	if len(errs) > 0 {
		return List{}, errors.Join(errs...)
	}
	return l, nil
}

func parseEntry(s string) (netip.Prefix, error) {
	var p netip.Prefix
	var err error
	switch {
	case strings.Contains(s, "*"):
		p, err = parsePattern(s)
	case strings.Contains(s, "/"):
		p, err = netip.ParsePrefix(s)
	default:
		var a netip.Addr
		if a, err = netip.ParseAddr(s); err == nil {
			if a.Zone() != "" {
				return p, errors.New("an address with a zone is not allowed")
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
	}
	if err != nil {
		return p, errors.New("not an address, a CIDR range or a pattern such as 101.226.103.*")
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, errors.New("a range wider than the IPv4-mapped addresses is not allowed here")
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	switch {
	case p.Bits() == 0:
		return p, errors.New("a range that holds every address is not allowed")
	case p.Masked() != p:
		return p, fmt.Errorf("the range has bits beyond its mask; %s is meant?", p.Masked())
	}
	return p, nil
}

// parsePattern turns a.b.c.* into a.b.c.0/24, a.b.*.* into a.b.0.0/16 and so on.
func parsePattern(s string) (netip.Prefix, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return netip.Prefix{}, errors.New("four parts are needed")
	}
	fixed := 0
	for fixed < 4 && parts[fixed] != "*" {
		fixed++
	}
	for i := fixed; i < 4; i++ {
		if parts[i] != "*" {
			return netip.Prefix{}, errors.New("stars must be at the end")
		}
		parts[i] = "0"
	}
	a, err := netip.ParseAddr(strings.Join(parts, "."))
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, 8*fixed), nil
}

// Len is the number of entries.
func (l List) Len() int { return len(l.prefixes) }

// Strings is the entries as CIDR ranges.
func (l List) Strings() []string {
	out := make([]string, len(l.prefixes))
	for i, p := range l.prefixes {
		out[i] = p.String()
	}
	return out
}

// Contains reports whether an address lies in one of the ranges. An IPv4 address in its IPv6-mapped form is the
// same address; an invalid one is in no range.
func (l List) Contains(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range l.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Set is the ranges in force: fixed ones of the configuration, and those last fetched from elsewhere. It is
// safe for concurrent use.
type Set struct {
	fixed   List
	fetched atomic.Pointer[List]
}

// NewSet starts with the fixed ranges alone.
func NewSet(fixed List) *Set {
	s := &Set{fixed: fixed}
	s.fetched.Store(&List{})
	return s
}

// Contains reports whether one of the sources allows the address.
func (s *Set) Contains(a netip.Addr) bool {
	return s.fixed.Contains(a) || s.fetched.Load().Contains(a)
}

// Replace puts newly fetched ranges in the place of those fetched before. An empty list is refused: WeCom's API
// answers errors with one, and it would lock WeCom out.
func (s *Set) Replace(l List) error {
	if l.Len() == 0 {
		return errors.New("an empty list never replaces the one in force")
	}
	s.fetched.Store(&l)
	return nil
}
