package local

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// script writes a program and returns its path. Its environment is empty when palmops runs it.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// asMyself is what a catalog says of a command that runs as the test does.
func asMyself() string {
	if os.Geteuid() == 0 {
		return "root: true"
	}
	return "nice: 0"
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestUnits looks at a unit of systemd and restarts it; systemctl is one of the test's.
func TestUnits(t *testing.T) {
	done := filepath.Join(t.TempDir(), "done")
	systemctl := script(t, "systemctl", `
case "$1" in
show) case "$2" in
  --property=ActiveState*) echo ActiveState=active; echo SubState=running; echo NRestarts=0;;
  *) echo ActiveEnterTimestampMonotonic=$(cat '`+done+`' 2>/dev/null | wc -l);;
  esac;;
status) echo "● nginx.service - web server"; echo "   Active: active (running)";;
restart) echo "$@" >> '`+done+`';;
*) exit 64;;
esac
`)
	r := shipped{kind: "command", swaps: []string{"/usr/bin/systemctl", systemctl, "user: palmops-units", asMyself()}}.start(t)
	r.plays(t, "command")
	if got := content(t, done); got != "restart -- nginx.service\n" {
		t.Errorf("systemctl was told %q", got)
	}
}

// TestRelease goes through a workflow whose second step fails at first: what the first one did is undone, and nothing else is begun.
func TestRelease(t *testing.T) {
	b := newBalancer(t)
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	restart := script(t, "restart-app", `test -e '`+broken+`' && { rm '`+broken+`'; echo "no package for $2"; exit 3; }
echo "$2 runs again"
`)
	s := shipped{
		kind:  "workflow",
		swaps: append(b.swaps(), "/opt/palmops/bin/restart-app", restart, "user: palmops-deploy", asMyself()),
		files: map[string]string{"lb.token": balancerToken + "\n"},
	}
	r := s.start(t)
	r.plays(t, "workflow")
	want := "web-1 draining,web-1 active,web-1 draining,web-1 active"
	if calls, _ := b.seen(); strings.Join(calls, ",") != want {
		t.Errorf("the balancer was told %q, want %s", calls, want)
	}
}

// TestChart gets a picture onto the phone. The server answers like a Prometheus with two pods of one application.
func TestChart(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Header.Get("Authorization") != "Bearer token-of-prometheus" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		number := func(name string) float64 { f, _ := strconv.ParseFloat(r.Form.Get(name), 64); return f }
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/query_range"):
			var series []string
			for i, pod := range []string{"web-1", "web-2"} {
				var points []string
				for n, at := 0, number("start"); at <= number("end"); n, at = n+1, at+max(1, number("step")) {
					points = append(points, fmt.Sprintf(`[%.3f,"%d"]`, at, 20+30*i+n%20))
				}
				series = append(series, fmt.Sprintf(`{"metric":{"pod":%q},"values":[%s]}`, pod, strings.Join(points, ",")))
			}
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[%s]}}`, strings.Join(series, ","))
		default:
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"web-2"},"value":[1,"61.5"]},{"metric":{"pod":"web-1"},"value":[1,"30"]}]}}`)
		}
	}))
	t.Cleanup(srv.Close)
	r := shipped{
		kind:  "prometheus",
		swaps: []string{"http://10.20.0.9:9090", srv.URL, "10.20.0.0/16", "127.0.0.0/8"},
		files: map[string]string{"prometheus.token": "token-of-prometheus\n"},
	}.start(t)
	r.plays(t, "prometheus")
}
