package lang

import (
	"strings"
	"testing"
)

func TestSay(t *testing.T) {
	c := MustLoad([]byte("a.b: {zh: 第 %d 页，共 %d 页, en: page %d of %d}\na.c: {zh: '%[2]s 的 %[1]s', en: '%[1]s of %[2]s'}\na.d: {zh: 100%%, en: 100%%}\n"))
	for _, s := range [][2]string{
		{c.Say(Chinese, "a.b", 1, 2), "第 1 页，共 2 页"},
		{c.Say(English, "a.b", 1, 2), "page 1 of 2"},
		{c.Say(Chinese, "a.c", "x", "y"), "y 的 x"},
		{c.Say(English, "a.c", "x", "y"), "x of y"},
		{c.Say(Of("fr"), "a.d"), "100%"},
		{c.Say(English, "a.x"), "[a.x]"},
		{Words{ZH: "中"}.In(English), "中"},
		{Words{EN: "e"}.In(Chinese), "e"},
		{Words{ZH: "中", EN: "e"}.In(English), "e"},
	} {
		if s[0] != s[1] {
			t.Errorf("got %q, want %q", s[0], s[1])
		}
	}
	if k := strings.Join(c.Keys(), " "); k != "a.b a.c a.d" {
		t.Error(k)
	}
}

func TestWrongCatalogs(t *testing.T) {
	for _, file := range []string{
		"a: {zh: x}", "a: {zh: x, en: ''}", "a: {zh: x, en: y, fr: z}", "a: {zh: '%d', en: '%s'}", "a: {zh: '%s %d', en: '%d %s'}", "a: [", "a: {zh: '%s', en: x}",
	} {
		if _, err := load([]byte(file)); err == nil {
			t.Errorf("%s was taken", file)
		}
	}
}
