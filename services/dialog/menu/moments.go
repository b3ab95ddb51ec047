package menu

import (
	"strconv"
	"strings"
	"time"
)

// How moments are kept. Inside they are civil times, written as if the zone were UTC: no hour is missing or comes twice,
// and who executes an order knows the zone.
const (
	dateForm     = time.DateOnly
	clockForm    = "15:04"
	dateTimeForm = dateForm + " " + clockForm
)

// days are the words for days, by their distance from today. A word that another one begins with stands behind it.
var days = []struct {
	word string
	off  int
}{
	{"今天", 0},  //lang:word
	{"明天", 1},  //lang:word
	{"后天", 2},  //lang:word
	{"昨天", -1}, //lang:word
	{"前天", -2}, //lang:word
	{"today", 0}, {"tomorrow", 1}, {"yesterday", -1},
}

var dateForms = []string{
	"2006-1-2", "2006/1/2", "2006.1.2",
	"2006年1月2日", //lang:word
}

// civil is the wall clock of a time, to the minute.
func civil(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, time.UTC)
}

func midnight(t time.Time) time.Time { return t.Truncate(24 * time.Hour) }

func parseDate(s string, now time.Time) (time.Time, bool) {
	for _, d := range days {
		if strings.EqualFold(s, d.word) {
			return midnight(civil(now)).AddDate(0, 0, d.off), true
		}
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil && t.Year() > 0 {
			return t, true
		}
	}
	return time.Time{}, false
}

func parseClock(s string) (time.Time, bool) {
	t, err := time.Parse(clockForm, s)
	return t, err == nil
}

func parseDateTime(s string, now time.Time) (time.Time, bool) {
	switch strings.ToLower(s) {
	case "now", "现在": //lang:word
		return civil(now), true
	}
	date, clock := cutClock(s)
	day, ok := parseDate(date, now)
	if !ok {
		return time.Time{}, false
	}
	at, ok := parseClock(clock)
	if !ok {
		return time.Time{}, false
	}
	return day.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute), true
}

// cutClock parts a day from the time behind it.
func cutClock(s string) (date, clock string) {
	if i := strings.LastIndexAny(s, " T"); i > 0 && i < len(s)-1 {
		return strings.TrimSpace(s[:i]), s[i+1:]
	}
	const day = "日" //lang:word
	if i := strings.LastIndex(s, day); i >= 0 {
		return s[:i+len(day)], s[i+len(day):]
	}
	for _, d := range days {
		if rest, ok := strings.CutPrefix(s, d.word); ok {
			return d.word, rest
		}
	}
	return s, ""
}

// parseBound reads the earliest or latest moment of an input: absolute, or today and now with a distance. The second
// result is false when it is none of the kind. Late makes the end of the day of a bound that has no time.
func parseBound(s, kind string, now time.Time, late bool) (t time.Time, ok bool) {
	word, off := s, time.Duration(0)
	if i := strings.IndexAny(s, "+-"); i > 0 && (s[:i] == "now" || s[:i] == "today") {
		if off, ok = parseDuration(s[i+1:]); !ok {
			return time.Time{}, false
		}
		if s[i] == '-' {
			off = -off
		}
		word = s[:i]
	}
	endOfDay := time.Duration(0)
	if late && kind == DateTime {
		endOfDay = 24*time.Hour - time.Minute
	}
	switch word {
	case "now":
		return civil(now).Add(off), kind == DateTime
	case "today":
		if off%(24*time.Hour) != 0 {
			return time.Time{}, false
		}
		return midnight(civil(now)).Add(off + endOfDay), true
	}
	if t, err := time.Parse(dateForm, s); err == nil {
		return t.Add(endOfDay), true
	}
	t, err := time.Parse(dateTimeForm, s)
	return t, err == nil && kind == DateTime
}

// relative reports whether a bound depends on the present.
func relative(bound string) bool {
	return strings.HasPrefix(bound, "now") || strings.HasPrefix(bound, "today")
}

func (in *Input) moment(typed string, now time.Time, bounded bool) (string, *refusal) {
	parse, form, key := parseDate, dateForm, "read.date"
	if in.Type == DateTime {
		parse, form, key = parseDateTime, dateTimeForm, "read.datetime"
	}
	t, ok := parse(typed, now)
	if !ok || t.Year() < 1 || t.Year() > 9999 {
		return "", refuse(key)
	}
	from, to := in.bounds(now, bounded)
	early, late := from != nil && t.Before(*from), to != nil && t.After(*to)
	switch {
	case (early || late) && from != nil && to != nil:
		return "", refuse("read.between", from.Format(form), to.Format(form))
	case early:
		return "", refuse("read.early", from.Format(form))
	case late:
		return "", refuse("read.late", to.Format(form))
	}
	return t.Format(form), nil
}

// bounds are From and To at a time; nil for none, and for those that depend on the present unless these count.
func (in *Input) bounds(now time.Time, all bool) (from, to *time.Time) {
	at := func(bound string, late bool) *time.Time {
		if bound == "" || !all && relative(bound) {
			return nil
		}
		t, ok := parseBound(bound, in.Type, now, late)
		if !ok {
			return nil
		}
		return &t
	}
	return at(in.From, false), at(in.To, true)
}

// Limits are the least and the greatest value that the input takes now, in the form in which they are typed; "" for an
// end that is open, and for types without an order. Now is the present time in the menu's zone.
func (in *Input) Limits(now time.Time) (least, most string) {
	switch in.Type {
	case Int, Port:
		if in.Min > -MaxNumber {
			least = strconv.FormatInt(in.Min, 10)
		}
		if in.Max < MaxNumber {
			most = strconv.FormatInt(in.Max, 10)
		}
	case Duration:
		least, most = brief(time.Duration(in.Min)), brief(time.Duration(in.Max))
	case Date, DateTime:
		form := dateForm
		if in.Type == DateTime {
			form = dateTimeForm
		}
		from, to := in.bounds(now, true)
		if from != nil {
			least = from.Format(form)
		}
		if to != nil {
			most = to.Format(form)
		}
	}
	return least, most
}

// units of durations, from long to short; of the names of one unit none begins another before it in the list.
var units = []struct {
	size  time.Duration
	names []string
}{
	{24 * time.Hour, []string{
		"d",
		"天", //lang:word
	}},
	{time.Hour, []string{
		"h",
		"小时", //lang:word
		"时",  //lang:word
	}},
	{time.Minute, []string{
		"min", "m",
		"分钟", //lang:word
		"分",  //lang:word
	}},
	{time.Second, []string{
		"s",
		"秒", //lang:word
	}},
}

// parseDuration reads whole numbers with units from long to short, such as 1h30m, 2d or 5分钟.
func parseDuration(s string) (time.Duration, bool) {
	s = strings.ToLower(strings.ReplaceAll(s, " ", ""))
	total, next := time.Duration(0), 0
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if digits == 0 || digits > 9 {
			return 0, false
		}
		n, err := strconv.ParseInt(s[:digits], 10, 64)
		if err != nil {
			return 0, false
		}
		i, rest := unitOf(s[digits:])
		if i < next || n > int64(100*MaxDuration/units[i].size) {
			return 0, false
		}
		total += time.Duration(n) * units[i].size
		s, next = rest, i+1
	}
	return total, next > 0
}

// unitOf gives the place in units of the one that s begins with, -1 for none, and what follows it.
func unitOf(s string) (int, string) {
	for i, u := range units {
		for _, name := range u.names {
			if rest, ok := strings.CutPrefix(s, name); ok {
				return i, rest
			}
		}
	}
	return -1, s
}

func (in *Input) span(typed string) (string, *refusal) {
	d, ok := parseDuration(typed)
	least, most := time.Duration(in.Min), time.Duration(in.Max)
	switch {
	case !ok:
		return "", refuse("read.duration")
	case d < least || d > most:
		return "", refuse("read.duration_range", brief(least), brief(most), brief(min(max(least, time.Minute), most)))
	}
	return d.String(), nil
}

// brief is a duration as a person would type it.
func brief(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range units {
		if n := d / u.size; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + u.names[0][:1])
			d -= n * u.size
		}
	}
	return b.String()
}
