package local

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"palmops/libs/redistest"
)

// TestCache looks at what is slow, ends a worker's connection, and sets a switch that goes back by itself.
func TestCache(t *testing.T) {
	const password = "palmops-of-cart"
	server := redistest.New(t)
	opt, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	opt.DisableIdentity, opt.MaxRetries = true, -1
	root := redis.NewClient(opt)
	t.Cleanup(func() { _ = root.Close() })
	for _, command := range [][]any{
		{
			"ACL", "SETUSER", "palmops", "on", ">" + password, "~*", "resetchannels", "-@all", "+@read", "+@write", "+ping", "+info", "+time", "+dbsize",
			"+client|list", "+client|kill", "+client|setname", "+slowlog|get", "+memory|usage", "+memory|stats", "+memory|doctor", "+command|info", "+hello", "+auth", "+select",
		},
		{"HSET", "cart:user-1", "apple", 3, "pear", 1},
		{"CONFIG", "SET", "slowlog-log-slower-than", 0},
		{"SET", "report:nightly", "much"},
		{"CONFIG", "SET", "slowlog-log-slower-than", 100000000},
	} {
		if err := root.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	worker := root.Conn()
	t.Cleanup(func() { _ = worker.Close() })
	if err := worker.ClientSetName(t.Context(), "worker-7").Err(); err != nil {
		t.Fatal(err)
	}
	r := shipped{
		kind:  "redis",
		swaps: []string{`"cache-1.example:6379"`, `"` + server.Socket() + `"`, "      tls: true", "      #"},
		files: map[string]string{"cart.password": password + "\n"},
	}.start(t)
	r.plays(t, "redis")
	if err := worker.Ping(t.Context()).Err(); err == nil {
		t.Error("the worker's connection is still there")
	}
	if got := root.Get(t.Context(), "shop:degrade").Val(); got != "on" {
		t.Errorf("the switch is %q", got)
	}
	if left := root.TTL(t.Context(), "shop:degrade").Val().Seconds(); left < 1 || left > 120 {
		t.Errorf("the switch stays for %v s", left)
	}
}
