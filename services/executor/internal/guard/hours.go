package guard

import (
	"fmt"
	"strings"

	"palmops/libs/lang"
	"palmops/services/executor/catalog"
)

// dayKeys name the days by time.Weekday.
var dayKeys = [7]string{"day.sun", "day.mon", "day.tue", "day.wed", "day.thu", "day.fri", "day.sat"}

// openHours says when an action may run, such as "Monday to Friday 09:00–18:00".
func openHours(a catalog.Action, t lang.Tag) string {
	var out []string
	for _, s := range a.When {
		next := ""
		if s.From >= s.To {
			next = texts.Say(t, "hours.next")
		}
		out = append(out, fmt.Sprintf("%s %02d:%02d–%s%02d:%02d", days(s.Days, t), s.From/60, s.From%60, next, s.To/60, s.To%60))
	}
	return strings.Join(out, texts.Say(t, "hours.or"))
}

// days names days of the week, which begins on Monday; three and more in a row become a range.
func days(set [7]bool, t lang.Tag) string {
	name := func(i int) string { return texts.Say(t, dayKeys[(i+1)%7]) }
	var out []string
	for i := 0; i < 7; i++ {
		if !set[(i+1)%7] {
			continue
		}
		last := i
		for last < 6 && set[(last+2)%7] {
			last++
		}
		switch {
		case i == 0 && last == 6:
			return texts.Say(t, "hours.every")
		case last >= i+2:
			out = append(out, texts.Say(t, "hours.range", name(i), name(last)))
			i = last
		default:
			out = append(out, name(i))
		}
	}
	return strings.Join(out, texts.Say(t, "hours.and"))
}
