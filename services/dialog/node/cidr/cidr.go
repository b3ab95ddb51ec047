// Package cidr is a network calculator: a node in Go, and an example of one.
//
// It asks for an address with a prefix, such as 10.1.2.3/24, shows the network it lies in, and takes another one or ends
// with the network in its canonical form, 10.1.2.0/24. It has no title: the menu's says what the network is for.
package cidr

import (
	_ "embed"
	"math/big"
	"net/netip"
	"strings"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/node"
)

//go:embed texts.yaml
var textFile []byte

var texts = lang.MustLoad(textFile)

// use is the input that ends the node.
const use = "use"

// Node is the calculator, under the name cidr by custom.
var Node node.Node = node.Func(show)

func show(q node.Query) wire.View {
	say := func(key string, args ...any) string { return texts.Say(q.Lang, key, args...) }
	if len(q.Inputs) == 0 {
		return wire.View{Body: []string{say("cidr.ask")}, Free: true}
	}
	last := q.Inputs[len(q.Inputs)-1]
	if last == use && len(q.Inputs) > 1 {
		network, ok := parse(q.Inputs[len(q.Inputs)-2])
		if !ok {
			return wire.View{Refuse: say("cidr.wrong")}
		}
		return wire.View{Body: describe(network, say), Done: true, Value: network.String()}
	}
	network, ok := parse(last)
	if !ok {
		return wire.View{Refuse: say("cidr.wrong")}
	}
	return wire.View{
		Body: append(describe(network, say), say("cidr.next")), Free: true,
		Items: []wire.Item{{Value: use, Label: say("cidr.use", network)}},
	}
}

// parse reads an address with or without a prefix, and gives the network it lies in.
func parse(s string) (netip.Prefix, bool) {
	s = strings.TrimSpace(s)
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, false // would be shown as something else than was typed
	}
	return p.Masked(), true
}

func describe(p netip.Prefix, say func(string, ...any) string) []string {
	last := lastOf(p)
	body := []string{say("cidr.network", p), say("cidr.range", p.Addr(), last)}
	if p.Addr().Is4() && p.Bits() < 31 {
		body = append(body, say("cidr.broadcast", last), say("cidr.hosts", p.Addr().Next(), last.Prev(), int64(1)<<(32-p.Bits())-2))
	}
	count := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
	return append(body, say("cidr.count", count))
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 1 << (7 - bit%8)
	}
	addr, _ := netip.AddrFromSlice(raw) // 4 or 16 bytes
	return addr
}
