package ask

import "github.com/prometheus/client_golang/prometheus/testutil"

// Texts are the sentences of this package.
var Texts = texts

// Flying counts the fetches on their way.
func Flying(a *Asker) int {
	a.lists.mu.Lock()
	defer a.lists.mu.Unlock()
	return len(a.lists.flights)
}

// Waiting counts those who asked and were not answered from what is kept.
func Waiting(a *Asker) int {
	return int(testutil.ToFloat64(a.lists.counts.WithLabelValues("asked")))
}

// Kept counts what is kept, and its bytes.
func Kept(a *Asker) (lists, bytes int) {
	a.lists.mu.Lock()
	defer a.lists.mu.Unlock()
	return len(a.lists.entries), a.lists.bytes
}
