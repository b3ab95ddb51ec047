package practice

import (
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// discovery tells clients what there is. Newer clients ask for an aggregated form and take this older one as well.
func (c *Cluster) discovery(mux *http.ServeMux) {
	mux.HandleFunc("GET /api", fixed(metav1.APIVersions{
		TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"},
		ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{},
	}))
	byGroup := map[schema.GroupVersion][]metav1.APIResource{}
	for _, r := range allResources() {
		byGroup[r.group] = append(byGroup[r.group], metav1.APIResource{
			Name: r.name, SingularName: lower(r.kind), Namespaced: r.namespaced, Kind: r.kind, Verbs: r.verbs, ShortNames: []string{r.short},
		})
	}
	apps := deployments.group
	scale := metav1.APIResource{
		Name: "deployments/scale", Namespaced: true, Kind: "Scale", Verbs: metav1.Verbs{"get", "patch", "update"},
		Group: autoscalingv1.GroupName, Version: autoscalingv1.SchemeGroupVersion.Version,
	}
	byGroup[apps] = append(byGroup[apps], scale)
	scale.Name = "statefulsets/scale"
	core := pods.group
	byGroup[core] = append(byGroup[core],
		metav1.APIResource{Name: "pods/log", Namespaced: true, Kind: pods.kind, Verbs: metav1.Verbs{"get"}},
		metav1.APIResource{Name: "pods/eviction", Namespaced: true, Kind: "Eviction", Verbs: metav1.Verbs{"create"}, Group: "policy", Version: "v1"},
	)
	byGroup[apps] = append(byGroup[apps], scale, metav1.APIResource{Name: "deployments/status", Namespaced: true, Kind: deployments.kind, Verbs: metav1.Verbs{"get"}})
	version := metav1.GroupVersionForDiscovery{GroupVersion: apps.String(), Version: apps.Version}
	group := metav1.APIGroup{Name: apps.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}
	mux.HandleFunc("GET /apis", fixed(metav1.APIGroupList{TypeMeta: listType(schema.GroupVersion{Version: "v1"}, "APIGroupList"), Groups: []metav1.APIGroup{group}}))
	group.TypeMeta = listType(schema.GroupVersion{Version: "v1"}, "APIGroup")
	mux.HandleFunc("GET /apis/apps", fixed(group))
	for gv, list := range byGroup {
		path := "/apis/" + gv.String()
		if gv.Group == "" {
			path = "/api/" + gv.Version
		}
		mux.HandleFunc("GET "+path, fixed(metav1.APIResourceList{
			TypeMeta: listType(schema.GroupVersion{Version: "v1"}, "APIResourceList"), GroupVersion: gv.String(), APIResources: list,
		}))
	}
}
