package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"palmops/libs/fault"
	"palmops/services/executor/internal/kind"
)

// conflicts is how often a scale is tried again because the object had moved on while its number of replicas had not.
const conflicts = 5

const stopped = "执行器正在停止，没有执行任何操作。请重新发起。"

// Apply sets the number of replicas and waits until they are ready.
func (k *Kind) Apply(ctx context.Context, w kind.Work, raw json.RawMessage, hand kind.Hand) kind.Result {
	c, err := k.cluster(w.Action)
	if err != nil {
		return kind.Failed(fault.Safe(err))
	}
	o, err := scaleOrder(w)
	if err != nil {
		return kind.Failed(fault.Safe(err))
	}
	var b before
	if err := json.Unmarshal(raw, &b); err != nil {
		return kind.Failed("执行器内部数据不完整，没有执行任何操作。请联系管理员。")
	}
	s := &scaling{cluster: c, order: o, work: w, hand: hand, retry: k.retry, base: b, now: b}
	if b.Replicas != o.replicas {
		if done := s.set(ctx); done != nil {
			return *done
		}
	}
	return s.follow(ctx)
}

// scaling is one scale at work.
type scaling struct {
	*cluster
	order
	work  kind.Work
	hand  kind.Hand
	retry time.Duration
	base  before // as the record has it
	now   before // as last read; what the next update is fenced by
}

// set changes the number; nil means that it is set. A request whose answer was lost is repeated as it is: the fence lets at
// most one of them take effect. When nothing can be learned any more, the probe decides.
func (s *scaling) set(ctx context.Context) *kind.Result {
	doubt := false // an update may have taken effect unseen
	moves := 0
	wait := s.retry
	for {
		if err := s.hand.Step(ctx); err != nil {
			return s.noLeave(ctx, err, doubt)
		}
		err := s.setScale(ctx, s.ns, s.name, s.now, s.replicas)
		if err == nil {
			return nil
		}
		switch natureOf(err) {
		case refused:
			if doubt {
				return s.settle(ctx)
			}
			return failed(explain(err, s.what()))
		case stale:
			if moves++; moves > conflicts {
				return s.giveUp(ctx, err, doubt)
			}
			if done, set := s.look(ctx, doubt); done != nil || set {
				return done
			}
			doubt = false // the object has moved past every earlier fence
			continue
		case lost:
			doubt = true
		}
		if perr := pause(ctx, retryAfter(err, wait)); perr != nil {
			return s.giveUp(ctx, err, doubt)
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// look reads the object after a conflict. Set means that it has the wanted number already.
func (s *scaling) look(ctx context.Context, doubt bool) (done *kind.Result, set bool) {
	d, err := s.read(ctx, s.order, s.retry)
	if err != nil {
		return s.giveUp(ctx, err, doubt), false
	}
	found := beforeOf(d)
	switch {
	case found.UID != s.base.UID:
		if doubt {
			return s.settle(ctx), false
		}
		r := kind.Failed(fmt.Sprintf("%s 已被删除重建，没有执行任何操作。请重新查看后再操作。", s.what()))
		return &r, false
	case found.Replicas == s.replicas:
		return nil, true
	case found.Replicas != s.base.Replicas:
		if doubt && found.Generation != s.base.Generation+1 {
			return s.settle(ctx), false // ours may have come and gone
		}
		r := kind.Failed(moved(s.order, found.Replicas, s.base.Replicas))
		return &r, false
	case doubt && found.Generation != s.base.Generation:
		return s.settle(ctx), false
	}
	s.now, s.base = found, found // the same number, and surely not by us
	return nil, false
}

// noLeave ends an attempt for which Step gave no leave: nothing more may be written, not even a fence.
func (s *scaling) noLeave(ctx context.Context, err error, doubt bool) *kind.Result {
	if doubt {
		r := kind.Unsure(fmt.Sprintf("%s 是否已设为 %d 无法确认。请先查看当前副本数，不要直接重试。", s.what(), s.replicas))
		return &r
	}
	if errors.Is(err, kind.ErrLost) || errors.Is(context.Cause(ctx), kind.ErrLost) {
		return failed(fault.WithText(err, "操作已由其他执行器接管，这里没有执行任何操作。"))
	}
	if errors.Is(context.Cause(ctx), kind.ErrStopping) {
		return failed(fault.WithText(err, stopped))
	}
	return failed(fault.WithText(err, "操作记录暂时无法写入，没有执行任何操作。请稍后重新发起。"))
}

// giveUp ends an attempt to set the number: with a plain failure when surely nothing was set.
func (s *scaling) giveUp(ctx context.Context, err error, doubt bool) *kind.Result {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, kind.ErrLost):
		return s.noLeave(ctx, err, doubt)
	case doubt:
		return s.settle(ctx)
	case errors.Is(cause, kind.ErrStopping):
		return failed(fault.WithText(err, stopped))
	}
	return failed(explain(err, s.what()))
}

// settle asks the probe, with some time of its own: the work's may be over.
func (s *scaling) settle(ctx context.Context) *kind.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*requestTimeout)
	defer cancel()
	r := s.verdict(ctx)
	return &r
}

func failed(err error) *kind.Result {
	r := kind.Failed(fault.Safe(err))
	return &r
}
