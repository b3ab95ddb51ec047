package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"palmops/libs/redistest"
	"palmops/libs/wire"
)

// TestHarshArguments gives every kind that takes texts ones that mean something to shells, SQL, URLs and queries. Each stays what it is, as one
// value, or is refused before anything is done.
func TestHarshArguments(t *testing.T) {
	t.Parallel()
	db, cache := orders(t), redistest.New(t)
	opt, err := redis.ParseURL(cache.URL())
	if err != nil {
		t.Fatal(err)
	}
	opt.DisableIdentity = true
	root := redis.NewClient(opt)
	t.Cleanup(func() { _ = root.Close() })
	var mu sync.Mutex
	var paths, queries []string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		paths, queries = append(paths, r.URL.EscapedPath()), append(queries, r.Form.Get("query"))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	}))
	t.Cleanup(web.Close)
	who := "nice: 0"
	if os.Geteuid() == 0 {
		who = "root: true"
	}
	p := newPlace(t, fmt.Sprintf(`
targets:
  mysql: {orders: {address: %q, user: palmops, password_file: secret, databases: [shop]}}
  redis: {cart: {addresses: [%q]}}
  http: {cmdb: {base: %q, allow: [127.0.0.0/8]}}
  prometheus: {main: {base: %[3]q, allow: [127.0.0.0/8]}}
actions:
  m.query: {kind: mysql, verb: query, timeout: 10s, params: {x: {type: string, pattern: '(?s).*'}}, settings: {sql: "SELECT HEX(?) AS hex", args: [x]}}
  r.set: {kind: redis, verb: write, timeout: 10s, params: {x: {type: string, pattern: '(?s).*'}}, settings: {argv: [SET, "said", "${x}"]}}
  h.get: {kind: http, verb: get, timeout: 10s, params: {x: {type: string, pattern: '(?s).*'}}, settings: {path: "/hosts/${x}/state"}}
  p.query: {kind: prometheus, verb: query, timeout: 10s, params: {x: {type: string, pattern: '(?s).*'}}, settings: {query: 'cpu{pod="${x}"}'}}
  c.echo: {kind: command, verb: show, timeout: 10s, params: {x: {type: string, pattern: '(?s).*'}}, settings: {argv: [/usr/bin/printf, "<%%s>", "${x}"], %s}}
`, db.Address(), cache.Socket(), web.URL, who), map[string]string{"secret": ordersPassword})
	for i, x := range []string{
		"; rm -rf / #", "$(reboot)", "`id`", "a && b || c", "a|b>c<d", "'; DROP TABLE orders; --", `" OR "1"="1`, `\`, "%s%n", "${x}", "--all", "-n", "../../admin", "..", "a/b", "a%2fb", "a?b=c", "a#b", `web"} or vector(1) #`,
		"one\ntwo", "one\r\nSET other 1", "tab\there", "\x7f", "订单 🍐", strings.Repeat("a", 253),
	} {
		name := fmt.Sprint(i)
		if ev := p.does("m"+name, "m.query", map[string]any{"x": x}); ev.State != wire.StateSucceeded || len(x) < 24 && !strings.Contains(ev.Output, fmt.Sprintf("%X", x)) {
			t.Errorf("%q in SQL: %+v", x, ev)
		}
		if ev := p.does("r"+name, "r.set", map[string]any{"x": x}); ev.State != wire.StateSucceeded || root.Get(context.Background(), "said").Val() != x {
			t.Errorf("%q in Redis: %+v", x, ev)
		}
		if ev := p.does("c"+name, "c.echo", map[string]any{"x": x}); ev.State == wire.StateSucceeded {
			if !strings.HasPrefix(x, "-") && !strings.ContainsAny(x, "\r\x7f\t") && ev.Output != "<"+x+">" {
				t.Errorf("%q in a command: %+v", x, ev)
			}
		} else if !strings.Contains(ev.Text, "没有") {
			t.Errorf("%q in a command: %+v", x, ev)
		}
		mu.Lock()
		paths, queries = nil, nil
		mu.Unlock()
		h := p.does("h"+name, "h.get", map[string]any{"x": x})
		q := p.does("p"+name, "p.query", map[string]any{"x": x})
		mu.Lock()
		for _, path := range paths {
			if strings.HasPrefix(path, "/hosts") && (strings.Count(path, "/") != 3 || !strings.HasSuffix(path, "/state")) {
				t.Errorf("%q in a path: %s", x, path)
			}
		}
		if h.State != wire.StateSucceeded && (!strings.Contains(h.Text, "没有") || len(paths) > len(queries)) {
			t.Errorf("%q in a path: %+v", x, h)
		}
		literal, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range queries {
			if query != "" && (!strings.HasPrefix(query, `cpu{pod="`) || !strings.HasSuffix(query, `"}`) || strings.Contains(x, `"`) && strings.Contains(query, x)) {
				t.Errorf("%q in a query: %s (as JSON %s)", x, query, literal)
			}
		}
		if q.State != wire.StateSucceeded && !strings.Contains(q.Text, "没有") {
			t.Errorf("%q in a query: %+v", x, q)
		}
		mu.Unlock()
	}
	if got := do(t, db, "SELECT COUNT(*) FROM shop.orders"); got != "1" {
		t.Errorf("%s orders are left", got)
	}
	if n := root.DBSize(context.Background()).Val(); n != 1 {
		t.Errorf("%d keys", n)
	}
	for _, action := range []string{"m.query", "r.set", "h.get", "p.query", "c.echo"} {
		ev := p.does("long"+action, action, map[string]any{"x": strings.Repeat("a", 16000)})
		if ev.State != wire.StateRejected || !strings.Contains(ev.Text, "没有执行任何操作") {
			t.Errorf("%s with a long text: %+v", action, ev)
		}
	}
}
