package qyapi_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDuplicateCheck(t *testing.T) {
	w := newWorld(t)
	body := `{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"x"},"enable_duplicate_check":1,"duplicate_check_interval":60}`
	first := w.send(0, body)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if again := w.send(0, " "+body); again["msgid"] != first["msgid"] {
				t.Errorf("%v", again)
			}
		})
	}
	all.Wait()
	w.send(0, strings.Replace(body, `"x"`, `"y"`, 1))
	if got := strings.Join(w.shown, ","); got != "lisi text x,lisi text y" {
		t.Errorf("shown %s", got)
	}
	w.now = w.now.Add(time.Minute)
	w.send(0, body)
	plain := `{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"z"}}`
	w.send(0, plain)
	w.send(0, plain)
	if len(w.shown) != 5 {
		t.Errorf("shown %v", w.shown)
	}
}

// The duplicate check goes on over a restart, and over a line that was torn by the end of the process.
func TestDuplicateCheckAfterARestart(t *testing.T) {
	w := newWorld(t)
	w.sent = filepath.Join(t.TempDir(), "sent.jsonl")
	w.make(w.phones, w.directory)
	body := func(text string) string {
		return `{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"` + text + `"},"enable_duplicate_check":1,"duplicate_check_interval":60}`
	}
	first := w.send(0, body("x"))
	w.send(0, card("lisi", goodCard))
	data, err := os.ReadFile(w.sent)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.sent, append(data, `{"request":"torn","msgi`...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.make(w.phones, w.directory)
	w.send(0, body("y"))
	w.make(w.phones, w.directory)
	w.send(0, body("y"))
	if again := w.send(0, body("x")); again["msgid"] != first["msgid"] {
		t.Errorf("%v", again)
	}
	if again := w.send(0, card("lisi", goodCard)); again["response_code"] != "code" {
		t.Errorf("%v", again)
	}
	if len(w.shown) != 3 {
		t.Errorf("shown %v", w.shown)
	}
	w.now = w.now.Add(time.Minute)
	w.make(w.phones, w.directory)
	w.send(0, body("x"))
	if len(w.shown) != 4 {
		t.Errorf("shown %v", w.shown)
	}
	if err := os.Remove(w.sent); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.sent, 0o700); err != nil {
		t.Fatal(err)
	}
	w.send(-1, body("z"))
}
