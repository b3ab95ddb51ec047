package policy

import (
	"fmt"
	"strings"
	"time"
)

// Hours are times of the week, by the wall clock of the policy's zone. From up to To, which is not included, both in
// minutes after midnight; with From after To they end on the next day.
type Hours struct {
	Days     [7]bool // by time.Weekday; the day on which they begin
	From, To int     // 0 to 1440
}

const dayMinutes = 24 * 60

// clock is a moment as a wall clock shows it.
type clock struct{ day, minute int }

func clockOf(t time.Time) clock {
	return clock{day: int(t.Weekday()), minute: t.Hour()*60 + t.Minute()}
}

func (h Hours) open(c clock) bool {
	if h.From < h.To {
		return h.Days[c.day] && h.From <= c.minute && c.minute < h.To
	}
	return h.Days[c.day] && h.From <= c.minute || h.Days[(c.day+6)%7] && c.minute < h.To
}

func open(hours []Hours, c clock) bool {
	for _, h := range hours {
		if h.open(c) {
			return true
		}
	}
	return len(hours) == 0
}

var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// day finds a weekday by its first three letters.
func day(name string) (int, bool) {
	for i, n := range dayNames {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// minutes reads 09:00; 24:00 is the end of the day.
func minutes(text string) (int, bool) {
	if text == "24:00" {
		return dayMinutes, true
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

// String is the form of the file, such as "mon tue fri 22:00 to 06:00".
func (h Hours) String() string {
	var b strings.Builder
	for i := range 7 {
		if d := (i + 1) % 7; h.Days[d] { // the week begins on Monday
			b.WriteString(dayNames[d] + " ")
		}
	}
	fmt.Fprintf(&b, "%02d:%02d to %02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60)
	return b.String()
}

func hoursText(hours []Hours) string {
	texts := make([]string, len(hours))
	for i, h := range hours {
		texts[i] = h.String()
	}
	return strings.Join(texts, ", ")
}
