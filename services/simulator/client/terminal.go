package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"palmops/libs/fault"
)

// Talk lets a person chat in a terminal: each line of in is typed by user, and what the app sends is written to out.
// Lines that begin with a slash are for the terminal itself: /user <id> becomes another person, /users lists them,
// /press <key> presses a button of the newest card, /quit ends. It returns at the end of in, at /quit or when ctx ends;
// unless ctx ended, not before a last look for messages, so that piped input gets its answers. A read of in that blocks
// outlives Talk until its next line.
func (c *Client) Talk(ctx context.Context, in io.Reader, out io.Writer, user string) error {
	users, err := c.Users(ctx)
	if err != nil {
		return err
	}
	t := &terminal{client: c, out: out, users: users}
	if err := t.become(ctx, user); err != nil {
		return err
	}
	lines := make(chan string)
	readErr := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		sc := bufio.NewScanner(in)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			select {
			case lines <- sc.Text():
			case <-ctx.Done():
				return
			}
		}
		readErr <- sc.Err()
	}()
	var watch sync.WaitGroup
	watch.Go(func() { t.watch(ctx) })
	defer watch.Wait()
	defer cancel() // runs before the wait
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-readErr:
			return errors.Join(err, t.show(ctx, 0))
		case line := <-lines:
			more, err := t.typed(ctx, line)
			if err != nil || !more {
				return err
			}
		}
	}
}

type terminal struct {
	client *Client
	users  []User

	mu    sync.Mutex // guards what follows
	out   io.Writer
	user  User
	after uint64
	card  string // task id of the newest card with buttons; "" when there is none
}

// become makes the terminal that of another person and passes over what was sent to them before.
func (t *terminal) become(ctx context.Context, id string) error {
	for _, u := range t.users {
		if !strings.EqualFold(u.User, id) {
			continue
		}
		old, err := t.client.Messages(ctx, u.User, 0, 0)
		if err != nil {
			return err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.user, t.after, t.card = u, 0, ""
		for _, m := range old {
			t.seen(m)
		}
		_, err = fmt.Fprintf(t.out, "现在是 %s。直接输入消息；/press <键> 按最新卡片上的按钮，/users 看有哪些人，/user <id> 换人，/quit 结束。\n", u.name())
		return err
	}
	return fault.WithText(fault.New(fault.NotFound, "simulator: no person %q", id), "没有这个人："+id+"。用 /users 查看。")
}

// typed handles one line; more is false at /quit.
func (t *terminal) typed(ctx context.Context, line string) (more bool, err error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch word {
	case "/quit", "/exit":
		return false, nil
	case "/users":
		for _, u := range t.users {
			t.print("  " + u.name())
		}
		return true, nil
	case "/user":
		if err := t.become(ctx, strings.TrimSpace(rest)); err != nil {
			t.print(fault.Safe(err))
		}
		return true, nil
	}
	t.mu.Lock()
	user, card := t.user.User, t.card
	t.mu.Unlock()
	var res SayResult
	switch {
	case word != "/press":
		res, err = t.client.Say(ctx, SayRequest{User: user, Text: line})
	case card == "":
		t.print("  ! 还没有收到带按钮的卡片，没有发送。")
		return true, nil
	default:
		res, err = t.client.Press(ctx, PressRequest{User: user, TaskID: card, Key: strings.TrimSpace(rest)})
	}
	switch {
	case ctx.Err() != nil:
		return false, nil
	case errors.Is(err, context.Canceled), fault.Is(err, fault.Unknown), fault.Is(err, fault.Internal):
		return false, err
	case err != nil:
		t.print("  ! " + fault.Safe(err))
	case res.Status == StatusFailed:
		t.print("  ! " + res.Error)
	case res.Status == StatusWaiting:
		t.print("  ! 上一条消息还在投递中")
	}
	_ = t.show(ctx, 0) // what it did not get, watch gets
	return true, nil
}

// watch prints messages as they come.
func (t *terminal) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if err := t.show(ctx, MaxWait); err != nil {
			select { // the simulator is away; ask again, but not in a tight loop
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// show prints what the app has sent since the last look, waiting up to wait for something.
func (t *terminal) show(ctx context.Context, wait time.Duration) error {
	t.mu.Lock()
	user, after := t.user.User, t.after
	t.mu.Unlock()
	news, err := t.client.Messages(ctx, user, after, wait)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range news {
		if t.user.User != m.User || m.Seq <= t.after {
			continue // switched in between, or already printed by the other caller
		}
		t.seen(m)
		if _, err := fmt.Fprintf(t.out, "\n%s\n\n", inTerminal(m)); err != nil {
			return err
		}
	}
	return nil
}

// seen notes a message that was printed or passed over. The caller holds mu.
func (t *terminal) seen(m Message) {
	t.after = m.Seq
	if m.Card != nil && len(m.Card.Buttons) > 0 {
		t.card = m.Card.TaskID
	}
}

// inTerminal is a message in lines; the buttons of a card stand with the key that /press takes.
func inTerminal(m Message) string {
	switch {
	case m.File != nil && m.Kind == KindImage:
		return fmt.Sprintf("［图片］%s（%d 字节）/sim/images/%s", m.File.Name, m.File.Size, m.File.MediaID)
	case m.File != nil:
		return fmt.Sprintf("［文件］%s（%d 字节）/sim/files/%s", m.File.Name, m.File.Size, m.File.MediaID)
	case m.Card == nil || m.Card.Disabled || len(m.Card.Buttons) == 0:
		return m.Text
	}
	var b strings.Builder
	for _, part := range []string{m.Card.Title, m.Card.Body} {
		if part != "" {
			b.WriteString(part + "\n")
		}
	}
	for _, button := range m.Card.Buttons {
		b.WriteString("\n[" + button.Key + "] " + button.Text)
	}
	return b.String()
}

func (t *terminal) print(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintln(t.out, line) // a terminal that is gone shows in the next read
}
