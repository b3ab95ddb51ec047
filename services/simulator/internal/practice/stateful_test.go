package practice

import (
	"slices"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// Whatever is asked for and whenever, the pods of a stateful set are numbered without gaps below the one that is worked on, and
// then nothing moves any more.
func TestStatefulConverges(t *testing.T) {
	now := metav1.NewTime(time.Unix(1_800_000_000, 0))
	rapid.Check(t, func(r *rapid.T) {
		d := sample{namespace: "shop", name: "db", replicas: 1, image: "db:0"}.deployment(now)
		s := &appsv1.StatefulSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.StatefulSetSpec{Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template}}
		var owned []*corev1.Pod
		advance := func() bool {
			p := reconcileStateful(s, owned, now)
			if len(p.put)+len(p.remove) > 1 {
				r.Fatalf("%d pods in one step", len(p.put)+len(p.remove))
			}
			for _, pod := range slices.Concat(p.remove, p.put) {
				owned = slices.DeleteFunc(owned, func(o *corev1.Pod) bool { return o.Name == pod.Name })
			}
			owned = append(owned, p.put...)
			if p.set != nil {
				s = p.set
			}
			return !p.empty()
		}
		for change := range rapid.IntRange(1, 6).Draw(r, "changes") {
			want := rapid.Int32Range(0, 6).Draw(r, "replicas")
			s = s.DeepCopy()
			s.Spec.Replicas, s.Generation = &want, s.Generation+1
			if rapid.Bool().Draw(r, "new image") {
				s.Spec.Template.Spec.Containers[0].Image = "db:" + strconv.Itoa(change)
			}
			for range rapid.IntRange(0, 30).Draw(r, "steps") {
				advance()
			}
		}
		for range 100 {
			if !advance() {
				break
			}
		}
		if advance() {
			r.Fatal("it never rests")
		}
		n := *s.Spec.Replicas
		st := s.Status
		if int32(len(owned)) != n || st.ReadyReplicas != n || st.UpdatedReplicas != n || st.CurrentReplicas != n || st.CurrentRevision != st.UpdateRevision {
			r.Fatalf("%d pods, %+v", len(owned), st)
		}
		for _, p := range owned {
			if o := ordinal(p); o < 0 || o >= int(n) {
				r.Fatalf("pod %s of %d", p.Name, n)
			}
		}
	})
}
