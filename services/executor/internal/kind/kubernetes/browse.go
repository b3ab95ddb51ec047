package kubernetes

import (
	"context"
	"regexp"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
)

// deploymentName is what the API takes for one; anything else is not even asked for.
var deploymentName = regexp.MustCompile(`\A[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\z`)

// browse is the remote node: "" shows the namespaces, "ns" the deployments in it, "ns-name" how that one stands.
func (a asked) browse(ctx context.Context) (*wire.View, error) {
	typed := wire.SplitInputs(text(a.q.Args, catalog.NodeInputs))
	if len(typed) > 2 {
		return &wire.View{Refuse: a.say("browse.no_more")}, nil
	}
	names, err := a.namespaceNames(ctx, a.q.Lang)
	if err != nil {
		return nil, err
	}
	if len(typed) == 0 {
		return &wire.View{Title: a.say("browse.namespaces"), Items: items(names)}, nil
	}
	a.ns = typed[0]
	if !slices.Contains(names, a.ns) {
		return &wire.View{Refuse: a.say("browse.no_namespace", a.ns)}, nil
	}
	if len(typed) == 1 {
		list, err := a.deployments(ctx)
		return &wire.View{Title: a.say("browse.deployments", a.ns), Items: list, Free: true}, err
	}
	none := &wire.View{Refuse: a.say("browse.no_deployment", a.ns, typed[1])}
	if !deploymentName.MatchString(typed[1]) {
		return none, nil
	}
	o, err := a.get(ctx, deploymentRes, a.ns, typed[1])
	switch {
	case apierrors.IsNotFound(err):
		return none, nil
	case err != nil:
		return nil, explain(err, a.q.Lang, a.ns+"/"+typed[1])
	}
	return &wire.View{Title: a.ns + "/" + typed[1], Body: stands(o, a.q.Lang, a.now())}, nil
}

// stands says how a deployment or stateful set stands, in lines.
func stands(o *object, t lang.Tag, now time.Time) []string {
	fresh, due := o.fresh()
	lines := []string{
		texts.Say(t, "browse.replicas", o.wanted),
		texts.Say(t, "browse.ready", o.ready, o.wanted, fresh, due),
	}
	for _, c := range o.template.Spec.Containers {
		lines = append(lines, texts.Say(t, "browse.image", c.Image))
	}
	if at := o.CreationTimestamp.Time; !at.IsZero() {
		lines = append(lines, texts.Say(t, "browse.age", ago(t, now.Sub(at))))
	}
	if at, err := time.Parse(time.RFC3339, o.restartedAt()); err == nil {
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
