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

// apply makes a plan real, as the controller does.
func apply(d *appsv1.Deployment, owned []*corev1.Pod, p plan) (*appsv1.Deployment, []*corev1.Pod) {
	owned = slices.Clone(owned)
	for _, pod := range p.remove {
		owned = slices.DeleteFunc(owned, func(o *corev1.Pod) bool { return o.Name == pod.Name })
	}
	for _, pod := range p.put {
		owned = slices.DeleteFunc(owned, func(o *corev1.Pod) bool { return o.Name == pod.Name })
		owned = append(owned, pod)
	}
	if p.deployment != nil {
		d = p.deployment
	}
	return d, owned
}

// Whatever is asked for and whenever, the pods get there in single steps and then nothing moves any more.
func TestReconcileConverges(t *testing.T) {
	now := metav1.NewTime(time.Unix(1_800_000_000, 0))
	rapid.Check(t, func(r *rapid.T) {
		limited := rapid.IntRange(-1, 3).Draw(r, "limit") // -1 is none
		one := sample{namespace: "shop", name: "web", replicas: 1, image: "web:1"}
		if limited >= 0 {
			one.readyLimit = strconv.Itoa(limited)
		}
		d := one.deployment(now)
		var owned []*corev1.Pod
		ready := 0
		for change := range rapid.IntRange(1, 6).Draw(r, "changes") {
			want := rapid.Int32Range(0, 7).Draw(r, "replicas")
			d = d.DeepCopy()
			d.Spec.Replicas, d.Generation = &want, d.Generation+1
			if rapid.Bool().Draw(r, "new image") {
				d.Spec.Template.Spec.Containers[0].Image = "web:" + strconv.Itoa(change)
			}
			steps := rapid.IntRange(0, 60).Draw(r, "steps")
			if change == 5 {
				steps = 60
			}
			for range steps {
				p := reconcile(d, owned, now)
				if p.empty() {
					break
				}
				d, owned = apply(d, owned, p)
				next := len(owned) - len(notReady(owned))
				if next > ready+1 || next < ready-1 {
					r.Fatalf("from %d to %d ready in one step", ready, next)
				}
				ready = next
				s := d.Status
				if s.ObservedGeneration != d.Generation || int(s.Replicas) != len(owned) || int(s.ReadyReplicas) != ready || s.UpdatedReplicas > s.Replicas {
					r.Fatalf("status %+v of %d pods, %d ready", s, len(owned), ready)
				}
			}
		}
		for range 200 {
			p := reconcile(d, owned, now)
			if p.empty() {
				break
			}
			d, owned = apply(d, owned, p)
		}
		if !reconcile(d, owned, now).empty() {
			r.Fatal("it never rests")
		}
		want := int(wanted(d))
		if limited < 0 {
			if len(owned) != want || len(notReady(owned)) != 0 || int(d.Status.UpdatedReplicas) != want || d.Status.UnavailableReplicas != 0 {
				r.Fatalf("%d pods, %d not ready, want %d: %+v", len(owned), len(notReady(owned)), want, d.Status)
			}
		}
	})
}

func TestMergePatch(t *testing.T) {
	// The examples of RFC 7386, appendix A, that concern objects.
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		if got, err := mergePatch([]byte(c[0]), []byte(c[1])); err != nil || string(got) != c[2] {
			t.Errorf("%s with %s: %s, %v", c[0], c[1], got, err)
		}
	}
}
