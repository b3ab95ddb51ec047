package ask_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/ask"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session"
)

// old is a question whose answer is new for ten seconds and may be shown for a minute more.
func old(key string) flow.Question {
	of := q
	of.Key, of.Cache, of.Stale = key, 10*time.Second, time.Minute
	return of
}

func list(values ...string) wire.Answer {
	a := wire.Answer{V: 1}
	for _, v := range values {
		a.Items = append(a.Items, wire.Item{Value: v})
	}
	return a
}

func ages(t *testing.T, a *ask.Asker, who session.Who, tag lang.Tag, of flow.Question) (first string, asOf int64) {
	t.Helper()
	got, err := a.Ask(t.Context(), who, tag, "q1", of)
	if err != nil || len(got.Items) == 0 {
		t.Fatalf("%+v %v", got, err)
	}
	return got.Items[0].Value, got.AsOf
}

func TestListsGrowOld(t *testing.T) {
	begin := time.UnixMilli(1_000_000_000)
	w := &world{now: begin, answer: list("one"), came: make(chan string, 10)}
	a := w.asker(t)
	want := func(value string, asOf time.Time, asked int) {
		t.Helper()
		if v, at := ages(t, a, zhang, lang.Chinese, old("k")); v != value || at != asOf.UnixMilli() {
			t.Errorf("%s of %d, want %s of %d", v, at, value, asOf.UnixMilli())
		}
		for range asked {
			<-w.came
		}
		if n := len(w.came); n > 0 {
			t.Errorf("asked %d times more", n)
		}
	}
	want("one", begin, 1)
	w.set(func() { w.answer, w.now = list("two"), begin.Add(10*time.Second) })
	want("one", begin, 0)

	// Old: the list at once, and a new one for the next who asks. Until that is there, one fetch is on its way, not more.
	hold := make(chan struct{})
	w.set(func() { w.now, w.hold = begin.Add(11*time.Second), hold })
	want("one", begin, 1)
	want("one", begin, 0)
	close(hold)
	settled(t, a)
	want("two", begin.Add(11*time.Second), 0)

	// A source that fails or is late: the old list goes on as long as it may.
	w.set(func() { w.hold, w.err, w.now = nil, fault.New(fault.Transient, "down"), begin.Add(80*time.Second) })
	want("two", begin.Add(11*time.Second), 1)
	settled(t, a)
	w.set(func() { w.now = begin.Add(82 * time.Second) })
	if got, err := a.Ask(t.Context(), zhang, lang.Chinese, "q1", old("k")); got.Fault == "" || got.Items != nil || !fault.Is(err, fault.Transient) {
		t.Errorf("too old: %+v %v", got, err)
	}
	<-w.came
	w.set(func() { w.err, w.answer = nil, list("three") })
	want("three", begin.Add(82*time.Second), 1)
	w.set(func() { w.answer, w.now = list("four"), begin }) // the clock is set back by more than the list may be old
	want("four", begin, 1)
}

// settled waits until nothing is fetched in the background.
func settled(t *testing.T, a *ask.Asker) {
	t.Helper()
	for ask.Flying(a) > 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the fetch does not end")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestWhoSharesAList(t *testing.T) {
	w := &world{now: time.Now(), answer: list("x")}
	a := w.asker(t)
	for _, c := range []struct {
		who   session.Who
		tag   lang.Tag
		key   string
		cache bool
		asked int
	}{
		{zhang, lang.Chinese, "k", true, 1},
		{session.Who{Corp: "c", App: "a", User: "lisi"}, lang.Chinese, "k", true, 1},
		{zhang, lang.English, "k", true, 2},
		{zhang, lang.Chinese, "l", true, 3},
		{session.Who{Corp: "d", App: "a", User: "zhangsan"}, lang.Chinese, "k", true, 4},
		{session.Who{Corp: "c", App: "b", User: "zhangsan"}, lang.Chinese, "k", true, 5},
		{zhang, lang.Chinese, "m", false, 6},
		{zhang, lang.Chinese, "m", false, 7}, // nothing is kept
		{zhang, lang.Chinese, "m", true, 8},
	} {
		of := old(c.key)
		if !c.cache {
			of.Cache = 0
		}
		ages(t, a, c.who, c.tag, of)
		if n := w.count(); n != c.asked {
			t.Errorf("%+v: asked %d times", c, n)
		}
	}
	fields := old("k")
	fields.What = flow.AskFields
	w.set(func() { w.answer.Fields = map[string]string{"a": "b"} })
	for range 2 {
		if _, err := a.Ask(t.Context(), zhang, lang.Chinese, "q", fields); err != nil {
			t.Error(err)
		}
	}
	if n := w.count(); n != 10 {
		t.Errorf("current values were kept: asked %d times", n)
	}
}

// A thousand people open the same list at once: one question.
func TestOneFetchForAll(t *testing.T) {
	w := &world{now: time.Now(), answer: list("x"), hold: make(chan struct{}), came: make(chan string, 1)}
	a := w.asker(t)
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			if got, err := a.Ask(t.Context(), session.Who{Corp: "c", App: "a", User: fmt.Sprint(i)}, lang.Chinese, "q", old("k")); err != nil || len(got.Items) != 1 {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
	<-w.came
	for ask.Waiting(a) < 1000 {
		select {
		case <-t.Context().Done():
			t.Fatal("they do not wait")
		case <-time.After(time.Millisecond):
		}
	}
	close(w.hold)
	wg.Wait()
	if n := w.count(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	w := &world{now: time.Now(), answer: list("x")}
	a := w.asker(t)
	for i := range 1100 {
		ages(t, a, zhang, lang.Chinese, old(fmt.Sprint("k", i)))
	}
	if n, _ := ask.Kept(a); n != 1024 {
		t.Errorf("%d lists are kept", n)
	}
	w.set(func() { w.answer = list(strings.Repeat("x", 1<<20)) })
	for i := range 50 {
		ages(t, a, zhang, lang.Chinese, old(fmt.Sprint("l", i)))
	}
	n, size := ask.Kept(a)
	if n > 32 || size > 32<<20 {
		t.Errorf("%d lists of %d bytes are kept", n, size)
	}
	ages(t, a, zhang, lang.Chinese, old("l49"))
	if w.count() != 1150 {
		t.Error("the newest was dropped")
	}
}

// The end of the program does not leave a fetch behind, and starts none.
func TestCloseEndsWhatIsOnItsWay(t *testing.T) {
	w := &world{now: time.Now(), hold: make(chan struct{}), came: make(chan string, 1)}
	a := w.asker(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = a.Ask(ctx, zhang, lang.Chinese, "q", old("k"))
	}()
	<-w.came
	cancel()
	<-done
	a.Close() // returns only when the fetch has ended; goleak looks as well
	if got, err := a.Ask(t.Context(), zhang, lang.Chinese, "q", old("k")); !fault.Is(err, fault.Transient) || got.Fault == "" {
		t.Errorf("%+v %v", got, err)
	}
}
