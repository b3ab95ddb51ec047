package suite

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"palmops/deployments/e2e-kube/internal/control"
)

// right is one verb on one resource; a subresource is joined to it by "/".
type right struct{ group, resource, verb string }

func (r right) String() string {
	if r.group == "" {
		return r.verb + " " + r.resource
	}
	return r.verb + " " + r.resource + "." + r.group
}

// unused fails when rbac.yaml gives rights that no request has used, according to the audit logs. What is not given needs no look: the
// API server refuses it.
func unused(clusters map[string]*control.Cluster) error {
	used := map[right]bool{}
	for _, c := range clusters {
		if err := collect(c.Audit, used); err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
	}
	given, err := granted()
	if err != nil {
		return err
	}
	var idle []string
	for _, r := range given {
		if !used[r] {
			idle = append(idle, r.String())
		}
	}
	if len(idle) > 0 {
		slices.Sort(idle)
		return fmt.Errorf("rbac.yaml gives rights that nothing has used: %s", strings.Join(slices.Compact(idle), ", "))
	}
	say("all %d rights of rbac.yaml were used", len(given))
	return nil
}

func granted() ([]right, error) {
	objects, err := rbac()
	if err != nil {
		return nil, err
	}
	var out []right
	for _, o := range objects {
		role, is := o.(*rbacv1.ClusterRole)
		if !is {
			continue
		}
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						out = append(out, right{group, resource, verb})
					}
				}
			}
		}
	}
	return out, nil
}

// collect adds the rights that served requests of an audit log have used.
func collect(path string, used map[right]bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err // the caller does
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("line: %w", err)
		}
		if e.ObjectRef == nil || e.User.Username != control.Executor || e.Annotations["authorization.k8s.io/decision"] != "allow" {
			continue
		}
		resource := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			resource += "/" + e.ObjectRef.Subresource
		}
		used[right{e.ObjectRef.APIGroup, resource, e.Verb}] = true
	}
	return lines.Err() // the caller does
}
