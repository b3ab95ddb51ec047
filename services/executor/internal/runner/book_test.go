package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
)

// book is a kind whose effects are lines in a file, written through to the disk: they can be counted after any crash.
type book struct {
	dir     string
	self    string
	target  string // "" for one target for each deployment
	before  func(ctx context.Context) error
	gate    func(point string)
	apply   func(ctx context.Context, w kind.Work, hand kind.Hand) (kind.Result, bool)
	unsure  bool
	mu      sync.Mutex
	probed  int
	applied int
}

func (b *book) Answer(context.Context, kind.Query) (wire.Answer, error) {
	return wire.Answer{Items: []wire.Item{{Value: "shop"}}}, nil
}

func (b *book) Target(q kind.Query) string {
	if b.target != "" {
		return b.target
	}
	return fmt.Sprint("book/", q.Args["namespace"], "/", q.Args["deployment"])
}

func (b *book) Prepare(ctx context.Context, _ kind.Work) (json.RawMessage, error) {
	if b.before != nil {
		if err := b.before(ctx); err != nil {
			return nil, err
		}
	}
	return json.RawMessage(`{"replicas":3}`), nil
}

func (b *book) Apply(ctx context.Context, w kind.Work, _ json.RawMessage, hand kind.Hand) kind.Result {
	b.mu.Lock()
	b.applied++
	b.mu.Unlock()
	if b.apply != nil {
		if r, done := b.apply(ctx, w, hand); done {
			return r
		}
	}
	if b.gate != nil {
		b.gate("before")
	}
	if err := hand.Step(ctx); err != nil {
		mark(b.dir, "refused", w.ID)
		return kind.Failed("没有执行")
	}
	if !b.effect(w.ID) {
		return kind.Failed("没有执行")
	}
	if b.gate != nil {
		b.gate("after")
	}
	return kind.Ended("已写入")
}

func (b *book) Probe(ctx context.Context, w kind.Work, _ json.RawMessage) kind.Result {
	b.mu.Lock()
	b.probed++
	b.mu.Unlock()
	if b.unsure {
		return kind.Unsure("请先查看。")
	}
	result := kind.Ended("已生效。")
	err := b.alone(ctx, func(file *os.File, text string) error {
		if strings.Contains("\n"+text, "\n"+w.ID+" ") {
			return nil
		}
		result = kind.Failed("没有生效，可以重新发起。")
		if _, err := fmt.Fprintln(file, "fence", w.ID); err != nil {
			return err
		}
		return file.Sync()
	})
	if err != nil {
		return kind.Unsure("请先查看。")
	}
	return result
}

func (b *book) Plan(_ context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	return fmt.Sprint("副本数 3 → ", w.Args["replicas"]), nil
}

func (b *book) Secrets() []string { return nil }

func (b *book) Close() {}

// alone runs f while no other process is in the book, with what is written there. It fails when ctx ends first: a process may
// have been stopped inside.
func (b *book) alone(ctx context.Context, f func(book *os.File, text string) error) error {
	file, err := os.OpenFile(filepath.Join(b.dir, "effects"), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // which opens the book for others; what was written has been synced
	for syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		if err := kind.Pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	return f(file, string(text))
}

// effect writes the one line that is an action's effect, unless the action has been fenced off.
func (b *book) effect(id string) (done bool) {
	err := b.alone(context.Background(), func(file *os.File, text string) error {
		if strings.Contains(text, "fence "+id+"\n") {
			return nil
		}
		done = true
		if _, err := fmt.Fprintln(file, id, b.self); err != nil {
			return err
		}
		if b.gate != nil {
			b.gate("during")
		}
		return file.Sync()
	})
	if err != nil {
		mark(b.dir, "broken", err.Error())
	}
	return done
}

func effects(dir, id string) int {
	data, _ := os.ReadFile(filepath.Join(dir, "effects")) // missing means none
	n := 0
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, id+" ") {
			n++
		}
	}
	return n
}
