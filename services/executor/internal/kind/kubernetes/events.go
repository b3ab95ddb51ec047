package kubernetes

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/services/executor/internal/kind"
)

// maxEventsRead bounds how many are looked at; the API gives them in no order of time.
const maxEventsRead = 20000

// event is what a phone shows of one.
type event struct {
	at      time.Time
	object  string
	warning bool
	reason  string
	message string
	count   int32
	version string // a number that grows, as text
}

// events reads the newest events of a namespace, or of one object and what it has made.
func (r *report) events(ctx context.Context, _ kind.Hand) (kind.Result, error) {
	limit, given := integer(r.work.Args, argLimit)
	if !given {
		limit = defaultCount
	}
	lines, err := r.eventLines(ctx, int(limit))
	if err != nil {
		return kind.Result{}, err
	}
	if len(lines) == 0 {
		return kind.Ended(r.say("events.none", r.what())), nil
	}
	return r.page(r.say("events.title", r.what()), lines), nil
}

func (r *report) eventLines(ctx context.Context, limit int) ([]string, error) {
	var all []event
	err := r.insist(ctx, r.retry, func() error {
		about, err := r.about(ctx)
		if err != nil {
			return err
		}
		all, err = r.newest(ctx, limit, about)
		return err
	})
	lines := make([]string, len(all))
	for i, e := range all {
		lines[i] = r.eventLine(e)
	}
	return lines, err
}

// newest are at most limit events, the newest first.
func (r *report) newest(ctx context.Context, limit int, about func(*corev1.ObjectReference) bool) ([]event, error) {
	all, err := collect(ctx, r.cluster, eventRes, r.ns, metav1.ListOptions{}, maxEventsRead, func(l *corev1.EventList) []event {
		var rows []event
		for i := range l.Items {
			if e := &l.Items[i]; about(&e.InvolvedObject) {
				rows = append(rows, eventOf(e))
			}
		}
		return rows
	})
	slices.SortFunc(all, func(a, b event) int { // times are whole seconds
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(len(b.version), len(a.version)), cmp.Compare(b.version, a.version))
	})
	return all[:min(len(all), limit)], err
}

func eventOf(e *corev1.Event) event {
	at, count := e.LastTimestamp.Time, e.Count
	if at.IsZero() {
		at = e.EventTime.Time
	}
	if e.Series != nil {
		at, count = e.Series.LastObservedTime.Time, e.Series.Count
	}
	if at.IsZero() {
		at = e.CreationTimestamp.Time
	}
	return event{
		at: at, object: strings.ToLower(e.InvolvedObject.Kind) + "/" + e.InvolvedObject.Name, warning: e.Type == corev1.EventTypeWarning,
		reason: quote(e.Reason), message: quote(e.Message), count: max(1, count), version: e.ResourceVersion,
	}
}

func (r *report) eventLine(e event) string {
	sign := "·"
	if e.warning {
		sign = "!"
	}
	parts := []string{sign, r.age(e.at), e.object, e.reason}
	if e.count > 1 {
		parts = append(parts, r.say("events.times", e.count))
	}
	return strings.Join(parts, " ") + ": " + e.message
}

// about says which objects' events are wanted. Those of a deployment are also those of its replica sets and their pods; of pods
// that are gone only the events are left, so that they are known by their names: the replica set's, a dash, and five characters.
func (r *report) about(ctx context.Context) (func(*corev1.ObjectReference) bool, error) {
	is := func(kind string) func(*corev1.ObjectReference) bool {
		return func(o *corev1.ObjectReference) bool { return o.Kind == kind && o.Name == r.name }
	}
	switch r.res.name {
	case podRes.name:
		return is("Pod"), nil
	case nodeRes.name:
		return is("Node"), nil
	case statefulRes.name:
		own := is("StatefulSet")
		return func(o *corev1.ObjectReference) bool {
			number, theirs := strings.CutPrefix(o.Name, r.name+"-")
			return own(o) || theirs && o.Kind == "Pod" && number != "" && strings.Trim(number, "0123456789") == ""
		}, nil
	case deploymentRes.name:
		d := &appsv1.Deployment{}
		if err := r.fetch(ctx, deploymentRes, r.ns, r.name, d); err != nil {
			return nil, err
		}
		sets, err := r.replicaSets(ctx, r.ns, d.UID, d.Spec.Selector)
		if err != nil {
			return nil, err
		}
		names := map[string]bool{}
		for i := range sets {
			names[sets[i].Name] = true
		}
		own := is("Deployment")
		return func(o *corev1.ObjectReference) bool {
			cut := strings.LastIndexByte(o.Name, '-')
			return own(o) || o.Kind == "ReplicaSet" && names[o.Name] ||
				o.Kind == "Pod" && cut > 0 && len(o.Name)-cut == 6 && names[o.Name[:cut]]
		}, nil
	}
	return func(*corev1.ObjectReference) bool { return true }, nil
}
