package kubernetes

import (
	"context"
	"regexp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
)

// deploymentName is what the API takes for one; anything else is not even asked for.
var deploymentName = regexp.MustCompile(`\A[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\z`)

// browse is the remote node: "" shows the namespaces, "ns" the deployments in it, "ns-name" how that one stands.
func (k *Kind) browse(ctx context.Context, c *cluster, q kind.Query) (*wire.View, error) {
	t := q.Lang
	typed := wire.SplitInputs(text(q.Args, catalog.NodeInputs))
	if len(typed) > 2 {
		return &wire.View{Refuse: texts.Say(t, "browse.no_more")}, nil
	}
	names, err := c.namespaceNames(ctx, t)
	if err != nil {
		return nil, err
	}
	if len(typed) == 0 {
		return &wire.View{Title: texts.Say(t, "browse.namespaces"), Items: items(names)}, nil
	}
	ns := typed[0]
	if !slices.Contains(names, ns) {
		return &wire.View{Refuse: texts.Say(t, "browse.no_namespace", ns)}, nil
	}
	if len(typed) == 1 {
		list, err := c.deploymentItems(ctx, t, ns)
		return &wire.View{Title: texts.Say(t, "browse.deployments", ns), Items: list, Free: true}, err
	}
	none := &wire.View{Refuse: texts.Say(t, "browse.no_deployment", ns, typed[1])}
	if !deploymentName.MatchString(typed[1]) {
		return none, nil
	}
	d, err := c.getDeployment(ctx, ns, typed[1])
	switch {
	case apierrors.IsNotFound(err):
		return none, nil
	case err != nil:
		return nil, explain(err, t, ns+"/"+typed[1])
	}
	return &wire.View{Title: ns + "/" + typed[1], Body: stands(d, t, k.now())}, nil
}

// stands says how a deployment stands, in lines.
func stands(d *appsv1.Deployment, t lang.Tag, now time.Time) []string {
	n := wanted(d)
	lines := []string{
		texts.Say(t, "browse.replicas", n),
		texts.Say(t, "browse.ready", d.Status.ReadyReplicas, n, updated(d), n),
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		lines = append(lines, texts.Say(t, "browse.image", c.Image))
	}
	if at := d.CreationTimestamp.Time; !at.IsZero() {
		lines = append(lines, texts.Say(t, "browse.age", ago(t, now.Sub(at))))
	}
	if at, err := time.Parse(time.RFC3339, restartedAt(d)); err == nil {
		lines = append(lines, texts.Say(t, "browse.restarted", ago(t, now.Sub(at))))
	}
	return lines
}

// ago is a time that has passed, in the largest unit that is not zero.
func ago(t lang.Tag, d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return texts.Say(t, "browse.days", int(d/(24*time.Hour)))
	case d >= time.Hour:
		return texts.Say(t, "browse.hours", int(d/time.Hour))
	}
	return texts.Say(t, "browse.minutes", max(0, int(d/time.Minute)))
}
