package phone_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"palmops/services/simulator/client"
)

func TestEvents(t *testing.T) {
	g := newGateway(t, echo)
	w := newWorld(t, g.server.URL, nil)
	w.say(t, client.SayRequest{User: "zhangsan", Text: "before"})
	next := events(t, w.base, "")
	var kinds []string
	var last string
	read := func(n int) {
		for range n {
			e := recv(t, next, "an event")
			kinds = append(kinds, e.name)
			if e.id != "" {
				last = e.id
			}
		}
	}
	read(4)
	if want := []string{"delivery", "message", "message", "live"}; !slices.Equal(kinds, want) {
		t.Errorf("%v", kinds)
	}
	w.say(t, client.SayRequest{User: "lisi", Text: "after"})
	kinds = nil
	read(3)
	slices.Sort(kinds)
	if want := []string{"delivery", "message", "message"}; !slices.Equal(kinds, want) {
		t.Errorf("%v", kinds)
	}
	if _, err := w.Push("lisi", "text", "news"); err != nil {
		t.Fatal(err)
	}
	if e := recv(t, events(t, w.base, last), "what was missed"); e.name != "message" || !strings.Contains(e.data, "news") {
		t.Errorf("%+v", e)
	}
}

type sse struct{ id, name, data string }

// events reads an event stream until the test ends.
func events(t *testing.T, base, lastID string) <-chan sse {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/sim/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	hc := &http.Client{Transport: &http.Transport{}}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		t.Fatalf("content type %q", ct)
	}
	out := make(chan sse, 64)
	var reading sync.WaitGroup
	reading.Go(func() {
		var e sse
		buf, all := make([]byte, 4096), ""
		for {
			n, err := resp.Body.Read(buf)
			all += string(buf[:n])
			for {
				line, rest, whole := strings.Cut(all, "\n")
				if !whole {
					break
				}
				all = rest
				name, value, _ := strings.Cut(line, ": ")
				switch name {
				case "id":
					e.id = value
				case "event":
					e.name = value
				case "data":
					e.data = value
				case "":
					out <- e
					e = sse{}
				}
			}
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		_ = resp.Body.Close()
		hc.CloseIdleConnections()
	})
	return out
}
