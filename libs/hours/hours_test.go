package hours

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	zone, err := Zone(DefaultZone)
	if err != nil {
		t.Fatal(err)
	}
	// 2026-11-23 is a Monday.
	at := func(text string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	work := Span{Days: [7]bool{false, true, true, true, true, true, false}, From: 9 * 60, To: 18 * 60}
	night := Span{Days: [7]bool{true}, From: 22 * 60, To: 6 * 60}
	for _, c := range []struct {
		spans []Span
		at    string
		want  bool
	}{
		{nil, "2026-11-28 03:00", true},
		{[]Span{work}, "2026-11-23 09:00", true},
		{[]Span{work}, "2026-11-23 08:59", false},
		{[]Span{work}, "2026-11-23 18:00", false},
		{[]Span{work}, "2026-11-28 12:00", false},
		{[]Span{work, night}, "2026-11-29 22:00", true},
		{[]Span{work, night}, "2026-11-30 05:59", true}, // over the end of the week
		{[]Span{work, night}, "2026-11-30 06:00", false},
		{[]Span{Always}, "2026-11-30 06:00", true},
	} {
		if got := Open(c.spans, at(c.at)); got != c.want {
			t.Errorf("%s at %s: %t", Text(c.spans), c.at, got)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"mon": "mon", "fri-mon": "mon fri sat sun", "sun-sat": "mon tue wed thu fri sat sun", "": "!", "mo": "!", "mon-": "!", "mon-fri-sun": "!", "Mon": "!"} {
		days, err := ParseDays(text)
		got, _, _ := strings.Cut(Span{Days: days, To: Day}.String(), " 00:00")
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]int{"09:05": 545, "00:00": 0, "23:59": 1439, "24:00": -1, "9:00": -1, "09:60": -1, "0900": -1, "": -1} {
		if got, err := ParseFrom(text); (err == nil) != (want >= 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	if m, err := ParseTo("24:00"); m != Day || err != nil {
		t.Error(m, err)
	}
	if (Span{From: 5, To: 5}).Check() == nil || Always.Check() != nil {
		t.Error("an empty span passes, or the whole week does not")
	}
	for _, name := range []string{"", "Local", "Mars/Phobos", "../etc/passwd"} {
		if _, err := Zone(name); err == nil {
			t.Errorf("zone %q", name)
		}
	}
}

// TestEachMinuteBelongsToOneOfTwoHalves: a span and the same one turned round, on all days, share no minute and leave none out.
func TestEachMinuteBelongsToOneOfTwoHalves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := Always
		s.From = rapid.IntRange(0, Day-1).Draw(t, "from")
		s.To = rapid.IntRange(0, Day-1).Filter(func(n int) bool { return n != s.From }).Draw(t, "to")
		other := s
		other.From, other.To = s.To, s.From
		c := Clock{day: rapid.IntRange(0, 6).Draw(t, "day"), minute: rapid.IntRange(0, Day-1).Draw(t, "minute")}
		if s.holds(c) == other.holds(c) {
			t.Fatalf("%s and %s at %+v", s, other, c)
		}
	})
}
