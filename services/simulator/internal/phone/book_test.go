package phone_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/wecom"
	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
)

func open(t *testing.T, path string, wantLost int) *phone.Book {
	t.Helper()
	// The clock stands still and behind: ids must rise all the same.
	b, lost, err := phone.OpenBook(path, func() time.Time { return time.Unix(1_700_000_000, 0) })
	if err != nil {
		t.Fatal(err)
	}
	if lost != wantLost {
		t.Errorf("%d lines lost, want %d", lost, wantLost)
	}
	return b
}

func add(t *testing.T, b *phone.Book, text string) client.Message {
	t.Helper()
	m, err := b.Add(client.Message{User: "zhangsan", Via: client.ViaPush, MsgType: "text", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func closeBook(t *testing.T, b *phone.Book) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func texts(b *phone.Book) string {
	all, _ := b.After("zhangsan", 0)
	var out []string
	for _, m := range all {
		out = append(out, m.Text)
	}
	return strings.Join(out, ",")
}

func id(t *testing.T, m client.Message) int64 {
	t.Helper()
	n, err := strconv.ParseInt(m.MsgID, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBookGoesOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "messages.jsonl")
	b := open(t, path, 0)
	add(t, b, "a")
	second := add(t, b, "b")
	closeBook(t, b)

	b = open(t, path, 0)
	third := add(t, b, "c")
	if third.Seq != second.Seq+1 || id(t, third) <= id(t, second) {
		t.Errorf("after %+v comes %+v", second, third)
	}
	if texts(b) != "a,b,c" {
		t.Errorf("%s", texts(b))
	}
	closeBook(t, b)
}

func TestBookWithDamagedLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "messages.jsonl")
	b := open(t, path, 0)
	add(t, b, "a")
	second := add(t, b, "b")
	closeBook(t, b)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	damaged := lines[0] + "not json\n" + lines[1] + strings.Repeat("x", 2<<20) + "\n" + `{"seq":3,"user":"zhangsan","te`
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	b = open(t, path, 3)
	if texts(b) != "a,b" {
		t.Errorf("%s", texts(b))
	}
	next := add(t, b, "c")
	if next.Seq <= second.Seq+1 {
		t.Errorf("seq %d may have been given before", next.Seq)
	}
	closeBook(t, b)
	b = open(t, path, 0) // the damage is gone from the file
	if texts(b) != "a,b,c" {
		t.Errorf("%s", texts(b))
	}
	closeBook(t, b)
}

func TestBookForgets(t *testing.T) {
	b := open(t, "", 0)
	for range 6000 {
		add(t, b, "x")
	}
	all, _ := b.After("zhangsan", 0)
	if len(all) != 5000 || all[0].Seq != 1001 {
		t.Errorf("%d messages from %d", len(all), all[0].Seq)
	}
	big := strings.Repeat("y", 1<<20)
	for range 40 {
		add(t, b, big)
	}
	if all, _ = b.After("zhangsan", 0); len(all) > 17 {
		t.Errorf("%d messages of 1 MiB are kept", len(all))
	}
}

// Whatever is said, a restart at any point loses nothing that was added and repeats no number.
func TestBookRestarts(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		path := filepath.Join(dir, strconv.Itoa(runs))
		b := open(t, path, 0)
		var want []string
		var last client.Message
		for _, text := range rapid.SliceOfN(rapid.String(), 0, 12).Draw(r, "texts") {
			text = strings.ToValidUTF8(text, "?")
			m := add(t, b, text)
			if m.Seq <= last.Seq || (last.MsgID != "" && id(t, m) <= id(t, last)) {
				r.Fatalf("%+v after %+v", m, last)
			}
			last, want = m, append(want, text)
			if rapid.Bool().Draw(r, "restart") {
				closeBook(t, b)
				b = open(t, path, 0)
			}
		}
		if texts(b) != strings.Join(want, ",") {
			r.Fatalf("%q, want %q", texts(b), want)
		}
		closeBook(t, b)
	})
}

func TestCut(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := strings.Repeat(rapid.String().Draw(r, "unit"), rapid.IntRange(0, 400).Draw(r, "times"))
		got := phone.Cut(text)
		valid := strings.ToValidUTF8(text, "\uFFFD")
		if len(got) > wecom.MaxText || !strings.HasPrefix(valid, got) || (len(valid) <= wecom.MaxText && got != valid) || (len(valid) > wecom.MaxText && len(got) < wecom.MaxText-3) {
			r.Fatalf("%d bytes of %d", len(got), len(text))
		}
	})
}

func FuzzOpenBook(f *testing.F) {
	f.Add([]byte(`{"seq":1,"user":"zhangsan","via":"push","msgtype":"text","text":"a","at":"2026-01-01T00:00:00Z","msgid":"5"}` + "\n"))
	f.Add([]byte("\n\n{\n"))
	f.Add([]byte(`{"seq":1,"user":"zhangsan","kind":"card","msgid":"5","card":{"buttons":null},"task":"t","rev":1}` + "\n" +
		`{"seq":1,"user":"zhangsan","kind":"card","msgid":"5","updated":9,"card":{"disabled":true},"task":"t","rev":2}` + "\n"))
	f.Add([]byte(`{"seq":18446744073709551615,"user":"zhangsan","msgid":"9223372036854775807"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "messages.jsonl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b, _, err := phone.OpenBook(path, time.Now)
		if err != nil {
			t.Fatal(err) // a damaged book is repaired, never refused
		}
		before, _ := b.Changes("zhangsan", 0)
		m, err := b.Add(client.Message{User: "zhangsan", Via: client.ViaPush, Text: "new"})
		if err != nil {
			t.Fatal(err)
		}
		for _, old := range before {
			if m.Seq <= max(old.Seq, old.Updated) {
				t.Fatalf("seq %d after %d, changed at %d", m.Seq, old.Seq, old.Updated)
			}
		}
		closeBook(t, b)
	})
}
