package kubernetes

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/services/executor/internal/endpoint"
	"palmops/services/executor/internal/kind"
)

// nature says what an error of the API means for a request that changes something.
type nature int

const (
	refused   nature = iota // surely not done, and it will not be done by trying again
	stale                   // surely not done: the object has moved on (409)
	throttled               // surely not done: the server wants less, later (429)
	lost                    // the answer is missing or says nothing: it may have been done
)

// decided is an error of our own that ends an attempt before anything was sent; inside is one with a kind and a text.
type decided struct{ error }

func (d decided) Unwrap() error { return d.error }

func natureOf(err error) nature {
	if errors.As(err, new(decided)) {
		return refused
	}
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

// insist reads again and again while the API does not answer, until the context ends; first is the first pause.
func (c *cluster) insist(ctx context.Context, first time.Duration, read func() error) error {
	for {
		err := read()
		if err == nil {
			return nil
		}
		if n := natureOf(err); n == refused || n == stale || ctx.Err() != nil {
			return err
		}
		if kind.Pause(ctx, retryAfter(err, first)) != nil {
			return err
		}
		first = min(2*first, 2*time.Second)
	}
}

// quote cuts a foreign sentence to one line of at most 200 characters, without marks that change the direction of writing.
func quote(s string) string { return endpoint.Quote(s) }

// explain gives an error of the API its kind and a text in a language. What is the thing that was asked for, such as shop/web.
func explain(err error, t lang.Tag, what string) error {
	var own decided
	give := func(k fault.Kind, text string) error { return fault.WithText(fault.Wrap(k, err, what), text) }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own.error
	case apierrors.IsNotFound(err):
		return give(fault.NotFound, texts.Say(t, "api.not_found", what))
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return give(fault.Denied, texts.Say(t, "api.denied", what))
	case apierrors.IsConflict(err):
		return give(fault.Conflict, texts.Say(t, "api.conflict", what))
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return give(fault.Invalid, texts.Say(t, "api.invalid", what))
	case apierrors.IsTooManyRequests(err):
		return give(fault.Transient, texts.Say(t, "api.busy"))
	case errors.Is(err, context.DeadlineExceeded):
		return give(fault.Transient, texts.Say(t, "api.late"))
	default:
		return give(fault.Transient, texts.Say(t, "api.down"))
	}
}
