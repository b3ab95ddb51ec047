package kind

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{"": "", " a\n b\t": "a b", "12345": "12345", "123456": "1234…", "一二三四五六": "一二三四…"} {
		if got := Line(in, 5); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Line(strings.Repeat("行", 300), 80); utf8.RuneCountInString(got) != 80 {
		t.Errorf("%q", got)
	}
}

func TestUnread(t *testing.T) {
	for cause, want := range map[error]Result{
		ErrCanceled: Canceled("c"), ErrStopping: Failed("l"), ErrLost: Failed("l"), context.DeadlineExceeded: TimedOut("t"),
	} {
		ctx, end := context.WithCancelCause(t.Context())
		end(cause)
		if got := Unread(ctx, "c", "l", "t"); got.State != want.State || got.Text != want.Text {
			t.Errorf("%v: %+v", cause, got)
		}
	}
}
