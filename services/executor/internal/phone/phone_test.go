package phone

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTable(t *testing.T) {
	t.Parallel()
	got := Table([]string{"库", "表", "大小"}, [][]string{{"shop", "orders", "1.5 GB"}, {"中文库", "商品", "20 MB"}, {"a\nb"}})
	want := "库      表        大小\n" +
		"shop    orders  1.5 GB\n" +
		"中文库  商品     20 MB\n" +
		"a b\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTableIsAligned: each column begins at the same place in every row.
func TestTableIsAligned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching(`[a-z中文，é]{1,60}`)
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, 3, 3), 1, 6).Draw(t, "rows")
		lines := strings.Split(strings.TrimSuffix(Table([]string{"a", "b", "|"}, rows), "\n"), "\n")
		last := -1
		for i, line := range lines {
			at := Width(line) - Width(Line(append([][]string{{"a", "b", "|"}}, rows...)[i][2], MaxCell))
			if last >= 0 && at != last {
				t.Fatalf("row %d: the last column is at %d, not %d:\n%s", i, at, last, strings.Join(lines, "\n"))
			}
			last = at
		}
	})
}

func TestLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "  a \n\t b ": "a b", "0123456789": "0123456789", "0123456789a": "012345678…", "中文中文中": "中文中文中",
		"中文中文中文": "中文中文…", "a\x00b\xff": "a\uFFFDb\uFFFD",
	} {
		if got := Line(in, 10); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s, limit := rapid.String().Draw(t, "s"), rapid.IntRange(1, 30).Draw(t, "limit")
		got := Line(s, limit)
		if Width(got) > limit || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q is %d columns wide", got, Width(got))
		}
		if Line(got, limit) != got {
			t.Fatalf("%q becomes %q", got, Line(got, limit))
		}
	})
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for in, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KB", 1 << 20: "1 MB", 1<<20 - 1: "1 MB", 20 << 30: "20 GB", 1<<64 - 1: "16 EB"} {
		if got := Bytes(in); got != want {
			t.Errorf("%d: %s", in, got)
		}
	}
	for in, want := range map[time.Duration]string{
		-1: "0 s", 300 * time.Microsecond: "300 us", 20 * time.Millisecond: "20 ms", 1500 * time.Millisecond: "1.5 s", 12 * time.Second: "12 s", 119 * time.Second: "119 s",
		5 * time.Minute: "5 min", 3 * time.Hour: "3 h", 52 * time.Hour: "2 d 4 h",
	} {
		if got := Span(in); got != want {
			t.Errorf("%d: %s", in, got)
		}
	}
	if got := Count(1234567) + " " + Count(123) + " " + Percent(1, 3) + " " + Percent(1, 0); got != "1,234,567 123 33.3% -" {
		t.Error(got)
	}
}
