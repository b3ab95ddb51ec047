package prometheus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
	"palmops/services/executor/internal/kind/prometheus/chart"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTexts(t *testing.T) { langtest.Check(t, texts, ".") }

const (
	program = "/usr/bin/prometheus"
	secret  = "token-of-prometheus"
)

// running is a Prometheus whose store holds an hour of values up to now: 25 pods, the second with a gap, and one of a constant.
func running(t *testing.T) (base string) {
	t.Helper()
	dir := t.TempDir()
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("this test needs a real Prometheus: apt-get install prometheus (%v)", err)
	}
	var b strings.Builder
	b.WriteString("# TYPE cpu_percent gauge\n")
	now := time.Now().Unix()
	for pod := range 25 {
		for i := int64(240); i >= 0; i-- {
			if pod == 1 && i > 60 && i < 140 {
				continue
			}
			v := 50 + float64(48-pod)*math.Sin(float64(i)/20+float64(pod))
			fmt.Fprintf(&b, "cpu_percent{app=\"web\",pod=\"web-%02d\",token=%q} %g %d\n", pod, secret, v, now-i*15)
		}
	}
	b.WriteString("# TYPE constant gauge\n")
	for i := int64(240); i >= 0; i-- {
		fmt.Fprintf(&b, "constant{title=\"订单\"} 42 %d\n", now-i*15)
	}
	b.WriteString("# EOF\n")
	for name, text := range map[string]string{"in.om": b.String(), "p.yml": "global: {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := filepath.Join(dir, "data")
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/promtool", "tsdb", "create-blocks-from", "openmetrics", filepath.Join(dir, "in.om"), store).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "p.yml"), "--storage.tsdb.path="+store, "--web.listen-address=127.0.0.1:0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	address := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	lines, said := bufio.NewScanner(log), ""
	for lines.Scan() {
		said += lines.Text() + "\n"
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			base = "http://" + m[1]
		}
		if strings.Contains(lines.Text(), "Server is ready") && base != "" {
			go func() {
				defer close(ended)
				for lines.Scan() { // keep the pipe from filling up
				}
			}()
			return base
		}
	}
	close(ended)
	t.Fatalf("Prometheus does not come up:\n%s", said)
	return ""
}

const moreActions = `
  c.const: {kind: prometheus, verb: chart, settings: {query: constant, title: {zh: 恒定值, en: constant}, legend: "{{title}}"}}
  c.all: {kind: prometheus, verb: chart, settings: {query: cpu_percent, title: {zh: 全部 Pod, en: all pods}, unit: percent, legend: "{{pod}}"}}
  c.none: {kind: prometheus, verb: chart, settings: {query: nothing_at_all}}
  c.nan: {kind: prometheus, verb: chart, settings: {query: "constant * NaN"}}
  q.bad: {kind: prometheus, verb: query, settings: {query: "sum(("}}
  q.many: {kind: prometheus, verb: query, settings: {query: "constant + constant"}}
  q.labels: {kind: prometheus, verb: query, settings: {query: cpu_percent}}
  v.all: {kind: prometheus, verb: value, settings: {query: cpu_percent, legend: "{{pod}}", unit: percent}}
  v.none: {kind: prometheus, verb: value, settings: {query: nothing_at_all}}
  hang.q: {kind: prometheus, target: hang, verb: query, settings: {query: up}}
`

// fromReadme is the catalog of the README with the base of a real server, and more actions.
func fromReadme(t *testing.T, base, hang string) *catalog.Catalog {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	if m == nil {
		t.Fatal("the README has no sample")
	}
	text := string(m[1])
	if base != "" {
		text = strings.NewReplacer("http://10.20.0.9:9090", base, "10.20.0.0/16", "127.0.0.0/8", "verb:", "target: main\n    verb:",
			"actions:\n", "    hang: {base: \""+hang+"\", allow: [127.0.0.0/8], timeout: 1m}\nactions:\n").Replace(text) + strings.ReplaceAll(moreActions, "prometheus, verb", "prometheus, target: main, verb")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "prometheus.token"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Decode(filepath.Join(dir, "catalog.yaml"), []byte(text), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func made(t *testing.T, c *catalog.Catalog) *Kind {
	t.Helper()
	k, err := New(catalog.Targets[Target](c, Targets))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func hanging(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) { <-r.Context().Done() }))
	t.Cleanup(s.Close)
	return s.URL
}

func TestSampleOfTheReadme(t *testing.T) {
	if n := len(fromReadme(t, "", "").Actions()); n != 4 {
		t.Errorf("%d actions", n)
	}
	if !json.Valid(Spec().Schema) || !bytes.Contains(Spec().Schema, []byte(`"font"`)) {
		t.Errorf("%s", Spec().Schema)
	}
}

func TestAgainstPrometheus(t *testing.T) {
	if err := chart.Check(chart.Fonts[0]); err != nil {
		t.Fatalf("this test needs a font with Chinese glyphs: apt-get install fonts-droid-fallback (%v)", err)
	}
	c := fromReadme(t, running(t), hanging(t))
	k := made(t, c)
	action := func(name string) catalog.Action {
		a, ok := c.Action(name)
		if !ok {
			t.Fatalf("no action %s", name)
		}
		return a
	}
	do := func(name string, tag lang.Tag, args map[string]any) kind.Result {
		w := kind.Work{Action: action(name), Args: args, Lang: tag}
		if err := w.Action.Check(args, tag); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Prepare(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		return k.Apply(t.Context(), w, nil, &kindtest.Hand{})
	}
	t.Run("promises", func(t *testing.T) {
		kindtest.Run(t, kindtest.Subject{
			New:   func(t *testing.T) kind.Kind { return made(t, c) },
			Slow:  func(*testing.T) (catalog.Action, map[string]any) { return action("hang.q"), nil },
			Leaky: func(*testing.T) (catalog.Action, map[string]any) { return action("q.labels"), nil }, Secret: secret,
			Absent: map[string]string{
				"Change": "it only reads", "Refused": "there is nothing to read before a report", "Down": "there is nothing to read before a report",
				"Verbose": "a table has at most 200 rows of 100 characters",
			},
		})
	})
	t.Run("pictures", func(t *testing.T) {
		for name, x := range map[string]struct {
			args  map[string]any
			lines int
			says  []string
		}{
			"metrics.cpu": {map[string]any{"app": "web", "range": int64(60)}, 11, []string{"应用 CPU 使用率 (", "web-00：最新 ", "另有 12 条", "还有 5 条没有画出"}},
			"c.const":     {nil, 2, []string{"恒定值 (", "订单：最新 42，最低 42，最高 42，平均 42"}},
			"c.all":       {nil, 11, []string{"还有 5 条"}},
			"c.nan":       {nil, 2, []string{"最新 NaN"}},
		} {
			r := do(name, lang.Chinese, x.args)
			if r.State != wire.StateSucceeded || len(r.Image) > 300<<10 || strings.Count(r.Text, "\n")+1 != x.lines || len(r.Text) > 2048 {
				t.Errorf("%s: %s, %d bytes of picture, %q", name, r.State, len(r.Image), r.Text)
			}
			for _, s := range x.says {
				if !strings.Contains(r.Text, s) {
					t.Errorf("%s: %q says nothing of %q", name, r.Text, s)
				}
			}
			if _, err := png.Decode(bytes.NewReader(r.Image)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if dir, ok := os.LookupEnv("PALMOPS_PICTURES"); ok { // a folder for pictures to be looked at
				if err := os.WriteFile(filepath.Join(dir, name+".png"), r.Image, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if r := do("c.none", lang.English, nil); r.State != wire.StateSucceeded || r.Image != nil || !strings.Contains(r.Text, "there is no data") {
			t.Errorf("%+v", r)
		}
		long := do("metrics.cpu", lang.English, map[string]any{"app": "web", "range": int64(43200)})
		if long.State != wire.StateSucceeded || long.Image == nil {
			t.Errorf("%s %s", long.State, long.Text)
		}
		// The same without a font for Chinese: the picture numbers the lines, the text carries the names.
		bare := made(t, c)
		s := bare.servers["main"]
		s.fonts = nil
		bare.servers["main"] = s
		r := bare.Apply(t.Context(), kind.Work{Action: action("c.const"), Lang: lang.Chinese}, nil, &kindtest.Hand{})
		if r.Image == nil || !strings.Contains(r.Text, "#1 订单：最新 42") {
			t.Errorf("%s", r.Text)
		}
	})
	t.Run("tables", func(t *testing.T) {
		r := do("metrics.top", lang.Chinese, nil)
		rows := strings.Split(strings.TrimSpace(r.Output), "\n")
		if r.State != wire.StateSucceeded || len(rows) != 20 || !regexp.MustCompile(`^[\d.]+%  web-\d\d$`).MatchString(rows[0]) {
			t.Errorf("%s %q", r.State, r.Output)
		}
		if r := do("q.many", lang.English, nil); r.Text != "q.many: now 84" {
			t.Errorf("%+v", r)
		}
		if r := do("q.bad", lang.English, nil); r.State != wire.StateFailed || !strings.Contains(r.Text, "does not accept this query: ") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("values", func(t *testing.T) {
		ask := func(name string, args map[string]any) (wire.Answer, error) {
			return k.Answer(t.Context(), kind.Query{Action: action(name), Args: args, Lang: lang.Chinese})
		}
		a, err := ask("metrics.pods", map[string]any{"app": "web"})
		if err != nil || len(a.Items) != 25 || !strings.HasSuffix(a.Items[0].Detail, "%") {
			t.Errorf("%+v, %v", a, err)
		}
		a, err = ask("metrics.now", map[string]any{"pod": "web-00"})
		if err != nil || a.Fields["text"] != "50%" || a.Fields["value"] == "" {
			t.Errorf("%+v, %v", a, err)
		}
		if a, err = ask("v.all", nil); err != nil || len(a.Fields) != 25 {
			t.Errorf("%+v, %v", a, err)
		}
		if _, err = ask("v.none", nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		// An argument that would like to be PromQL stands for itself.
		if _, err = ask("metrics.now", map[string]any{"pod": `x"} or vector(1) or cpu_percent{pod="`}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		for _, pod := range []string{"'", `"`, `\`, "\n\x01\x7f", "订单", "\xff", "`", "${app}"} {
			if _, err = ask("metrics.now", map[string]any{"pod": pod}); !fault.Is(err, fault.NotFound) {
				t.Errorf("%q: %v", pod, err)
			}
			cpu := action("metrics.cpu").Settings.(Settings)
			if _, err := k.servers["main"].instant(t.Context(), cpu.Query.fill(map[string]any{"app": pod}), lang.Chinese); err != nil {
				t.Errorf("%q: %v", pod, err)
			}
		}
	})
}

// TestBrokenAnswers: whatever a server says, it ends with a kind and a sentence.
func TestBrokenAnswers(t *testing.T) {
	var status int
	var body string
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	k := made(t, fromReadme(t, s.URL, s.URL))
	for name, x := range map[string]struct {
		status int
		body   string
		want   fault.Kind
	}{
		"no JSON":       {200, "<html>", fault.Invalid},
		"half":          {200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1`, fault.Invalid},
		"odd type":      {200, `{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`, fault.Invalid},
		"error in 200":  {200, `{"status":"error","error":"x"}`, fault.Invalid},
		"bad data":      {400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, fault.Invalid},
		"too many":      {422, `{"status":"error","errorType":"execution","error":"query processing would load too many samples"}`, fault.Invalid},
		"slow":          {503, `{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}`, fault.Transient},
		"internal":      {500, `{"status":"error","errorType":"internal","error":"x"}`, fault.Transient},
		"not let in":    {401, `go away`, fault.Denied},
		"proxy is down": {502, `<html>`, fault.Transient},
	} {
		status, body = x.status, x.body
		_, err := k.servers["main"].instant(t.Context(), "up", lang.Chinese)
		if !fault.Is(err, x.want) || !strings.Contains(fault.Safe(err), "没有") {
			t.Errorf("%s: %s %v %q", name, fault.KindOf(err), err, fault.Safe(err))
		}
	}
	status, body = 200, `{"status":"success","warnings":["x"],"data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}`
	res, err := k.servers["main"].instant(t.Context(), "up", lang.Chinese)
	if err != nil || res.left != 1 || !res.warned || notes(res, lang.English) == "" {
		t.Errorf("%+v, %v", res, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(kind.ErrCanceled)
	if diff := cmp.Diff(wire.StateCanceled, k.Apply(ctx, kind.Work{Action: up(t)}, nil, &kindtest.Hand{}).State); diff != "" {
		t.Error(diff)
	}
}

func up(t *testing.T) catalog.Action {
	t.Helper()
	q, err := parseQuery("up")
	if err != nil {
		t.Fatal(err)
	}
	return catalog.Action{Name: "a", Verb: verbQuery, Target: "main", Settings: Settings{Query: q, Unit: units[""]}}
}
