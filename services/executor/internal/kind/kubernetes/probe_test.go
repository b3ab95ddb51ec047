package kubernetes

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"palmops/libs/wire"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happened func(f *fakeAPI)
		noPatch  bool
		state    string
		text     string
	}{
		"applied and ready":        {func(f *fakeAPI) { f.change("shop/web", setReplicas(5)); f.change("shop/web", setReady(5, 5)) }, false, wire.StateSucceeded, "3 → 5，5/5 就绪"},
		"applied":                  {func(f *fakeAPI) { f.change("shop/web", setReplicas(5)) }, false, wire.StateSucceeded, "已生效，目前 3/5 就绪"},
		"nothing":                  {func(*fakeAPI) {}, false, wire.StateFailed, "没有被修改，副本数仍为 3"},
		"only status":              {func(f *fakeAPI) { f.change("shop/web", setReady(3, 1)) }, false, wire.StateFailed, "没有被修改"},
		"another number":           {func(f *fakeAPI) { f.change("shop/web", setReplicas(4)) }, false, wire.StateUnknown, "当前副本数为 4"},
		"there and back":           {func(f *fakeAPI) { f.change("shop/web", setReplicas(5)); f.change("shop/web", setReplicas(3)) }, false, wire.StateUnknown, "无法判断"},
		"recreated":                {func(f *fakeAPI) { f.change("shop/web", func(d *appsv1.Deployment) { d.UID = "x" }) }, false, wire.StateUnknown, "删除重建"},
		"deleted":                  {func(f *fakeAPI) { f.drop("deployments/shop/web") }, false, wire.StateUnknown, "部署已不存在"},
		"no fence, applied":        {func(f *fakeAPI) { f.change("shop/web", setReplicas(5)); f.change("shop/web", setReady(5, 5)) }, true, wire.StateSucceeded, "3 → 5，5/5"},
		"no fence, nothing so far": {func(*fakeAPI) {}, true, wire.StateUnknown, "无法判断"}, // it may still be under way
	} {
		f := newFakeAPI(t)
		k, w := newKind(t, f.srv.URL), scaleWork(5, 3)
		raw, err := k.Prepare(within60(t), w)
		if err != nil {
			t.Fatal(err)
		}
		c.happened(f)
		if c.noPatch {
			f.forbid(http.MethodPatch)
		}
		if r := k.Probe(within60(t), w, raw); r.State != c.state || !strings.Contains(r.Text, c.text) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestALostUpdateMissesAfterTheProbe: the dead owner's request arrives after the verdict "not applied".
func TestALostUpdateMissesAfterTheProbe(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	k, w := newKind(t, f.srv.URL), scaleWork(5, 3)
	raw, err := k.Prepare(within60(t), w)
	if err != nil {
		t.Fatal(err)
	}
	if r := k.Probe(within60(t), w, raw); r.State != wire.StateFailed {
		t.Fatalf("%+v", r)
	}
	var b before
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	err = k.clusters["practice"].setScale(within60(t), deploymentRes, "shop", "web", b, 5)
	if natureOf(err) != stale {
		t.Errorf("the late update was answered with %v", err)
	}
	if n := *f.get("shop/web").Spec.Replicas; n != 3 {
		t.Errorf("%d replicas", n)
	}
}
