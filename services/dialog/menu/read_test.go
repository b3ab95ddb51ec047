package menu_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/services/dialog/menu"
)

// monday is a present time in the menu's zone.
var monday = time.Date(2026, 11, 23, 14, 30, 20, 0, time.FixedZone("", 8*3600))

const typed = `
version: 1
title: t
items:
  - id: a
    title: a
    steps:
      - input: {param: int, type: int, min: 0, max: 20}
      - input: {param: pattern, type: text, pattern: "[a-z]+", hint: {zh: 只能用小写字母, en: lower case only}, max_length: 5}
      - input: {param: text, type: text}
      - input: {param: enum, type: enum, values: [small, {value: "2", label: two}]}
      - input: {param: port, type: port, max: 9000}
      - input: {param: name, type: dns_label}
      - input: {param: date, type: date, from: today-1d, to: today+7d}
      - input: {param: any, type: date}
      - input: {param: year, type: date, from: 2026-01-01}
      - input: {param: time, type: time}
      - input: {param: soon, type: datetime, from: now, to: now+2h}
      - input: {param: day, type: datetime, to: today}
      - input: {param: moment, type: datetime}
      - input: {param: span, type: duration, min: 30s, max: 2d}
      - input: {param: lines, type: lines, max_length: 20, default: "a\nb\n", example: "c\nd"}
      - input: {param: like, type: text, pattern: "[a-z]+-[0-9]+", example: web-1}
      - confirm: {text: ok}
      - action: {zone: z, pool: p, action: a.b, title: t}
`

func inputs(t testing.TB) map[string]*menu.Input {
	t.Helper()
	out := map[string]*menu.Input{}
	for _, s := range must(t, typed).Node("a").Steps {
		if s.Input != nil {
			out[s.Input.Param] = s.Input
		}
	}
	return out
}

func TestTypedValues(t *testing.T) {
	in := inputs(t)
	for _, c := range []struct {
		param, typed, value string
		hint                string // in the text that the person reads; "" when accepted
	}{
		{"int", "5", "5", ""},
		{"int", "05", "5", ""},
		{"int", "0", "0", ""},
		{"int", "20", "20", ""},
		{"int", "１２", "12", ""},
		{"int", "21", "", "0 到 20"},
		{"int", "-1", "", "0 到 20"},
		{"int", "+5", "", "不要写加号"},
		{"int", "five", "", "整数"},
		{"int", "", "", "整数"},
		{"int", "5.0", "", "整数"},
		{"int", strings.Repeat("9", 10000), "", "超出范围"},
		{"int", "😀", "", "整数"},
		{"int", "--", "", "整数"},
		{"pattern", "web", "web", ""},
		{"pattern", "Web", "", "只能用小写字母"},
		{"pattern", "web\nx", "", "不能使用"},
		{"pattern", "webweb", "", "最多 5 个字"},
		{"text", "支付 网关", "支付 网关", ""},
		{"text", "/etc/hosts", "/etc/hosts", ""},
		{"text", strings.Repeat("字", 200), strings.Repeat("字", 200), ""},
		{"text", strings.Repeat("字", 201), "", "最多 200 个字"},
		{"text", "a\u202eb", "", "不能使用"},
		{"text", "a\u2028b", "", "不能使用"},
		{"text", "a\u200bb", "", "不能使用"},
		{"text", "\xff", "", "不能使用"},
		{"text", "", "", "不能为空"},
		{"enum", "small", "small", ""},
		{"enum", "2", "2", ""},
		{"enum", "two", "", "数字"},
		{"enum", "", "", "数字"},
		{"port", "1", "1", ""},
		{"port", "9000", "9000", ""},
		{"port", "9001", "", "1 到 9000"},
		{"port", "0", "", "1 到 9000"},
		{"name", "web-1", "web-1", ""},
		{"name", "1", "1", ""},
		{"name", strings.Repeat("a", 63), strings.Repeat("a", 63), ""},
		{"name", strings.Repeat("a", 64), "", "63"},
		{"name", "-a", "", "小写"},
		{"name", "a-", "", "小写"},
		{"name", "A", "", "小写"},
		{"name", "a.b", "", "小写"},
		{"name", "", "", "小写"},
		{"date", "今天", "2026-11-23", ""},
		{"date", "明天", "2026-11-24", ""},
		{"date", "Tomorrow", "2026-11-24", ""},
		{"date", "昨天", "2026-11-22", ""},
		{"date", "前天", "", "2026-11-22 到 2026-11-30"},
		{"date", "2026-11-30", "2026-11-30", ""},
		{"date", "2026-12-01", "", "2026-11-22 到 2026-11-30"},
		{"date", "2026/11/25", "2026-11-25", ""},
		{"date", "2026年11月5日", "", "超出范围"},
		{"any", "2026年1月5日", "2026-01-05", ""},
		{"any", "２０２６－１－５", "2026-01-05", ""},
		{"any", "2028-02-29", "2028-02-29", ""},
		{"any", "2026-02-29", "", "例如 2026-11-23"},
		{"any", "26-11-23", "", "例如 2026-11-23"},
		{"any", "0000-01-01", "", "例如 2026-11-23"},
		{"any", "11-23", "", "例如 2026-11-23"},
		{"any", "", "", "例如 2026-11-23"},
		{"any", "　明天　", "2026-11-24", ""},
		{"year", "2025-12-31", "", "太早了，请输入 2026-01-01"},
		{"time", "9:05", "09:05", ""},
		{"time", "００：００", "00:00", ""},
		{"time", "23:59", "23:59", ""},
		{"time", "24:00", "", "14:30"},
		{"time", "14", "", "14:30"},
		{"soon", "now", "2026-11-23 14:30", ""},
		{"soon", "现在", "2026-11-23 14:30", ""},
		{"soon", "2026-11-23 14:29", "", "2026-11-23 14:30 到 2026-11-23 16:30"},
		{"soon", "今天 16:30", "2026-11-23 16:30", ""},
		{"soon", "今天16:31", "", "超出范围"},
		{"day", "2026-11-23 23:59", "2026-11-23 23:59", ""},
		{"day", "明天 0:00", "", "太晚了，请输入 2026-11-23 23:59"},
		{"moment", "2026-11-23T9:00", "2026-11-23 09:00", ""},
		{"moment", "2026年11月23日9:00", "2026-11-23 09:00", ""},
		{"moment", "tomorrow 9:00", "2026-11-24 09:00", ""},
		{"moment", "2026-11-23", "", "例如 2026-11-23 14:30"},
		{"moment", "14:30", "", "例如 2026-11-23 14:30"},
		{"moment", "", "", "例如 2026-11-23 14:30"},
		{"span", "90s", "1m30s", ""},
		{"span", "30秒", "30s", ""},
		{"span", "5分钟", "5m0s", ""},
		{"span", "2小时", "2h0m0s", ""},
		{"span", "1天", "24h0m0s", ""},
		{"span", "1小时30分", "1h30m0s", ""},
		{"span", "1H 30M", "1h30m0s", ""},
		{"span", "2d", "48h0m0s", ""},
		{"span", "48h0m1s", "", "30s 到 2d"},
		{"span", "29s", "", "30s 到 2d"},
		{"span", "5", "", "要带单位"},
		{"span", "m", "", "要带单位"},
		{"span", "30m1h", "", "要带单位"},
		{"span", "-5m", "", "要带单位"},
		{"span", "9999999999d", "", "要带单位"},
		{"span", "", "", "要带单位"},
		{"lines", "a  \r\nb\n\n", "a\nb", ""},
		{"lines", "\n a", " a", ""},
		{"lines", "a\tb", "", "不能使用"},
		{"lines", " \n ", "", "不能为空"},
		{"lines", strings.Repeat("a", 21), "", "最多 20 个字"},
		{"lines", strings.Repeat("a\n", 51), "", "最多 50 行"},
		{"like", "web", "", "例如 web-1"},
	} {
		got, err := in[c.param].Read(lang.Chinese, c.typed, monday)
		if c.hint == "" && (err != nil || got != c.value) {
			t.Errorf("%s %.40q: got %q, %v; want %q", c.param, c.typed, got, err, c.value)
		}
		if c.hint != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(fault.Safe(err), c.hint)) {
			t.Errorf("%s %.40q: got %q, %v; want a hint with %q", c.param, c.typed, got, fault.Safe(err), c.hint)
		}
		if english, err := in[c.param].Read(lang.English, c.typed, monday); english != got || (err == nil) != (c.hint == "") ||
			strings.ContainsAny(fault.Safe(err), "的请不") {
			t.Errorf("%s %.40q in English: %q, %q", c.param, c.typed, english, fault.Safe(err))
		}
	}
}

func TestInputsThatNoFileDescribes(t *testing.T) {
	in := &menu.Input{Param: "p", Type: menu.Text, Pattern: "[a-z]+"}
	if got, err := in.Read(lang.Chinese, "web", monday); got != "web" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"9", strings.Repeat("a", menu.MaxText+1)} {
		if _, err := in.Read(lang.Chinese, bad, monday); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	lines := &menu.Input{Type: menu.Lines}
	if _, err := lines.Read(lang.Chinese, strings.Repeat("a", menu.MaxLong+1), monday); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	if got := inputs(t)["lines"]; got.Default != "a\nb" || got.Example != "c\nd" {
		t.Errorf("default %q, example %q", got.Default, got.Example)
	}
}

func TestLimitsOfInputs(t *testing.T) {
	in := inputs(t)
	for param, want := range map[string][2]string{
		"int": {"0", "20"}, "port": {"1", "9000"}, "date": {"2026-11-22", "2026-11-30"}, "any": {}, "year": {"2026-01-01", ""},
		"soon": {"2026-11-23 14:30", "2026-11-23 16:30"}, "day": {"", "2026-11-23 23:59"}, "span": {"30s", "2d"}, "text": {},
	} {
		if least, most := in[param].Limits(monday); least != want[0] || most != want[1] {
			t.Errorf("%s: %q to %q, want %q", param, least, most, want)
		}
	}
}

func TestWhatAMenuHoldsDoesNotBecomeWrongByItself(t *testing.T) {
	must(t, strings.Replace(typed, "to: today+7d", "to: today+7d, default: 2020-01-01", 1))
	must(t, strings.Replace(typed, "to: now+2h", "to: now+2h, default: 昨天 9:00", 1))
}

func TestReadingAgainChangesNothing(t *testing.T) {
	in := inputs(t)
	rapid.Check(t, func(t *rapid.T) {
		param := rapid.SampledFrom([]string{"int", "text", "enum", "port", "name", "date", "any", "time", "soon", "moment", "span", "lines"}).Draw(t, "param")
		said := rapid.OneOf(
			rapid.String(), rapid.StringMatching(`-?[0-9]{1,6}`), rapid.StringMatching(`[0-9]{1,4}(d|天)?[0-9]{1,3}(h|小时)[0-9]{0,2}(m|分钟|s|秒)`),
			rapid.StringMatching(`20[0-9]{2}[-/.][0-9]{1,2}[-/.][0-9]{1,2}([ T][0-9]{1,2}:[0-9]{2})?`), rapid.StringMatching(`(今天|明天|yesterday|now) ?[0-9]{1,2}[:：][0-5][0-9]`),
			rapid.StringMatching(`[a-c \n\r]{0,30}`), rapid.SampledFrom([]string{"今天", "now", "small"}),
		).Draw(t, "said")
		value, err := in[param].Read(lang.Chinese, said, monday)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || fault.Safe(err) == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if again, err := in[param].Read(lang.English, value, monday); err != nil || again != value {
			t.Fatalf("%s: %q is %q, read again %q, %v", param, said, value, again, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	in := inputs(f)
	for _, s := range []string{"5", "今天 9:00", "1小时30分", "2026-11-23T14:30", "a\r\nb", "\xff日", "日", "T", " 9:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		for param, i := range in {
			value, err := i.Read(lang.Chinese, said, monday)
			if err != nil {
				continue
			}
			if again, err := i.Read(lang.Chinese, value, monday); err != nil || again != value {
				t.Errorf("%s: %q is %q, read again %q, %v", param, said, value, again, err)
			}
		}
	})
}
