package app

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"palmops/libs/bus"
	"palmops/libs/bus/bustest"
	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/looptest"
)

const credentials = "WECOM_CORP_ID=" + testCorp + "\nWECOM_AGENT_ID=1000007\nWECOM_CORP_SECRET=" + testSecret + "\nWECOM_TOKEN=" + testToken +
	"\nWECOM_ENCODING_AES_KEY=" + testAESKey + "\n"

// plainEnv keeps the machine's own settings out of a test.
func plainEnv(t *testing.T) {
	t.Helper()
	for _, n := range []string{"WECOM_CORP_ID", "WECOM_AGENT_ID", "WECOM_CORP_SECRET", "WECOM_TOKEN", "WECOM_ENCODING_AES_KEY", "NATS_URL"} {
		t.Setenv(n, "")
		t.Setenv(n+"_FILE", "")
	}
}

func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadTheLocalConfiguration(t *testing.T) {
	plainEnv(t)
	o, err := Load(filepath.Join("..", "..", "..", "deployments", "config", "local", "gateway.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a := o.Apps[0]
	if len(o.Apps) != 1 || a.Name != "ops" || a.WeCom.CorpID != LocalCorp || a.WeCom.AgentID != 1000002 || a.ReceiveID != LocalCorp {
		t.Errorf("%+v", o.Apps)
	}
	c := o.Config
	if c.Listen != "127.0.0.1:8080" || c.Admin != "127.0.0.1:8081" || c.APIBase != "http://127.0.0.1:8090" || c.Production ||
		c.Window.Or(0) != 5*time.Minute || c.PassiveBudget.Or(0) != 2500*time.Millisecond || len(c.Allow.Static) != 1 || o.NATS.URL == "" {
		t.Errorf("%+v", c)
	}
}

func TestLoadResolvesPathsAndEnvironment(t *testing.T) {
	plainEnv(t)
	dir := write(t, map[string]string{
		"a.env":  credentials,
		"b.env":  strings.Replace(credentials, "1000007", "1000008", 1),
		"g.yaml": "apps:\n  - {name: ops, credentials: a.env}\n  - {name: bot, credentials: b.env, receive_id: \"\", cards: false}\nallow: {static: [127.0.0.1]}\nnats: {creds: gw.creds}\n",
	})
	o, err := Load(filepath.Join(dir, "g.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if o.Apps[1].ReceiveID != "" || o.Apps[1].WeCom.AgentID != 1000008 || o.NATS.URL != "nats://127.0.0.1:4222" || o.NATS.Creds != filepath.Join(dir, "gw.creds") ||
		o.Config.APIBase != "https://qyapi.weixin.qq.com" || !o.Config.Apps[0].allowsCards() || o.Config.Apps[1].allowsCards() {
		t.Errorf("%+v", o)
	}
	t.Setenv("NATS_URL", "nats://bus:4222")
	if o, err = Load(filepath.Join(dir, "g.yaml")); err != nil || o.NATS.URL != "nats://bus:4222" {
		t.Errorf("%v %+v", err, o.NATS)
	}
}

// Every mistake is reported at once, each with its line.
func TestLoadReportsEveryMistake(t *testing.T) {
	plainEnv(t)
	for name, c := range map[string]struct {
		yaml string
		want []string
	}{
		"values": {
			`listen: 8080
window: 1h
passive_budget: 4s
max_in_flight: -1
api_base: qyapi.weixin.qq.com
api_proxy: "user:hunter2@proxy"
apps:
  - name: Ops
    credentials: a.env
  - name: ops
    credentials: missing.env
  - name: ops
allow:
  static:
    - 0.0.0.0/0
    - 127.0.0.1
    - nonsense
trusted_proxies: [10.0.0.0/8, "::/0"]
`,
			[]string{
				":1: listen:", ":2: window:", ":3: passive_budget:", ":4: max_in_flight:", ":5: api_base:", ":6: api_proxy:", ":8: apps[0].name:",
				"missing.env: no such file", ":12: apps[2].name:", ":12: apps[2].credentials:", ":15: allow.static[0]:", ":17: allow.static[2]:", ":18: trusted_proxies[1]:",
			},
		},
		"shape":        {"listn: x\napps: 5\nwindow: soon\n", []string{":1:", ":2:", ":3:"}},
		"nobody":       {"apps: []\nallow: {static: []}\n", []string{":1: apps: at least one", ":2: allow.static:"}},
		"production":   {"production: true\napps:\n  - {name: ops, credentials: local.env}\nallow: {static: [127.0.0.1]}\n", []string{":3: apps[0].credentials: these are for local use only"}},
		"one agent":    {"apps:\n  - {name: a, credentials: a.env}\n  - {name: b, credentials: a.env}\nallow: {static: [127.0.0.1]}\n", []string{":3: apps[1].credentials: the same agent as app a"}},
		"broken key":   {"apps:\n  - {name: a, credentials: key.env}\nallow: {static: [127.0.0.1]}\n", []string{":2: apps[0].credentials: wecom: aes_key"}},
		"a bad secret": {"apps:\n  - {name: a, credentials: half.env}\nallow: {static: [127.0.0.1]}\n", []string{"half.env: WECOM_TOKEN is not set"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{
				"g.yaml": c.yaml, "a.env": credentials, "local.env": strings.Replace(credentials, testCorp, LocalCorp, 1),
				"key.env": strings.Replace(credentials, testAESKey, "short", 1), "half.env": strings.Replace(credentials, "WECOM_TOKEN=", "#", 1),
			})
			_, err := Load(filepath.Join(dir, "g.yaml"))
			var ps conf.Problems
			if !errors.As(err, &ps) {
				t.Fatalf("%T %v", err, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
			if name != "shape" && len(ps) != len(c.want) {
				t.Errorf("%d mistakes, want %d:\n%v", len(ps), len(c.want), err)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), testToken) {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}

// A start that fails leaves nothing behind: no listener, no connection, no goroutine.
func TestAFailedStartLeavesNothing(t *testing.T) {
	srv := bustest.New(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	for name, c := range map[string]struct {
		change func(*Options)
		kind   fault.Kind
	}{
		"the address is taken":        {func(o *Options) { o.Config.Listen = ln.Addr().String() }, fault.Invalid},
		"local keys in production":    {func(o *Options) { o.Config.Production = true; o.Apps[0].WeCom.CorpID = LocalCorp }, fault.Invalid},
		"no credentials":              {func(o *Options) { o.Apps = nil }, fault.Invalid},
		"credentials of another app":  {func(o *Options) { o.Apps[0].Name = "dev" }, fault.Invalid},
		"an allowlist of everything":  {func(o *Options) { o.Config.Allow.Static = []string{"0.0.0.0/0"} }, fault.Invalid},
		"a proxy that is everybody":   {func(o *Options) { o.Config.TrustedProxies = []string{"0.0.0.0/0"} }, fault.Invalid},
		"a proxy that is no address":  {func(o *Options) { o.Config.TrustedProxies = []string{"proxy.local"} }, fault.Invalid},
		"no bus until time is up":     {func(o *Options) { o.NATS.URL = "nats://127.0.0.1:1" }, fault.Transient},
		"an API address that is none": {func(o *Options) { o.Config.APIBase = "ftp://x" }, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{
				Config: testConfig(), Apps: []AppCredentials{testCredentials()}, NATS: bus.Options{URL: srv.URL()},
				Log: zap.NewNop(), Registry: prometheus.NewRegistry(),
			}
			c.change(&o)
			budget := hang
			if c.kind == fault.Transient {
				budget = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(context.Background(), budget)
			defer cancel()
			a, err := New(ctx, o)
			if err == nil {
				a.Close()
				t.Fatal("started")
			}
			if fault.KindOf(err) != c.kind {
				t.Errorf("%s: %v", fault.KindOf(err), err)
			}
		})
	}
}

// Close without Run frees the address.
func TestCloseWithoutRun(t *testing.T) {
	srv := bustest.New(t)
	o := Options{
		Config: testConfig(), Apps: []AppCredentials{testCredentials()}, NATS: bus.Options{URL: srv.URL()},
		Log: zap.NewNop(), Registry: prometheus.NewRegistry(),
	}
	o.Config.Listen = net.JoinHostPort(looptest.Host(), "0") // nobody else takes the port meanwhile
	a, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	addr := a.Addr()
	a.Close()
	a.Close()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if a.Ready(context.Background()) == nil {
		t.Error("ready after Close")
	}
	// Run with an ended context does the same.
	o.Registry = prometheus.NewRegistry()
	if a, err = New(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.Run(ended); err != nil || a.Ready(context.Background()) == nil {
		t.Errorf("Run with an ended context: %v", err)
	}
}
