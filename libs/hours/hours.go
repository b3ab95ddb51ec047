// Package hours is about times of the week, such as Monday to Friday from 09:00 to 18:00: when a grant counts, when an action
// may run.
package hours

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones are known on machines without a zone database
)

// Day is a day in minutes.
const Day = 24 * 60

// DefaultZone is where hours are meant when a file names no timezone.
const DefaultZone = "Asia/Shanghai"

// Span is a time of the day on some days of the week, by a wall clock. From up to To, which is not included, both in
// minutes after midnight; with From after To it ends on the next day.
type Span struct {
	Days     [7]bool // by time.Weekday; the day on which it begins
	From, To int     // 0 to Day
}

// Always is the whole week.
var Always = Span{Days: [7]bool{true, true, true, true, true, true, true}, To: Day}

// Clock is a moment as a wall clock shows it.
type Clock struct{ day, minute int }

// At is what the clock of t's zone shows.
func At(t time.Time) Clock {
	return Clock{day: int(t.Weekday()), minute: t.Hour()*60 + t.Minute()}
}

// In reports whether the clock is inside one of the spans. It is inside of none at all: no spans are no bound.
func (c Clock) In(spans []Span) bool {
	for _, s := range spans {
		if s.holds(c) {
			return true
		}
	}
	return len(spans) == 0
}

// Open reports whether a moment, by the clock of its own zone, is inside one of the spans; any moment is when there are none.
func Open(spans []Span, t time.Time) bool { return len(spans) == 0 || At(t).In(spans) }

func (s Span) holds(c Clock) bool {
	if s.From < s.To {
		return s.Days[c.day] && s.From <= c.minute && c.minute < s.To
	}
	return s.Days[c.day] && s.From <= c.minute || s.Days[(c.day+6)%7] && c.minute < s.To
}

var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func day(name string) (int, bool) {
	for i, n := range dayNames {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// ParseDays reads a day by its first three letters, or a range such as mon-fri, which may pass the end of the week.
func ParseDays(text string) (days [7]bool, err error) {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	from, ok := day(first)
	to, ok2 := day(last)
	if !ok || !ok2 {
		return days, fmt.Errorf("%q is not one of mon tue wed thu fri sat sun, or a range such as mon-fri", text)
	}
	for i := from; ; i = (i + 1) % 7 {
		days[i] = true
		if i == to {
			return days, nil
		}
	}
}

// ParseFrom reads the time of day at which a span begins, such as 09:00, in minutes.
func ParseFrom(text string) (int, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of day such as \"09:00\"", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// ParseTo is ParseFrom for the end of a span, which may also be 24:00, the end of the day.
func ParseTo(text string) (int, error) {
	if text == "24:00" {
		return Day, nil
	}
	return ParseFrom(text)
}

// Check finds a span that is never open because it ends where it begins.
func (s Span) Check() error {
	if s.From == s.To {
		return fmt.Errorf("from %02d:%02d to the same are none; a whole day is \"00:00\" to \"24:00\"", s.From/60, s.From%60)
	}
	return nil
}

// String is the form of the files, such as "mon tue fri 22:00 to 06:00".
func (s Span) String() string {
	var b strings.Builder
	for i := range 7 {
		if d := (i + 1) % 7; s.Days[d] { // the week begins on Monday
			b.WriteString(dayNames[d] + " ")
		}
	}
	fmt.Fprintf(&b, "%02d:%02d to %02d:%02d", s.From/60, s.From%60, s.To/60, s.To%60)
	return b.String()
}

// Text is all spans, joined by commas.
func Text(spans []Span) string {
	texts := make([]string, len(spans))
	for i, s := range spans {
		texts[i] = s.String()
	}
	return strings.Join(texts, ", ")
}

// Zone finds a time zone by its IANA name; the machine's own, Local, is refused, since the same file would mean something else
// on another machine.
func Zone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is not a name such as Asia/Shanghai or UTC", name)
	}
	return zone, nil
}
