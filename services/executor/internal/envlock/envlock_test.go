package envlock

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
)

var now = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

func TestTexts(t *testing.T) { langtest.Check(t, texts, ".") }

func TestWhoIsKeptOut(t *testing.T) {
	l := &Lock{Env: "prod", Corp: "c", App: "a", User: "LiSi", Until: now.UnixMilli()}
	freed := *l
	freed.Freed = 1
	for name, c := range map[string]struct {
		lock            *Lock
		corp, app, user string
		at              time.Time
		bars            bool
	}{
		"nobody has it":      {nil, "c", "a", "x", now.Add(-time.Second), false},
		"another person":     {l, "c", "a", "x", now.Add(-time.Millisecond), true},
		"its last moment":    {l, "c", "a", "x", now, false},
		"the holder":         {l, "c", "a", "lisi", now.Add(-time.Second), false},
		"of another company": {l, "d", "a", "lisi", now.Add(-time.Second), true},
		"in another app":     {l, "c", "b", "lisi", now.Add(-time.Second), true},
		"given back":         {&freed, "c", "a", "x", now.Add(-time.Second), false},
	} {
		if got := c.lock.Bars(c.corp, c.app, c.user, c.at); got != c.bars {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWords(t *testing.T) {
	zone := time.FixedZone("CST", 8*3600)
	l := &Lock{Env: "prod", Name: "database", User: "lisi", Reason: "换主", Until: now.Add(30 * time.Minute).UnixMilli()}
	if got := l.Say(now, zone, lang.Chinese); got != "lisi，到 23:30：换主" {
		t.Error(got)
	}
	l.Until = now.Add(2 * time.Hour).UnixMilli()
	if got := l.Say(now, zone, lang.English); got != "lisi, until 11-24 01:00: 换主" {
		t.Error(got)
	}
	if got := l.Place(lang.Words{ZH: "生产", EN: "production"}, lang.English); got != "production/database" || l.Place(lang.Words{}, lang.Chinese) != "prod/database" || l.Value() != "prod/database" {
		t.Error(got)
	}
}

// TestKeys: two locks never share a key, and no key is an action's id.
func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z0-9_-]{1,8}`)
		name := rapid.OneOf(word, rapid.Just(""))
		a := [3]string{word.Draw(t, "zone"), word.Draw(t, "env"), name.Draw(t, "name")}
		b := [3]string{word.Draw(t, "zone"), word.Draw(t, "env"), name.Draw(t, "name")}
		ka, kb := Key(a[0], a[1], a[2]), Key(b[0], b[1], b[2])
		if (ka == kb) != (a == b) || !strings.Contains(ka, ".") {
			t.Fatalf("%v and %v: %s", a, b, ka)
		}
	})
}
