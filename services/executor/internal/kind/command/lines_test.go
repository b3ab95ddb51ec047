package command

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/services/executor/internal/kind"
)

func TestSnake(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"ActiveState": "active_state", "MainPID": "main_pid", "CPUUsageNSec": "cpu_usage_n_sec", "a.b-c": "a_b_c", "x": "x", "ID2Name": "id2_name",
	} {
		if got := snake(key); got != want {
			t.Errorf("%s: %s", key, got)
		}
	}
}

// lines is output of a program that nobody has seen yet.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "a\tb\tc\td\n", "\t\t\n", "A=b\nA=\n=c\n", "\x1b[31mred\x1b[0m\tx\n", "\xff\xfe=\xff\n", "a\r\nb\rc", strings.Repeat("x", 5000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, _ := items(text)
		seen := map[string]bool{}
		for _, i := range list {
			if i.Value == "" || len(i.Value) > maxValue || seen[i.Value] || !utf8.ValidString(i.Value) {
				t.Errorf("value %q", i.Value)
			}
			seen[i.Value] = true
			shownText(t, i.Value)
			shownText(t, i.Label)
			shownText(t, i.Detail)
		}
		all, _ := fields(text)
		for key, value := range all {
			if key == "" || strings.ToLower(key) != key || strings.ContainsAny(key, "-. ") {
				t.Errorf("key %q", key)
			}
			shownText(t, value)
		}
	})
}

func shownText(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) || len([]rune(s)) > maxShown+1+maxValue || strings.ContainsFunc(s, unicode.IsControl) {
		t.Errorf("shown: %q", s)
	}
}

func TestTooManyLines(t *testing.T) {
	t.Parallel()
	var items5000, fields200 strings.Builder
	for i := range maxItems {
		items5000.WriteString(strings.Repeat("x", 1+i%200) + strings.Repeat("y", i/200) + "\n")
	}
	for i := range maxFields {
		fields200.WriteString("k" + strings.Repeat("x", i%16) + strings.Repeat("y", i/16) + "=1\n")
	}
	if list, ok := items(items5000.String()); !ok || len(list) != maxItems {
		t.Error(len(list), ok)
	}
	if _, ok := items(items5000.String() + "one more\n"); ok {
		t.Error("one item too many is shown as if it were all")
	}
	if all, ok := fields(fields200.String()); !ok || len(all) != maxFields {
		t.Error(len(all), ok)
	}
	if _, ok := fields(fields200.String() + "more=1\n"); ok {
		t.Error("one field too many")
	}
}

// TestFollower: however the output comes in pieces, the lines are the same, and all of it goes on.
func TestFollower(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"% 10", "% ", "other", "\r", "\n", "\r\n", "% 中文", "\x1b[1m% bold\x1b[0m"})).Draw(t, "text"), "")
		tell := func(pieces []string) (lines []string, kept string) {
			var out kind.Capture
			f := &follower{next: &out, prefix: "%", tell: func(l string) { lines = append(lines, l) }}
			for _, p := range pieces {
				if n, err := f.Write([]byte(p)); n != len(p) || err != nil {
					t.Fatal(n, err)
				}
			}
			if last := f.close(); len(lines) > 0 && last != lines[len(lines)-1] {
				t.Fatalf("last is %q of %q", last, lines)
			}
			kept, _ = out.Text()
			return lines, kept
		}
		whole, kept := tell([]string{text})
		var pieces []string
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		cut, again := tell(pieces)
		if diff := cmp.Diff(whole, cut); diff != "" || kept != text || again != text {
			t.Fatalf("%s, %q, %q", diff, kept, again)
		}
	})
}

// TestFollowerKeepsNoEndlessLine: memory does not grow with a line that never ends, and nobody is told after close.
func TestFollowerKeepsNoEndlessLine(t *testing.T) {
	t.Parallel()
	var out kind.Capture
	told := 0
	f := &follower{next: &out, tell: func(string) { told++ }}
	for range 1000 {
		_, _ = f.Write([]byte(strings.Repeat("x", 999)))
	}
	if len(f.begun) > maxLine {
		t.Errorf("%d bytes kept", len(f.begun))
	}
	_, _ = f.Write([]byte("\n"))
	f.close()
	_, _ = f.Write([]byte("late\n"))
	if told != 1 {
		t.Errorf("told %d lines", told)
	}
}
