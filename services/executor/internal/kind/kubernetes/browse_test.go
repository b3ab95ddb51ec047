package kubernetes

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	langtest.Check(t, texts, ".")
}

func TestBrowse(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.add("shop", "api-v2", 1)
	f.change("shop/api-v2", func(d *appsv1.Deployment) {
		d.CreationTimestamp = metav1.NewTime(now.Add(-73 * time.Hour))
		d.Spec.Template.Spec.Containers = []corev1.Container{{Image: "registry.local/shop/api:2.0"}, {Image: "sidecar:1"}}
		d.Spec.Template.Annotations = map[string]string{RestartAnnotation: now.Add(-90 * time.Minute).Format(time.RFC3339)}
	})
	k := newKind(t, f.srv.URL)
	k.now = func() time.Time { return now }
	for _, c := range []struct {
		inputs string
		tag    lang.Tag
		want   wire.View
	}{
		{"", lang.Chinese, wire.View{Title: "选择命名空间", Items: []wire.Item{{Value: "shop"}, {Value: "pay"}}}},
		{"shop", lang.Chinese, wire.View{Title: "shop：选择部署（就绪/副本数）", Free: true, Items: []wire.Item{
			{Value: "api", Detail: "2/2 就绪"}, {Value: "api-v2", Detail: "1/1 就绪"}, {Value: "web", Detail: "3/3 就绪"},
		}}},
		{"pay", lang.English, wire.View{Title: "pay: choose a deployment (ready/replicas)", Free: true}},
		{`shop-api\-v2`, lang.Chinese, wire.View{Title: "shop/api-v2", Body: []string{
			"副本数：1", "就绪：1/1，已更新：1/1", "镜像：registry.local/shop/api:2.0", "镜像：sidecar:1", "创建于：3 天前", "上次重启：1 小时前",
		}}},
		{"shop-web", lang.English, wire.View{Title: "shop/web", Body: []string{"Replicas: 3", "Ready: 3/3, up to date: 3/3"}}},
		{"kube\\-system", lang.Chinese, wire.View{Refuse: "没有命名空间 kube-system。请从列表中选择。"}}, // it exists, and is not in the catalog
		{"shop-none", lang.English, wire.View{Refuse: "There is no deployment none in shop. Please choose one of the list, or type the whole name."}},
		{"shop-../../secrets", lang.Chinese, wire.View{Refuse: "shop 中没有部署 ../../secrets。请从列表中选择，或输入完整名称。"}},
		{"shop-web-1", lang.Chinese, wire.View{Refuse: "这里没有可以选择的内容。请返回上一级。"}},
	} {
		q := query(verbBrowse, map[string]any{catalog.NodeInputs: c.inputs})
		q.Lang = c.tag
		got, err := k.Answer(within60(t), q)
		if err != nil || got.View == nil {
			t.Errorf("%q: %+v, %v", c.inputs, got, err)
			continue
		}
		if diff := cmp.Diff(c.want, *got.View); diff != "" {
			t.Errorf("%q: %s", c.inputs, diff)
		}
	}
	f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
		status(w, 500, metav1.StatusReasonInternalError)
		return true
	}
	if _, err := k.Answer(within60(t), query(verbBrowse, nil)); !fault.Is(err, fault.Transient) {
		t.Errorf("API down: %v", err)
	}
}

func TestAgo(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 分钟前", 59 * time.Minute: "59 分钟前", 47 * time.Hour: "47 小时前", 48 * time.Hour: "2 天前",
	} {
		if got := ago(lang.Chinese, d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}
