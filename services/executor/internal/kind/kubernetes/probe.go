package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// FenceAnnotation is written to a deployment when somebody has to find out whether a lost scale took effect. It holds the
// action's id. The write moves the resourceVersion on, so that the lost request, should it still be under way, can only be
// refused; and its answer is the state at that very moment.
const FenceAnnotation = "palmops.io/fence"

// Probe says what became of a scale whose owner died.
func (k *Kind) Probe(ctx context.Context, w kind.Work, raw json.RawMessage) kind.Result {
	c, err := k.cluster(w.Action)
	if err != nil {
		return kind.Unsure(fault.Safe(err))
	}
	o, err := scaleOrder(w)
	if err != nil {
		return kind.Unsure("执行器内部数据不完整，无法核对结果。请联系管理员。")
	}
	var b before
	if err := json.Unmarshal(raw, &b); err != nil {
		return kind.Unsure("执行器内部数据不完整，无法核对结果。请联系管理员。")
	}
	s := &scaling{cluster: c, order: o, work: w, retry: k.retry, base: b, now: b}
	return s.verdict(ctx)
}

// verdict fences, looks and judges. The generation counts changes of the spec: as long as it stands, nothing was applied.
func (s *scaling) verdict(ctx context.Context) kind.Result {
	d, fenced, err := s.fence(ctx)
	if err != nil {
		return kind.Unsure(fmt.Sprintf("%s 是否已设为 %d 无法核对：%s请先查看当前副本数，不要直接重试。", s.what(), s.replicas, reach(err)))
	}
	n := wanted(d)
	switch {
	case string(d.UID) != s.base.UID:
		return kind.Unsure(fmt.Sprintf("%s 已被删除重建，之前的操作结果未知。当前副本数 %d，请核对后再操作。", s.what(), n))
	case n == s.replicas:
		if ready(d) {
			return kind.Ended(s.done(d))
		}
		return kind.Ended(fmt.Sprintf("%s 副本数 %d → %d 已生效，目前 %d/%d 就绪。请稍后查看是否全部就绪。", s.what(), s.base.Replicas, s.replicas, min(d.Status.ReadyReplicas, n), n))
	case fenced && n == s.base.Replicas && d.Generation == s.base.Generation:
		return kind.Failed(fmt.Sprintf("%s 没有被修改，副本数仍为 %d。可以重新发起。", s.what(), n))
	}
	return kind.Unsure(fmt.Sprintf("%s 当前副本数为 %d（操作前 %d，目标 %d），无法判断操作是否曾经生效。请核对后再操作。", s.what(), n, s.base.Replicas, s.replicas))
}

// fence writes the annotation. Where the cluster does not allow that, it only reads.
func (s *scaling) fence(ctx context.Context) (d *appsv1.Deployment, fenced bool, err error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{FenceAnnotation: s.work.ID}}})
	if err != nil {
		return nil, false, fmt.Errorf("fence: %w", err)
	}
	wait := s.retry
	for {
		d, err = s.patchDeployment(ctx, s.ns, s.name, patch)
		if err == nil {
			return d, true, nil
		}
		if natureOf(err) == refused {
			d, err = s.read(ctx, s.order, s.retry)
			return d, false, err
		}
		if perr := pause(ctx, retryAfter(err, wait)); perr != nil {
			return nil, false, err
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// reach says in a few words why a look was not possible.
func reach(err error) string {
	switch fault.KindOf(explain(err, "")) {
	case fault.NotFound:
		return "部署已不存在。"
	case fault.Denied:
		return "集群没有给执行器权限。"
	}
	return "集群 API 没有应答。"
}
