package guard

import (
	"errors"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
)

// TestReportsNeedNoConfirmation: what nobody confirmed is taken for a report and for nothing else.
func TestReportsNeedNoConfirmation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	judge := func(action string, raw map[string]any, change func(c *wire.Claims)) error {
		c := b.claims()
		c.Action = action
		change(&c)
		_, err := b.guard.Order(encode(t, b.order(c, raw)), now)
		return err
	}
	for _, unconfirmed := range []bool{true, false} {
		if err := judge("k8s.status", nil, func(c *wire.Claims) { c.Report = unconfirmed }); err != nil {
			t.Errorf("a report, claimed %t: %v", unconfirmed, err)
		}
	}
	for _, noop := range []bool{false, true} {
		err := judge("k8s.scale", args(), func(c *wire.Claims) { c.Report, c.Noop = true, noop })
		var no *Refusal
		if !errors.As(err, &no) || no.Reason != Report || no.State() != wire.StateRejected || !strings.Contains(fault.Safe(err), "必须先确认，没有执行任何操作") {
			t.Errorf("a change ordered as a report, dry %t: %v: %s", noop, err, fault.Safe(err))
		}
	}
	err := judge(wire.ActionLock, map[string]any{"env": "prod", "reason": "x"}, func(c *wire.Claims) { c.Report = true })
	var no *Refusal
	if !errors.As(err, &no) || no.Reason != Report {
		t.Errorf("a built-in change ordered as a report: %v", err)
	}
	c := b.claims()
	c.Action, c.Read, c.Noop, c.Expires = "k8s.namespaces", true, true, now.Unix()+10
	if _, err := b.guard.Question(encode(t, b.order(c, nil)), now); !errors.As(err, &no) || no.Reason != Read {
		t.Errorf("a dry question: %v", err)
	}
	c.Action, c.Read, c.Noop = "k8s.status", false, false
	if _, err := b.guard.Question(encode(t, b.order(c, nil)), now); !errors.As(err, &no) || no.Reason != Read {
		t.Errorf("a report asked as a question: %v", err)
	}
}

// TestHours: a change outside its hours is refused and says when it is possible; a dry run never is.
func TestHours(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("CST", 8*3600)
	for at, open := range map[string]bool{
		"2026-11-23 21:59": false, "2026-11-23 22:00": true, "2026-11-24 05:59": true, "2026-11-24 06:00": false,
		"2026-11-26 23:00": false, "2026-11-28 02:00": true,
	} {
		when, err := time.ParseInLocation("2006-01-02 15:04", at, zone)
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t)
		b.clock = when
		for _, tag := range []lang.Tag{lang.Chinese, lang.English} {
			c := b.claims()
			c.Action, c.Lang = "k8s.nightly", string(tag)
			_, err = b.guard.Order(encode(t, b.order(c, nil)), when)
			want := map[lang.Tag]string{
				lang.Chinese: "没有执行任何操作。允许的时间：周一至周三、周五 22:00–次日06:00。",
				lang.English: "Nothing was done. It is allowed: Monday to Wednesday, Friday 22:00–the next day's 06:00.",
			}[tag]
			var no *Refusal
			switch {
			case open && err != nil:
				t.Errorf("%s: %v", at, err)
			case !open && (!errors.As(err, &no) || no.Reason != Hours || no.State() != wire.StateRejected || !no.Proven || no.Raw == nil):
				t.Errorf("%s: %v", at, err)
			case !open && !strings.Contains(fault.SafeIn(err, tag), want):
				t.Errorf("%s: %s", at, fault.SafeIn(err, tag))
			}
			c.Noop = true
			if _, err := b.guard.Order(encode(t, b.order(c, nil)), when); err != nil {
				t.Errorf("%s: a dry run: %v", at, err)
			}
		}
	}
}

func TestDays(t *testing.T) {
	t.Parallel()
	for want, set := range map[string][7]bool{
		"每天":       {true, true, true, true, true, true, true},
		"周一至周五":    {false, true, true, true, true, true, false},
		"周一、周二":    {false, true, true, false, false, false, false},
		"周六、周日":    {true, false, false, false, false, false, true},
		"周一、周三至周日": {true, true, false, true, true, true, true},
		"周日":       {true},
	} {
		if got := days(set, lang.Chinese); got != want {
			t.Errorf("%v reads %s, want %s", set, got, want)
		}
	}
}
