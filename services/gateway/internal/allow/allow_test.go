package allow

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestContains(t *testing.T) {
	l, err := Parse([]string{"127.0.0.1", "101.226.103.*", "58.60.0.0/16", "10.*.*.*", "2001:db8::/32", "::ffff:192.0.2.0/120", " 203.0.113.9 "})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.2": false, "::ffff:127.0.0.1": true, "::1": false,
		"101.226.103.0": true, "101.226.103.255": true, "101.226.104.1": false,
		"58.60.255.255": true, "58.61.0.0": false, "10.9.8.7": true, "11.0.0.0": false,
		"2001:db8::5": true, "2001:db9::5": false, "192.0.2.77": true, "192.0.3.77": false, "203.0.113.9": true,
	} {
		if got := l.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if got := strings.Join(l.Strings()[:3], " "); got != "127.0.0.1/32 101.226.103.0/24 58.60.0.0/16" {
		t.Error(got)
	}
	if l.Contains(netip.Addr{}) {
		t.Error("the invalid address is allowed")
	}
}

func TestParseNamesEveryMistake(t *testing.T) {
	wrong := []string{
		"", "*", "*.*.*.*", "1.2.*.4", "1.2.3", "300.1.1.*", "0.0.0.0/0", "::/0", "::ffff:0:0/96", "::ffff:0:0/90",
		"10.0.0.1/8", "fe80::1%eth0", "qyapi.weixin.qq.com", "1.2.3.4/33", "1.2.3.4-1.2.3.9",
	}
	_, err := Parse(append([]string{"127.0.0.1"}, wrong...))
	if err == nil {
		t.Fatal("accepted")
	}
	if n := len(strings.Split(err.Error(), "\n")); n != len(wrong) {
		t.Errorf("%d mistakes reported, want %d:\n%v", n, len(wrong), err)
	}
	if !strings.Contains(err.Error(), "10.0.0.0/8") {
		t.Error("no hint for a range with bits beyond its mask")
	}
}

func TestAnEmptyListNeverReplacesAGoodOne(t *testing.T) {
	fixed, _ := Parse([]string{"127.0.0.1"})
	s := NewSet(fixed)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if s.Contains(a) || !s.Contains(netip.MustParseAddr("127.0.0.1")) {
		t.Fatal("a new set is not its fixed ranges")
	}
	first, _ := Parse([]string{"192.0.2.1"})
	second, _ := Parse([]string{"192.0.2.2"})
	if err := s.Replace(first); err != nil || !s.Contains(a) {
		t.Fatalf("not replaced: %v", err)
	}
	if err := s.Replace(List{}); err == nil || !s.Contains(a) {
		t.Fatalf("an empty list was taken: %v", err)
	}
	if err := s.Replace(second); err != nil || s.Contains(a) || !s.Contains(b) {
		t.Fatalf("the second list does not replace the first: %v", err)
	}
}

// Whatever Parse takes never allows everything, and a pattern equals its CIDR range.
func TestPatternsAreRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		octets := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "octets")
		stars := rapid.IntRange(0, 3).Draw(t, "stars")
		addr := netip.AddrFrom4([4]byte(octets))
		parts := strings.Split(addr.String(), ".")
		for i := 4 - stars; i < 4; i++ {
			parts[i] = "*"
		}
		l, err := Parse([]string{strings.Join(parts, ".")})
		if err != nil {
			t.Fatal(err)
		}
		want := netip.PrefixFrom(addr, 8*(4-stars)).Masked()
		other := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "other")))
		if !l.Contains(addr) || l.Contains(other) != want.Contains(other) {
			t.Fatalf("%v: %v %v", parts, addr, other)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "1.2.3.*", "::ffff:1.2.3.4/100", "0.0.0.0/0", "*", "1.*.*.*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := Parse([]string{s})
		if err != nil {
			return
		}
		for _, pair := range [][2]string{{"1.1.1.1", "129.1.1.1"}, {"2000::1", "a000::1"}} {
			if l.Contains(netip.MustParseAddr(pair[0])) && l.Contains(netip.MustParseAddr(pair[1])) {
				t.Fatalf("%q allows everything", s)
			}
		}
	})
}
