package kind

import (
	"context"
	"errors"
	"strings"
)

// Line makes one line of any text, white space as one space, and cuts it to a number of characters, the last one an ellipsis
// when something is missing.
func Line(s string, limit int) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return string(r)
}

// Unread is the end of a report whose context has ended, with a sentence for each reason: a person stopped it, the executor had to
// leave it, it took too long.
func Unread(ctx context.Context, canceled, lost, late string) Result {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrCanceled):
		return Canceled(canceled)
	case errors.Is(cause, ErrStopping), errors.Is(cause, ErrLost):
		return Failed(lost)
	}
	return TimedOut(late)
}
