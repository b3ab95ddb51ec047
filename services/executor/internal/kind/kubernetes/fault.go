package kubernetes

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"palmops/libs/fault"
)

// nature says what an error of the API means for a request that changes something.
type nature int

const (
	refused   nature = iota // surely not done, and it will not be done by trying again
	stale                   // surely not done: the object has moved on (409)
	throttled               // surely not done: the server wants less, later (429)
	lost                    // the answer is missing or says nothing: it may have been done
)

func natureOf(err error) nature {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return lost // no answer at all: refused, reset, cut off, out of time
	}
	switch code := status.Status().Code; {
	case code == 409:
		return stale
	case code == 429:
		return throttled
	case code >= 400 && code < 500 && code != 408:
		return refused
	}
	return lost
}

// retryAfter is how long the server asks to wait, a default when it does not say, ten seconds at most.
func retryAfter(err error, def time.Duration) time.Duration {
	if s, ok := apierrors.SuggestsClientDelay(err); ok && s > 0 {
		return min(time.Duration(s)*time.Second, 10*time.Second)
	}
	return def
}

// explain gives an error of the API its kind and a text. What is the thing that was asked for, such as shop/web.
func explain(err error, what string) error {
	const nothing = "，没有执行任何操作。"
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return fault.WithText(fault.Wrap(fault.NotFound, err, what), what+" 不存在"+nothing+"请返回上一级重新选择。")
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fault.WithText(fault.Wrap(fault.Denied, err, what), "集群没有给执行器访问 "+what+" 的权限"+nothing+"请联系集群管理员授权。")
	case apierrors.IsConflict(err):
		return fault.WithText(fault.Wrap(fault.Conflict, err, what), what+" 刚刚被修改过"+nothing+"请重新查看后再操作。")
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return fault.WithText(fault.Wrap(fault.Invalid, err, what), "集群不接受对 "+what+" 的这个请求"+nothing+"请联系管理员。")
	case apierrors.IsTooManyRequests(err):
		return fault.WithText(fault.Wrap(fault.Transient, err, what), "集群 API 正忙"+nothing+"请稍后重试。")
	case errors.Is(err, context.DeadlineExceeded):
		return fault.WithText(fault.Wrap(fault.Transient, err, what), "集群 API 没有及时应答"+nothing+"请稍后重试。")
	default:
		return fault.WithText(fault.Wrap(fault.Transient, err, what), "集群 API 暂时不可用"+nothing+"请稍后重试。")
	}
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
