package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"palmops/services/executor/internal/kind"
)

// watchSeconds is how long one watch lasts before the deployment is read again.
const watchSeconds = 20

// follow waits until all replicas are ready. The number has been set.
func (s *scaling) follow(ctx context.Context) kind.Result {
	var last *appsv1.Deployment
	wait := s.retry
	for ctx.Err() == nil {
		d, err := s.getDeployment(ctx, s.ns, s.name)
		if apierrors.IsNotFound(err) {
			return kind.TimedOut(fmt.Sprintf("%s 副本数已设为 %d，但之后部署被删除。请核对是否符合预期。", s.what(), s.replicas))
		}
		if err != nil {
			if pause(ctx, retryAfter(err, wait)) != nil {
				break
			}
			wait = min(2*wait, 2*time.Second)
			continue
		}
		wait = s.retry
		if last = d; d != nil {
			if done := s.seen(d); done != nil {
				return *done
			}
		}
		if done := s.watch(ctx, d, &last); done != nil {
			return *done
		}
		// A watch that ends at once must not become a storm of reads.
		_ = pause(ctx, s.retry) // an ended context ends the loop
	}
	return s.late(ctx, last)
}

// watch follows changes until the watch ends for whatever reason; the caller reads again. A version that is too old (410) ends it as well.
func (s *scaling) watch(ctx context.Context, d *appsv1.Deployment, last **appsv1.Deployment) *kind.Result {
	wctx, cancel := context.WithTimeout(ctx, (watchSeconds+5)*time.Second)
	defer cancel()
	w, err := s.watchDeployment(wctx, s.ns, s.name, d.ResourceVersion, watchSeconds)
	if err != nil {
		return nil
	}
	defer w.Stop()
	for {
		select {
		case <-wctx.Done():
			return nil
		case ev, ok := <-w.ResultChan():
			if !ok || ev.Type == watch.Error {
				return nil
			}
			next, is := ev.Object.(*appsv1.Deployment)
			if !is || next.Name != s.name || next.Namespace != s.ns {
				continue
			}
			if ev.Type == watch.Deleted {
				return nil
			}
			*last = next
			if done := s.seen(next); done != nil {
				return done
			}
		}
	}
}

// seen looks at one state of the deployment; nil means wait on.
func (s *scaling) seen(d *appsv1.Deployment) *kind.Result {
	switch {
	case string(d.UID) != s.base.UID:
		r := kind.TimedOut(fmt.Sprintf("%s 副本数已设为 %d，但之后部署被删除重建。请核对是否符合预期。", s.what(), s.replicas))
		return &r
	case wanted(d) != s.replicas:
		r := kind.TimedOut(fmt.Sprintf("%s 副本数已设为 %d，但随后又被改为 %d（可能是其他人或自动扩缩容）。请核对后再操作。", s.what(), s.replicas, wanted(d)))
		return &r
	case ready(d):
		r := kind.Ended(s.done(d))
		return &r
	}
	s.hand.Progress(fmt.Sprintf("%s 副本数 %d → %d，%d/%d 就绪", s.what(), s.base.Replicas, s.replicas, min(d.Status.ReadyReplicas, s.replicas), s.replicas))
	return nil
}

// ready follows what kubectl rollout status waits for, and that no replica too many is left.
func ready(d *appsv1.Deployment) bool {
	n := wanted(d)
	return d.Status.ObservedGeneration >= d.Generation && d.Status.Replicas == n && d.Status.UpdatedReplicas == n && d.Status.ReadyReplicas == n
}

func (s *scaling) done(d *appsv1.Deployment) string {
	if s.base.Replicas == s.replicas {
		return fmt.Sprintf("%s 副本数本来就是 %d，%d/%d 就绪", s.what(), s.replicas, d.Status.ReadyReplicas, s.replicas)
	}
	return fmt.Sprintf("%s 副本数 %d → %d，%d/%d 就绪", s.what(), s.base.Replicas, s.replicas, d.Status.ReadyReplicas, s.replicas)
}

// late tells the truth when the waiting ended before the replicas were ready.
func (s *scaling) late(ctx context.Context, last *appsv1.Deployment) kind.Result {
	state := "还不知道有几个就绪"
	if last != nil {
		state = fmt.Sprintf("只有 %d/%d 就绪", min(last.Status.ReadyReplicas, s.replicas), s.replicas)
		if last.Status.Replicas > s.replicas {
			state = fmt.Sprintf("还有 %d 个副本没有退出", last.Status.Replicas-s.replicas)
		}
	}
	if errors.Is(context.Cause(ctx), kind.ErrStopping) {
		return kind.TimedOut(fmt.Sprintf("%s 副本数已设为 %d，%s；执行器正在停止，不再等待。请稍后查看。", s.what(), s.replicas, state))
	}
	return kind.TimedOut(fmt.Sprintf("%s 副本数已设为 %d，但 %d 秒内%s。请检查 Pod 状态。", s.what(), s.replicas, int(s.work.Timeout.Seconds()), state))
}
