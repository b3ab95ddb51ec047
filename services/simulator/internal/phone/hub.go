package phone

import (
	"slices"
	"sync"

	"palmops/services/simulator/client"
)

// event is one line of the event stream: a message or a delivery.
type event struct {
	message  *client.Message
	delivery *client.Delivery
}

// hub hands events to everybody who watches. A watcher that does not keep up is cut off and has to come again;
// it loses nothing, since messages are in the book and the newest deliveries are kept here.
type hub struct {
	mu         sync.Mutex
	watchers   map[chan event]struct{}
	deliveries []client.Delivery
}

const (
	keepDeliveries = 200
	watcherBuffer  = 256
)

func newHub() *hub { return &hub{watchers: map[chan event]struct{}{}} }

func (h *hub) publish(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.delivery != nil {
		if len(h.deliveries) == keepDeliveries {
			h.deliveries = slices.Delete(h.deliveries, 0, 1)
		}
		h.deliveries = append(h.deliveries, *e.delivery)
	}
	for w := range h.watchers {
		select {
		case w <- e:
		default:
			delete(h.watchers, w)
			close(w)
		}
	}
}

// watch returns a channel of events, the deliveries of the last minutes, and the end of the watching.
// The channel is closed when the watcher was too slow.
func (h *hub) watch() (events <-chan event, past []client.Delivery, leave func()) {
	w := make(chan event, watcherBuffer)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers[w] = struct{}{}
	return w, slices.Clone(h.deliveries), func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, in := h.watchers[w]; in {
			delete(h.watchers, w)
			close(w)
		}
	}
}
