package practice

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	bookmarkEvery = 30 * time.Second
	watchDefault  = 30 * time.Minute // when the client names no timeout
)

// watchEvent is one line of a watch's answer.
type watchEvent struct {
	Type   watch.EventType `json:"type"`
	Object any             `json:"object"`
}

// watcher writes the events of one watch.
type watcher struct {
	res       resource
	namespace string
	q         query
	out       *json.Encoder
	flush     func() error
	version   uint64 // of the last change that was looked at
}

// watch streams changes until the client goes, the timeout ends, or the history no longer reaches back.
func (c *Cluster) watch(rw http.ResponseWriter, r *http.Request, res resource, q query) {
	v := c.store.list(res.name, r.PathValue("namespace"))
	fromNow := q.version == "" || q.version == "0"
	switch {
	case q.number > v.version:
		c.refuse(rw, tooLarge(q.number, v.version))
		return
	case !fromNow && q.initial == nil && q.number < v.oldest:
		c.refuse(rw, tooOld(q.number, v.oldest))
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Cache-Control", "no-cache, private")
	rw.WriteHeader(http.StatusOK)
	w := &watcher{
		res: res, namespace: r.PathValue("namespace"), q: q, out: json.NewEncoder(rw),
		flush: http.NewResponseController(rw).Flush, version: q.number,
	}
	if fromNow || q.initial != nil {
		w.version = v.version
		if (q.initial == nil || *q.initial) && !w.begin(v) {
			return
		}
	}
	if q.timeout == 0 {
		q.timeout = watchDefault
	}
	end := time.NewTimer(q.timeout)
	defer end.Stop()
	bookmark := time.NewTicker(bookmarkEvery)
	defer bookmark.Stop()
	for {
		changes, newest, changed, err := c.store.since(w.version)
		if err != nil {
			_ = w.send(watch.Error, statusFor(tooOld(w.version, newest))) // it ends either way
			return
		}
		if !w.tell(changes) {
			return
		}
		w.version = newest
		if w.flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-bookmark.C:
			if !w.bookmark(false) {
				return
			}
		case <-end.C:
			w.bookmark(false)
			return
		}
	}
}

func (w *watcher) send(kind watch.EventType, o any) bool {
	return w.out.Encode(watchEvent{kind, o}) == nil
}

// begin tells the present state as additions, and where it ends when the client asked for that.
func (w *watcher) begin(v view) bool {
	for _, o := range v.objects {
		if w.q.matches(o) && !w.send(watch.Added, o) {
			return false
		}
	}
	return w.q.initial == nil || w.bookmark(true)
}

// tell sends what concerns this watch. An object that leaves or enters the selection is deleted or added for the client.
func (w *watcher) tell(changes []change) bool {
	for _, c := range changes {
		if c.resource != w.res.name || (w.namespace != "" && c.object.GetNamespace() != w.namespace) {
			continue
		}
		was := c.old != nil && w.q.matches(c.old)
		is := c.kind != watch.Deleted && w.q.matches(c.object)
		kind := watch.Modified
		switch {
		case !was && !is:
			continue
		case was && !is:
			kind = watch.Deleted
		case !was:
			kind = watch.Added
		}
		if !w.send(kind, c.object) {
			return false
		}
	}
	return true
}

// bookmark tells the version that the client has seen everything up to; initial marks the end of the initial events.
func (w *watcher) bookmark(initial bool) bool {
	if !w.q.bookmarks {
		return true
	}
	o := w.res.withType(w.res.empty())
	o.SetResourceVersion(strconv.FormatUint(w.version, 10))
	if initial {
		o.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return w.send(watch.Bookmark, o) && w.flush() == nil
}
