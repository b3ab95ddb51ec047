package practice

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxEvents is how many events the cluster remembers; a real one forgets them after an hour.
const maxEvents = 300

// note writes an event about an object.
func (s *step) note(r resource, about object, kind, reason, message string) {
	s.t.put(events.name, newEvent(s.t, r, about, kind, reason, message, s.now))
}

func newEvent(t *transaction, r resource, about object, kind, reason, message string, now metav1.Time) *corev1.Event {
	e := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Name:      fmt.Sprintf("%s.%016x", about.GetName(), t.store.version+uint64(len(t.changes))+1),
			Namespace: about.GetNamespace(), UID: newUID(), CreationTimestamp: now,
		},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: r.group.String(), Kind: r.kind, Namespace: about.GetNamespace(), Name: about.GetName(), UID: about.GetUID(),
		},
		Type: kind, Reason: reason, Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: "practice"}, ReportingController: "practice",
	}
	if e.Namespace == "" {
		e.Namespace = metav1.NamespaceDefault // where the events of nodes are
	}
	events.withType(e)
	return e
}

// prune forgets the oldest events.
func (s *step) prune() {
	all := s.t.list(events.name)
	if len(all) <= maxEvents {
		return
	}
	slices.SortFunc(all, func(a, b object) int {
		at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		return at.Compare(bt.Time)
	})
	for _, o := range all[:len(all)-maxEvents] {
		s.t.remove(events.name, keyOf(o))
	}
}
