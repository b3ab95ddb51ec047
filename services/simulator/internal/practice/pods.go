package practice

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leastReady is the annotation of a deployment of which evictions must leave so many pods ready: what a PodDisruptionBudget is
// in a real cluster.
const leastReady = "practice.palmops/least-ready"

// deletePod tells a pod to go: the controller takes it away with its next step, and makes another one.
func (c *Cluster) deletePod(r *http.Request) (any, error) {
	opts := &metav1.DeleteOptions{}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		if _, _, err := c.decoder.Decode(body, nil, opts); err != nil {
			return nil, apierrors.NewBadRequest("the body cannot be decoded: " + err.Error())
		}
	}
	return c.letGo(r, opts, func(*transaction, *corev1.Pod) error { return nil })
}

// evictPod does the same unless too few pods would be left.
func (c *Cluster) evictPod(r *http.Request) (any, error) {
	in := &policyv1.Eviction{}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	_, got, err := c.decoder.Decode(body, nil, in)
	switch {
	case err != nil:
		return nil, apierrors.NewBadRequest("the body cannot be decoded: " + err.Error())
	case got.Kind != "Eviction" || in.Name != r.PathValue("name"):
		return nil, apierrors.NewBadRequest("the body is not an Eviction of this pod")
	case in.DeleteOptions == nil:
		in.DeleteOptions = &metav1.DeleteOptions{}
	}
	if _, err := c.letGo(r, in.DeleteOptions, budget); err != nil {
		return nil, err
	}
	return metav1.Status{TypeMeta: listType(corev1.SchemeGroupVersion, "Status"), Status: metav1.StatusSuccess, Code: http.StatusCreated}, nil
}

func (c *Cluster) letGo(r *http.Request, opts *metav1.DeleteOptions, may func(*transaction, *corev1.Pod) error) (any, error) {
	var out object
	err := c.store.change(func(t *transaction) error {
		o, _ := t.get(pods.name, requestKey(r))
		p, ok := o.(*corev1.Pod)
		if !ok {
			return apierrors.NewNotFound(pods.groupResource(), r.PathValue("name"))
		}
		if pre := opts.Preconditions; pre != nil {
			if pre.UID != nil && *pre.UID != p.UID || pre.ResourceVersion != nil && *pre.ResourceVersion != p.ResourceVersion {
				return apierrors.NewConflict(pods.groupResource(), p.Name, errors.New("the preconditions do not hold"))
			}
		}
		out = p
		if p.DeletionTimestamp != nil {
			return nil
		}
		if err := may(t, p); err != nil {
			return err
		}
		if len(opts.DryRun) > 0 || r.URL.Query().Get("dryRun") == metav1.DryRunAll {
			return nil
		}
		p = p.DeepCopy()
		now := c.timestamp()
		grace := int64(30)
		if opts.GracePeriodSeconds != nil {
			grace = *opts.GracePeriodSeconds
		}
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &now, &grace
		t.put(events.name, newEvent(t, pods, p, corev1.EventTypeNormal, "Killing", "Stopping container "+p.Spec.Containers[0].Name, now))
		t.put(pods.name, p)
		out = p
		return nil
	})
	return out, err
}

// budget refuses an eviction that would leave too few pods of a deployment ready.
func budget(t *transaction, p *corev1.Pod) error {
	if len(p.OwnerReferences) != 1 || !isReady(p) {
		return nil
	}
	o, _ := t.get(replicaSets.name, key{p.Namespace, p.OwnerReferences[0].Name})
	rs, ok := o.(*appsv1.ReplicaSet)
	if !ok || len(rs.OwnerReferences) != 1 {
		return nil
	}
	o, _ = t.get(deployments.name, key{p.Namespace, rs.OwnerReferences[0].Name})
	d, ok := o.(*appsv1.Deployment)
	if !ok {
		return nil
	}
	least, err := strconv.Atoi(d.Annotations[leastReady])
	if err != nil {
		return nil
	}
	ready := 0
	for _, o := range t.list(pods.name) {
		other, ok := o.(*corev1.Pod)
		if ok && other.Namespace == p.Namespace && other.DeletionTimestamp == nil && isReady(other) && other.Labels[hashLabel] == p.Labels[hashLabel] {
			ready++
		}
	}
	if ready > least {
		return nil
	}
	refusal := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	refusal.ErrStatus.Details.Causes = []metav1.StatusCause{{
		Type: policyv1.DisruptionBudgetCause, Message: fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", d.Name, least, ready),
	}}
	return refusal
}

// logEvery is the time between two lines that a container of the practice cluster prints.
const logEvery = 7 * time.Second

// maxLogLines bounds one answer.
const maxLogLines = 20000

// podLog makes up what a container has printed since it began: the same lines whoever asks and whenever.
func (c *Cluster) podLog(w http.ResponseWriter, r *http.Request) {
	lines, err := c.logLines(r)
	if err != nil {
		c.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	for _, l := range lines {
		if _, err := io.WriteString(w, l+"\n"); err != nil {
			return // the client went away
		}
	}
}

func (c *Cluster) logLines(r *http.Request) ([]string, error) {
	o, _ := c.store.get(pods.name, requestKey(r))
	p, ok := o.(*corev1.Pod)
	if !ok {
		return nil, apierrors.NewNotFound(pods.groupResource(), r.PathValue("name"))
	}
	q := r.URL.Query()
	name := q.Get("container")
	if name == "" {
		name = p.Spec.Containers[0].Name
	}
	if !slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { return c.Name == name }) {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, p.Name))
	}
	if q.Get("previous") == "true" || q.Get("previous") == "1" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("previous terminated container %q in pod %q not found", name, p.Name))
	}
	if len(p.Status.ContainerStatuses) == 0 {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start: ContainerCreating", name, p.Name))
	}
	numbers := map[string]int64{"tailLines": -1, "sinceSeconds": -1}
	for n := range numbers {
		if v := q.Get(n); v != "" {
			i, err := strconv.ParseInt(v, 10, 64)
			if err != nil || i < 0 {
				return nil, apierrors.NewBadRequest(n + " is not a number that can be used")
			}
			numbers[n] = i
		}
	}
	now, from := c.now(), p.CreationTimestamp.Time
	began := from
	if s := numbers["sinceSeconds"]; s >= 0 && s < int64(now.Sub(from)/time.Second) {
		from = now.Add(-time.Duration(s) * time.Second)
	}
	most := int64(maxLogLines)
	if t := numbers["tailLines"]; t >= 0 {
		most = min(most, t)
	}
	last := now.Truncate(logEvery)
	if earliest := last.Add(-time.Duration(most-1) * logEvery); earliest.After(from) {
		from = earliest
	}
	var lines []string
	if !began.Before(from) && most > 0 {
		lines = append(lines, fmt.Sprintf("%s INFO  %s started, image %s", began.UTC().Format(time.RFC3339), name, p.Spec.Containers[0].Image))
	}
	for at := from.Truncate(logEvery); !at.After(last); at = at.Add(logEvery) {
		if !at.Before(from) {
			lines = append(lines, logLine(p, name, at))
		}
	}
	return lines[max(0, len(lines)-int(most)):], nil
}

// logLine is the line of a time: mostly requests, now and then something to find.
func logLine(p *corev1.Pod, container string, at time.Time) string {
	n := at.Unix() / int64(logEvery/time.Second)
	stamp := at.UTC().Format(time.RFC3339)
	switch {
	case n%97 == 0:
		return fmt.Sprintf("%s ERROR %s upstream timed out after 3000 ms, request r-%08x", stamp, container, uint32(n)*2654435761)
	case n%23 == 0:
		return fmt.Sprintf("%s WARN  %s slow request /orders/%d took %d ms", stamp, container, n%9973, 800+n%700)
	}
	return fmt.Sprintf("%s INFO  %s GET /orders/%d 200 %d ms pod=%s", stamp, container, n%9973, 3+n%40, p.Name)
}
