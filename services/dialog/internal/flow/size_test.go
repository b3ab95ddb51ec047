package flow_test

import (
	"encoding/json"
	"testing"

	"palmops/libs/wire"
)

// A hundred thousand sessions are kept in memory: what follows from the menu must not be stored with each.
func TestSessionsAreSmall(t *testing.T) {
	k := &talk{t: t, w: richWorld(t)}
	k.w.lists["k.deployments"] = []wire.Item{
		{Value: "retail-order-api", Detail: "3/3"},
		{Value: "retail-order-web", Detail: "3/3"},
		{Value: "retail-cart", Detail: "2/2"},
		{Value: "retail-stock", Detail: "2/2"},
		{Value: "retail-pay-bridge", Detail: "1/1"},
		{Value: "retail-search", Detail: "4/4"},
		{Value: "retail-user", Detail: "2/2"},
		{Value: "retail-gateway", Detail: "3/3"},
	}
	for _, c := range []struct {
		say  []string
		most int
	}{
		{[]string{"菜单"}, 260},
		{[]string{"1", "2", "1", "2"}, 320},
		{[]string{"1"}, 750}, // eight lines that an executor gave
		{[]string{"1", "5"}, 500},
		{[]string{"00", "3-1", "a"}, 200},
	} {
		k.say(c.say...)
		raw, err := json.Marshal(k.s)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > c.most {
			t.Errorf("after %v: %d bytes, %s", c.say, len(raw), raw)
		}
	}
}
