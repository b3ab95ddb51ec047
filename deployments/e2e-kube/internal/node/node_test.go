package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func pod(annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u", Annotations: annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "web:1"}}},
	}
}

func TestWhatAPodDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		annotations map[string]string
		want        script
	}{
		{nil, script{ready: 100 * time.Millisecond, stop: 50 * time.Millisecond, lines: 3}},
		{map[string]string{ReadyAfter: "never", StopAfter: "2s", LogLines: "0"}, script{ready: Never, stop: 2 * time.Second}},
		{map[string]string{Crash: "true", LogLines: "-1"}, script{ready: 100 * time.Millisecond, stop: 50 * time.Millisecond, lines: 3, restarts: 4, crash: true}},
	} {
		if got := scriptOf(pod(c.annotations)); got != c.want {
			t.Errorf("%v: %+v", c.annotations, got)
		}
	}
}

func TestWhereAPodFits(t *testing.T) {
	t.Parallel()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{PoolLabel: "common"}}}
	cordoned := node.DeepCopy()
	cordoned.Spec.Unschedulable = true
	picky := pod(nil)
	picky.Spec.NodeSelector = map[string]string{PoolLabel: "drain"}
	daemon := pod(nil)
	daemon.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: "In", Values: []string{"node-1"}}}}},
	}}}
	other := node.DeepCopy()
	other.Name = "node-2"
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		node *corev1.Node
		want bool
	}{
		"any pod": {pod(nil), node, true}, "a cordoned node": {pod(nil), cordoned, false}, "another pool": {picky, node, false},
		"a daemon set's": {daemon, cordoned, true}, "a daemon set's on another node": {daemon, other, false},
	} {
		if got := fits(c.pod, c.node); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	f := &Fleet{started: map[types.UID]time.Time{"u": time.Now()}}
	p := pod(map[string]string{LogLines: "100", Restarts: "1"})
	p.Status = statusOf(p, scriptOf(p), f.started["u"], true)
	for name, c := range map[string]struct {
		query       map[string][]string
		lines       int
		first, last string
	}{
		"all":      {nil, 100, "line 1 of app", "line 100 of app"},
		"tail":     {map[string][]string{"tailLines": {"2"}}, 2, "line 99 of app", "line 100 of app"},
		"none":     {map[string][]string{"tailLines": {"0"}}, 0, "", ""},
		"previous": {map[string][]string{"tailLines": {"1"}, "previous": {"true"}}, 1, "previous 100 of app", "previous 100 of app"},
		"since":    {map[string][]string{"sinceTime": {f.started["u"].Add(-1500 * time.Millisecond).UTC().Format(time.RFC3339Nano)}}, 2, "line 99 of app", "line 100 of app"},
		"bytes":    {map[string][]string{"limitBytes": {"6"}}, 1, "line 1", "line 1"},
	} {
		text, err := f.printed(p, "app", c.query)
		got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if err != nil || c.lines > 0 && (len(got) != c.lines || got[0] != c.first || got[len(got)-1] != c.last) || c.lines == 0 && text != "" {
			t.Errorf("%s: %v %q", name, err, text)
		}
	}
	if _, err := f.printed(p, "sidecar", nil); err == nil {
		t.Error("a container that is not there has a log")
	}
	p.Annotations[Restarts] = "0"
	if _, err := f.printed(p, "app", map[string][]string{"previous": {"true"}}); err == nil {
		t.Error("a container that was never restarted has a log from before")
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	p := pod(map[string]string{Crash: "true"})
	s := statusOf(p, scriptOf(p), time.Now(), false)
	c := s.ContainerStatuses[0]
	if c.State.Waiting == nil || c.RestartCount != 4 || c.LastTerminationState.Terminated == nil || c.Ready {
		t.Errorf("%+v", c)
	}
	p.Status = statusOf(p, script{}, time.Now(), true)
	if !podReady(p) || !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled }) {
		t.Errorf("%+v", p.Status)
	}
}
