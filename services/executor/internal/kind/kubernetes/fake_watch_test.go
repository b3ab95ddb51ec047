package kubernetes

import (
	"encoding/json"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type fakeWatch struct {
	key    string
	events chan watchEvent
	end    chan struct{}
}

type watchEvent struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}

// watched waits until somebody watches.
func (f *fakeAPI) watched() {
	for {
		f.mu.Lock()
		n, changed := len(f.watches), f.changed
		f.mu.Unlock()
		if n > 0 {
			return
		}
		<-changed
	}
}

// endWatches ends all watches, as a server that restarts does.
func (f *fakeAPI) endWatches() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, w := range f.watches {
		close(w.end)
		delete(f.watches, id)
	}
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, key string) {
	fw := &fakeWatch{key: key, events: make(chan watchEvent, 1000), end: make(chan struct{})}
	f.mu.Lock()
	id := f.nextWatch
	f.nextWatch++
	f.watches[id] = fw
	close(f.changed)
	f.changed = make(chan struct{})
	// What happened between the read and the watch comes first, as resourceVersion asks.
	switch o := f.objects[key]; {
	case o == nil:
		fw.events <- watchEvent{"ERROR", metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: 410, Reason: metav1.StatusReasonExpired}}
	case o.GetResourceVersion() != r.URL.Query().Get("resourceVersion"):
		fw.events <- watchEvent{"MODIFIED", o}
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watches, id)
		f.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-fw.end:
			return
		case ev := <-fw.events:
			if json.NewEncoder(w).Encode(ev) != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
}
