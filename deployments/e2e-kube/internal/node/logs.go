package node

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// logs serves what an API server asks a kubelet for: GET /containerLogs/<namespace>/<pod>/<container>. Line k of n has the time at
// which the pod began less n-k seconds. Following ends at once.
func (f *Fleet) logs() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		p, err := f.pods.Pods(r.PathValue("namespace")).Get(r.PathValue("pod"))
		if err != nil {
			http.Error(w, "no such pod", http.StatusNotFound)
			return
		}
		text, err := f.printed(p, r.PathValue("container"), r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(text)) // the reader may have gone
	})
	return mux
}

func (f *Fleet) printed(p *corev1.Pod, container string, q map[string][]string) (string, error) {
	get := func(name string) string { return strings.Join(q[name], "") }
	s := scriptOf(p)
	previous := get("previous") == "true"
	at := slices.IndexFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Name == container })
	switch {
	case at < 0:
		return "", fmt.Errorf("container %q in pod %q is waiting to start: ContainerCreating", container, p.Name)
	case previous && s.restarts == 0:
		return "", fmt.Errorf("previous terminated container %q in pod %q not found", container, p.Name)
	}
	from, err := since(get("sinceSeconds"), get("sinceTime"))
	if err != nil {
		return "", err
	}
	word := "line"
	if previous {
		word = "previous"
	}
	began := f.since(f.started, p.UID)
	lines := make([]string, 0, s.lines)
	for k := 1; k <= s.lines; k++ {
		when := began.Add(-time.Duration(s.lines-k) * time.Second)
		if when.Before(from) {
			continue
		}
		line := fmt.Sprintf("%s %d of %s\n", word, k, container)
		if get("timestamps") == "true" {
			line = when.UTC().Format(time.RFC3339Nano) + " " + line
		}
		lines = append(lines, line)
	}
	if n, err := strconv.Atoi(get("tailLines")); err == nil && n >= 0 {
		lines = lines[max(0, len(lines)-n):]
	}
	text := strings.Join(lines, "")
	if n, err := strconv.Atoi(get("limitBytes")); err == nil && n >= 0 {
		text = text[:min(n, len(text))]
	}
	return text, nil
}

// since is the earliest time of a line; the zero time without a limit.
func since(seconds, moment string) (time.Time, error) {
	switch {
	case seconds != "":
		n, err := strconv.Atoi(seconds)
		if err != nil {
			return time.Time{}, fmt.Errorf("sinceSeconds: %w", err)
		}
		return time.Now().Add(-time.Duration(n) * time.Second), nil
	case moment != "":
		t, err := time.Parse(time.RFC3339, moment)
		if err != nil {
			return time.Time{}, fmt.Errorf("sinceTime: %w", err)
		}
		return t, nil
	}
	return time.Time{}, nil
}
