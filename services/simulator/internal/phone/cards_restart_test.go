package phone_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/services/simulator/client"
	"palmops/services/simulator/internal/phone"
)

// Whatever is sent, pressed and updated, and wherever the simulator is restarted: cards are as they were, codes are good once, and numbers
// are never given twice.
func TestCardsSurviveRestarts(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	g := newGateway(t, accept)
	rapid.Check(t, func(r *rapid.T) {
		runs++
		path := filepath.Join(dir, strconv.Itoa(runs))
		book := open(t, path, 0)
		crypt, err := wecom.NewCrypt(token, key, corp)
		if err != nil {
			r.Fatal(err)
		}
		phones := func() *phone.Phones {
			return phone.New(phone.Options{
				Directory: directory(), Book: book, Crypt: crypt, CorpID: corp, AgentID: agent,
				Callback: func() string { return g.server.URL }, Now: func() time.Time { return time.Unix(1_700_000_000, 0) },
			})
		}
		p := phones()
		disabled := map[string]bool{}
		var unused [][2]string // codes with their tasks
		used := []string{}
		cards := 0
		var seq uint64
		for range rapid.IntRange(1, 20).Draw(r, "steps") {
			switch rapid.IntRange(0, 4).Draw(r, "what") {
			case 0:
				cards++
				task := "t" + strconv.Itoa(cards)
				_, code, err := p.PushCard([]string{"zhangsan", "laoren"}, confirmCard(task), true)
				if err != nil {
					r.Fatal(err)
				}
				unused = append(unused, [2]string{code, task})
				disabled[task] = false
			case 1:
				if cards > 0 {
					if _, _, err := p.PushCard([]string{"lisi"}, confirmCard("t1"), true); !fault.Is(err, fault.Conflict) {
						r.Fatalf("a task id twice: %v", err)
					}
				}
			case 2:
				if len(unused) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(unused)-1).Draw(r, "code")
				code, task := unused[i][0], unused[i][1]
				if _, err := p.UpdateCard(code, []string{"zhangsan"}, disable("done")); err != nil {
					r.Fatal(err)
				}
				unused = slices.Delete(unused, i, i+1)
				disabled[task] = true
				used = append(used, code)
			case 3:
				add(t, book, "text")
			case 4:
				closeBook(t, book)
				book = open(t, path, 0)
				p = phones()
			}
		}
		for _, code := range used {
			if _, err := p.UpdateCard(code, []string{"zhangsan"}, disable("x")); !fault.Is(err, fault.Expired) {
				r.Fatalf("a used code: %v", err)
			}
		}
		all, _ := book.Changes("zhangsan", 0)
		for _, m := range all {
			if m.Seq <= seq || (m.Card != nil && m.Card.Disabled != disabled[m.Card.TaskID]) || (m.Updated != 0 && m.Updated <= m.Seq) {
				r.Fatalf("%+v after %d", m, seq)
			}
			seq = m.Seq
			if m.Updated != 0 {
				if rest, _ := book.Changes("zhangsan", m.Updated-1); !slices.ContainsFunc(rest, func(o client.Message) bool { return o.Seq == m.Seq }) {
					r.Fatal("a change is not told")
				}
			}
		}
		next := add(t, book, "the last")
		for _, m := range all {
			if next.Seq <= max(m.Seq, m.Updated) {
				r.Fatalf("number %d was given before", next.Seq)
			}
		}
		closeBook(t, book)
	})
}
