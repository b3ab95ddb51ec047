package node

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Annotations of a pod by which a test says what becomes of it. Without any it is ready after 100 ms and gone 50 ms after it was
// deleted.
const (
	ReadyAfter = "e2e-kube/ready-after" // a duration, or "never"
	StopAfter  = "e2e-kube/stop-after"  // a duration from the deletion to the end, or "never"
	LogLines   = "e2e-kube/log-lines"   // how many lines its containers have printed; 3 by default
	Restarts   = "e2e-kube/restarts"    // how often its containers have been restarted, the last time out of memory
	Crash      = "e2e-kube/crash"       // "true": its containers crash again and again
)

// Never is a duration that does not end.
const Never = time.Duration(-1)

// script is what the annotations say.
type script struct {
	ready, stop time.Duration
	lines       int
	restarts    int
	crash       bool
}

func scriptOf(p *corev1.Pod) script {
	a := p.Annotations
	s := script{
		ready: duration(a[ReadyAfter], 100*time.Millisecond), stop: duration(a[StopAfter], 50*time.Millisecond),
		lines: number(a[LogLines], 3), restarts: number(a[Restarts], 0), crash: a[Crash] == "true",
	}
	if s.crash && s.restarts == 0 {
		s.restarts = 4
	}
	return s
}

func duration(s string, def time.Duration) time.Duration {
	if s == "never" {
		return Never
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d
	}
	return def
}

func number(s string, def int) int {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return n
	}
	return def
}
