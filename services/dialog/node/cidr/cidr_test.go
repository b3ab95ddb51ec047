package cidr_test

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/services/dialog/node"
	"palmops/services/dialog/node/cidr"
)

func TestWords(t *testing.T) {
	file, err := os.ReadFile("texts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	langtest.Check(t, lang.MustLoad(file), ".")
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		in, value string
		body      []string
	}{
		{"10.1.2.3/24", "10.1.2.0/24", []string{"网段 10.1.2.0/24", "地址 10.1.2.0 到 10.1.2.255", "广播地址 10.1.2.255", "主机 10.1.2.1 到 10.1.2.254，共 254 个", "共 256 个地址"}},
		{"10.1.2.3/23", "10.1.2.0/23", []string{"网段 10.1.2.0/23", "地址 10.1.2.0 到 10.1.3.255", "广播地址 10.1.3.255", "主机 10.1.2.1 到 10.1.3.254，共 510 个", "共 512 个地址"}},
		{"0.0.0.0/0", "0.0.0.0/0", []string{"网段 0.0.0.0/0", "地址 0.0.0.0 到 255.255.255.255", "广播地址 255.255.255.255", "主机 0.0.0.1 到 255.255.255.254，共 4294967294 个", "共 4294967296 个地址"}},
		{"192.0.2.7/31", "192.0.2.6/31", []string{"网段 192.0.2.6/31", "地址 192.0.2.6 到 192.0.2.7", "共 2 个地址"}},
		{" 192.0.2.7 ", "192.0.2.7/32", []string{"网段 192.0.2.7/32", "地址 192.0.2.7 到 192.0.2.7", "共 1 个地址"}},
		{"2001:DB8::1/64", "2001:db8::/64", []string{"网段 2001:db8::/64", "地址 2001:db8:: 到 2001:db8::ffff:ffff:ffff:ffff", "共 18446744073709551616 个地址"}},
	} {
		v := cidr.Node.Show(node.Query{Inputs: []string{c.in}, Lang: lang.Chinese})
		if v.Refuse != "" || v.Done || !v.Free || len(v.Items) != 1 || !slices.Equal(v.Body[:len(v.Body)-1], c.body) {
			t.Errorf("%s: %+v", c.in, v)
			continue
		}
		done := cidr.Node.Show(node.Query{Inputs: []string{"1.2.3.4", c.in, v.Items[0].Value}, Lang: lang.Chinese})
		if !done.Done || done.Value != c.value {
			t.Errorf("%s: %+v", c.in, done)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, in := range []string{"", "use", "10.1.2.3/33", "10.1.2/24", "::ffff:1.2.3.4/120", "fe80::1%eth0", "web", "1.2.3.4/-1"} {
		zh := cidr.Node.Show(node.Query{Inputs: []string{in}, Lang: lang.Chinese})
		en := cidr.Node.Show(node.Query{Inputs: []string{in}, Lang: lang.English})
		if !strings.Contains(zh.Refuse, "没有接受") || !strings.Contains(en.Refuse, "not taken") {
			t.Errorf("%q: %+v, %+v", in, zh, en)
		}
	}
	if v := cidr.Node.Show(node.Query{Lang: lang.English}); !v.Free || v.Title != "" || !strings.Contains(v.Body[0], "Please type an address") || v.Refuse != "" {
		t.Errorf("%+v", v)
	}
}

// Whatever is typed, the node answers; what it ends with is a network that holds the address.
func FuzzShow(f *testing.F) {
	f.Add("10.1.2.3/24")
	f.Add("2001:db8::1/64")
	f.Add("1.2.3.4/99")
	f.Fuzz(func(t *testing.T, in string) {
		v := cidr.Node.Show(node.Query{Inputs: []string{in, "use"}, Lang: lang.English})
		if v.Refuse != "" {
			return
		}
		p, err := netip.ParsePrefix(v.Value)
		if !v.Done || err != nil || p != p.Masked() || p.String() != v.Value {
			t.Fatalf("%q ends with %+v", in, v)
		}
	})
}
